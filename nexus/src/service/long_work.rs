//! Work over many policies or names, and over large bodies and values. It runs off the threads that serve requests, a few at a time, within a time limit.
//!
//! There is a lane for each kind, so questions of operators do not hold up lists of workloads, and neither holds up the status.
//! A request that finds its lane full waits a moment, and then fails with 429. No SPIFFE ID uses more than half of a lane, and
//! each lane has places for operators only.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use spike_mtls::budget::Class;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time,
};

use super::threads::Threads;
use crate::{access::Principal, error::Error};

/// A kind of work with its own lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Lists of the names of secrets.
    Lists,
    /// Questions of operators about policies.
    Questions,
    /// The status of Nexus.
    Status,
    /// Parsing of large bodies, before or after their senders are authorized.
    Bodies,
    /// Large values and long histories of versions.
    Values,
}

/// The bounds. Waiting and work together end before clients give up, which is after 10 s.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many lists run at once.
    pub lists: usize,
    /// How many questions run at once.
    pub questions: usize,
    /// How many status requests run at once.
    pub statuses: usize,
    /// How many large bodies are parsed at once.
    pub bodies: usize,
    /// How many large values are read at once.
    pub values: usize,
    /// How many more places each lane has for operators only.
    pub reserve: usize,
    /// How long to wait for a place.
    pub patience: Duration,
    /// How long the work may take.
    pub budget: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            lists: 4,
            questions: 2,
            statuses: 2,
            bodies: 2,
            values: 2,
            reserve: 2,
            patience: Duration::from_secs(2),
            budget: Duration::from_secs(5),
        }
    }
}

/// The places for work that takes long.
#[derive(Debug)]
pub struct LongWork {
    lists: Places,
    questions: Places,
    statuses: Places,
    bodies: Places,
    values: Places,
    threads: Threads,
    bounds: Bounds,
}

/// The deadline of the work.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    budget: Duration,
    instead: &'static str,
}

impl Deadline {
    /// Whether there is time left. Every step of the work checks it.
    ///
    /// # Errors
    /// [`Error::TookTooLong`].
    pub fn check(&self) -> Result<(), Error> {
        if Instant::now() < self.at {
            return Ok(());
        }
        Err(Error::TookTooLong { budget: self.budget, instead: self.instead })
    }
}

impl LongWork {
    /// With these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            lists: Places::new(bounds.lists, bounds.reserve),
            questions: Places::new(bounds.questions, bounds.reserve),
            statuses: Places::new(bounds.statuses, bounds.reserve),
            bodies: Places::new(bounds.bodies, bounds.reserve),
            values: Places::new(bounds.values, bounds.reserve),
            threads: Threads::default(),
            bounds,
        }
    }

    /// Runs `work` for `caller` on another thread. If it takes too long, the error suggests `instead`.
    ///
    /// The place is taken until the work has ended, even if the request was given up before.
    ///
    /// # Errors
    /// [`Error::Busy`] if no place became free, and the error of `work`.
    pub async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        caller: &Principal,
        instead: &'static str,
        work: impl FnOnce(Deadline) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.run_and_hold(lane, caller, instead, work).await.map(|(done, _place)| done)
    }

    /// As [`Self::run`]. The place is taken until it is dropped, so that few results exist at once.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_and_hold<'a, T: Send + 'static>(
        &'a self,
        lane: Lane,
        caller: &'a Principal,
        instead: &'static str,
        work: impl FnOnce(Deadline) -> Result<T, Error> + Send + 'static,
    ) -> BoxFuture<'a, Result<(T, Place), Error>> {
        let Bounds { patience, budget, .. } = self.bounds;
        let places = self.places(lane);
        // Boxed, so that requests that need no such work are small: each of them is moved to memory of its own.
        Box::pin(async move {
            let Ok(Ok(place)) = time::timeout(patience, places.take(caller)).await else {
                return Err(Error::Busy);
            };
            let work = move || {
                let done = work(Deadline { at: Instant::now() + budget, budget, instead })?;
                Ok((done, place))
            };
            // A panic goes on here, so that the guard of the request sees it.
            self.threads.run(work).await
        })
    }

    const fn places(&self, lane: Lane) -> &Places {
        match lane {
            Lane::Lists => &self.lists,
            Lane::Questions => &self.questions,
            Lane::Status => &self.statuses,
            Lane::Bodies => &self.bodies,
            Lane::Values => &self.values,
        }
    }
}

