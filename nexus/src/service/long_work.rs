//! Work over many policies or names, and over large bodies and values, and reads that the disk might hold up. It runs off the threads
//! that serve requests, a few at a time, within a time limit. If the disk hangs, the work is left behind with its place.
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
    /// Short reads of the store, while its disk may hang.
    Reads,
}

impl Lane {
    /// Whether its work reads the store.
    const fn needs_disk(self) -> bool {
        match self {
            // The status has a limit of its own, and makes recovery shares.
            Self::Status | Self::Bodies => false,
            Self::Lists | Self::Questions | Self::Values | Self::Reads => true,
        }
    }
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
    /// How many short reads are waited for at once. By default the store has as many connections for reading.
    pub reads: usize,
    /// How many more places each lane has for operators only.
    pub reserve: usize,
    /// How long to wait for a place.
    pub patience: Duration,
    /// How long the work may take.
    pub budget: Duration,
    /// How long work is waited for that the disk holds up.
    pub answer: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            lists: 4,
            questions: 2,
            statuses: 2,
            bodies: 2,
            values: 2,
            reads: 4,
            reserve: 2,
            patience: Duration::from_secs(2),
            budget: Duration::from_secs(5),
            answer: Duration::from_secs(7),
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
    reads: Places,
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
            reads: Places::new(bounds.reads, bounds.reserve),
            threads: Threads::default(),
            bounds,
        }
    }

    /// Runs `work` for `caller` on another thread. If it takes too long, the error suggests `instead`.
    ///
    /// The place is taken until the work has ended, even if the request was given up before.
    ///
    /// # Errors
    /// [`Error::Busy`] if no place became free; [`Error::StoreHangs`]; the error of `work`.
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
        let Bounds { patience, budget, answer, .. } = self.bounds;
        let places = self.places(lane);
        // Boxed, so that requests that need no such work are small: each of them is moved to memory of its own.
        Box::pin(async move {
            let Ok(Ok(place)) = time::timeout(patience, places.take(caller)).await else {
                return Err(match lane {
                    // Reads that hang have the places.
                    Lane::Reads => Error::StoreHangs(patience),
                    _ => Error::Busy,
                });
            };
            let work = move || {
                let done = work(Deadline { at: Instant::now() + budget, budget, instead })?;
                Ok((done, place))
            };
            // A panic goes on here, so that the guard of the request sees it.
            let done = self.threads.run(work);
            if lane.needs_disk() {
                time::timeout(answer, done).await.unwrap_or(Err(Error::StoreHangs(answer)))
            } else {
                done.await
            }
        })
    }

    const fn places(&self, lane: Lane) -> &Places {
        match lane {
            Lane::Lists => &self.lists,
            Lane::Questions => &self.questions,
            Lane::Status => &self.statuses,
            Lane::Bodies => &self.bodies,
            Lane::Values => &self.values,
            Lane::Reads => &self.reads,
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
mod tests;