impl Default for LongWork {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

/// The places of one lane.
#[derive(Debug)]
struct Places {
    open: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    /// How many of them one SPIFFE ID may have.
    each: usize,
    /// The limit of every SPIFFE ID that has a place or waits for one.
    shares: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

/// One place, which also counts against the limit of its SPIFFE ID.
#[derive(Debug)]
pub struct Place {
    _place: OwnedSemaphorePermit,
    _share: Option<OwnedSemaphorePermit>,
}

impl Places {
    fn new(open: usize, reserve: usize) -> Self {
        Self {
            open: Arc::new(Semaphore::new(open)),
            reserved: Arc::new(Semaphore::new(reserve)),
            each: (open / 2).max(1),
            shares: Mutex::default(),
        }
    }

    /// Waits for a place. A SPIFFE ID has no more requests waiting than it may have places.
    async fn take(&self, caller: &Principal) -> Result<Place, AcquireError> {
        let open = || Arc::clone(&self.open).acquire_owned();
        match caller.class() {
            Class::Ordinary => {
                let share = self.share(&caller.shared_id()).acquire_owned().await?;
                Ok(Place { _place: open().await?, _share: Some(share) })
            }
            Class::Reserved => {
                let place = tokio::select! {
                    place = open() => place,
                    place = Arc::clone(&self.reserved).acquire_owned() => place,
                };
                Ok(Place { _place: place?, _share: None })
            }
        }
    }

    fn share(&self, id: &Arc<str>) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(id).and_then(Weak::upgrade) {
            return share;
        }
        // Limits of IDs without any request are dropped.
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.each));
        shares.insert(Arc::clone(id), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use spike_mtls::Peer;
    use tokio::task;

    use super::*;

    const INSTEAD: &str = "ask for less";

    fn one_at_a_time() -> LongWork {
        let bounds = Bounds {
            questions: 1,
            reserve: 1,
            patience: Duration::from_millis(10),
            ..Bounds::default()
        };
        LongWork::new(bounds)
    }

    fn workload(name: &str) -> Principal {
        Principal::from(&Peer::unverified(&format!("spiffe://spike.ist/{name}")))
    }

    fn operator() -> Principal {
        Principal::from(&Peer::unverified_of("spiffe://spike.ist/operator", Class::Reserved))
    }

    type Occupied = (mpsc::Sender<()>, task::JoinHandle<Result<(), Error>>);

    /// Takes the only place for questions until the sender is used or dropped.
    fn occupy(work: &Arc<LongWork>) -> Occupied {
        occupy_as(work, Lane::Questions, workload("first"))
    }

    /// Takes a place, or waits for one.
    fn occupy_as(work: &Arc<LongWork>, lane: Lane, caller: Principal) -> Occupied {
        let (end, ended) = mpsc::channel::<()>();
        let work = Arc::clone(work);
        let occupied = tokio::spawn(async move {
            let wait = move |_| {
                ended.recv().ok();
                Ok(())
            };
            work.run(lane, &caller, INSTEAD, wait).await
        });
        (end, occupied)
    }

    async fn until_busy(work: &LongWork) {
        while work.questions.open.available_permits() > 0 {
            task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn more_than_there_are_places_for_are_told_to_come_again() {
        let work = Arc::new(one_at_a_time());
        let (end, occupied) = occupy(&work);
        until_busy(&work).await;
        let refused = work.run(Lane::Questions, &workload("second"), INSTEAD, |_| Ok(())).await;
        assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
        // Another lane is not held up.
        assert!(work.run(Lane::Lists, &workload("second"), INSTEAD, |_| Ok(())).await.is_ok());
        assert!(work.run(Lane::Status, &workload("second"), INSTEAD, |_| Ok(())).await.is_ok());
        end.send(()).unwrap();
        assert!(occupied.await.unwrap().is_ok());
        assert!(work.run(Lane::Questions, &workload("second"), INSTEAD, |_| Ok(())).await.is_ok());
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_does_not_free_the_place_of_work_that_goes_on() {
        let work = Arc::new(one_at_a_time());
        let (end, occupied) = occupy(&work);
        until_busy(&work).await;
        occupied.abort();
        assert!(occupied.await.unwrap_err().is_cancelled());
        let refused = work.run(Lane::Questions, &workload("second"), INSTEAD, |_| Ok(())).await;
        assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
        end.send(()).unwrap();
        while work.questions.open.available_permits() == 0 {
            task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn work_that_takes_too_long_ends_with_what_to_ask_for_instead() {
        let bounds = Bounds { budget: Duration::from_millis(5), ..Bounds::default() };
        let endless = |deadline: Deadline| -> Result<(), Error> {
            loop {
                deadline.check()?;
            }
        };
        let ended = LongWork::new(bounds).run(Lane::Questions, &operator(), INSTEAD, endless).await;
        let text = ended.unwrap_err().to_string();
        assert_eq!(text, "it took longer than 5ms and was given up: ask for less");
    }

    #[tokio::test]
    async fn a_panic_in_the_work_is_one_of_the_request() {
        let work = Arc::new(one_at_a_time());
        let worker = Arc::clone(&work);
        let request = tokio::spawn(async move {
            worker.run::<()>(Lane::Questions, &operator(), INSTEAD, |_| panic!("a bug")).await
        });
        assert!(request.await.unwrap_err().is_panic());
        assert!(
            work.run(Lane::Questions, &workload("second"), INSTEAD, |_| Ok(())).await.is_ok(),
            "the place is free"
        );
    }

    fn without_waiting() -> Arc<LongWork> {
        Arc::new(LongWork::new(Bounds { patience: Duration::from_millis(10), ..Bounds::default() }))
    }

    #[tokio::test]
    async fn a_workload_that_lists_all_the_time_leaves_half_of_the_lane_to_others() {
        let work = without_waiting();
        let half = Bounds::default().lists / 2;
        let held = [(); 2].map(|()| occupy_as(&work, Lane::Lists, workload("first")));
        while work.lists.open.available_permits() > half {
            task::yield_now().await;
        }
        let own = work.run(Lane::Lists, &workload("first"), INSTEAD, |_| Ok(())).await;
        assert!(matches!(own, Err(Error::Busy)), "{own:?}");
        let other = work.run(Lane::Lists, &workload("second"), INSTEAD, |_| Ok(())).await;
        assert!(other.is_ok(), "{other:?}");
        assert_eq!(work.lists.shares.lock().unwrap().len(), 2);
        drop(held);
    }

    #[tokio::test]
    async fn an_operator_gets_in_where_workloads_have_every_place_of_a_lane() {
        let work = without_waiting();
        for lane in [Lane::Lists, Lane::Questions, Lane::Status, Lane::Bodies, Lane::Values] {
            let places = work.places(lane);
            let mut held = Vec::new();
            while places.open.available_permits() > 0 {
                let name = format!("w{}", held.len());
                let left = places.open.available_permits();
                held.push(occupy_as(&work, lane, workload(&name)));
                while places.open.available_permits() == left {
                    task::yield_now().await;
                }
            }
            let third = work.run(lane, &workload("another"), INSTEAD, |_| Ok(())).await;
            assert!(matches!(third, Err(Error::Busy)), "{lane:?}: {third:?}");
            let answered = work.run(lane, &operator(), INSTEAD, |_| Ok(())).await;
            assert!(answered.is_ok(), "{lane:?}: {answered:?}");
        }
    }
}
