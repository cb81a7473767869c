//! Work over many policies or names: off the threads that serve requests, few at once, and for so long only.
//!
//! There is a lane for each kind of it, so that questions of operators do not hold up lists of workloads, and neither
//! holds up the status. Whoever finds a lane full waits a moment and is then told to come again.

use std::{
    panic,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task, time};

use crate::error::Error;

/// A kind of work that has its own place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Lists of the names of secrets.
    Lists,
    /// What operators ask about policies.
    Questions,
    /// How Nexus is.
    Status,
}

/// The bounds. With the pause before it, work ends before clients stop waiting for an answer, which is after 10 s.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many lists are made at once.
    pub lists: usize,
    /// How many questions are answered at once.
    pub questions: usize,
    /// How many statuses are made at once.
    pub statuses: usize,
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
            patience: Duration::from_secs(2),
            budget: Duration::from_secs(5),
        }
    }
}

/// The places for work that takes long.
#[derive(Debug)]
pub struct LongWork {
    lists: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    statuses: Arc<Semaphore>,
    bounds: Bounds,
}

/// When the work must end.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    budget: Duration,
    instead: &'static str,
}

impl Deadline {
    /// Whether there is time left. It is asked at every step of the work.
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
            lists: Arc::new(Semaphore::new(bounds.lists)),
            questions: Arc::new(Semaphore::new(bounds.questions)),
            statuses: Arc::new(Semaphore::new(bounds.statuses)),
            bounds,
        }
    }

    /// Does `work` on a thread of its own. `instead` says what to ask for where it takes too long.
    ///
    /// The place is taken until the work has ended, also where nobody waits for it any more.
    ///
    /// # Errors
    /// [`Error::Busy`] where no place became free, and what `work` ends in.
    pub async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        instead: &'static str,
        work: impl FnOnce(Deadline) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let Bounds { patience, budget, .. } = self.bounds;
        let places = match lane {
            Lane::Lists => &self.lists,
            Lane::Questions => &self.questions,
            Lane::Status => &self.statuses,
        };
        let Ok(Ok(place)) = time::timeout(patience, Arc::clone(places).acquire_owned()).await
        else {
            return Err(Error::Busy);
        };
        let done = task::spawn_blocking(move || {
            let done = work(Deadline { at: Instant::now() + budget, budget, instead });
            drop(place);
            done
        });
        match done.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                // As if it had happened here: whoever guards the request against panics takes it from here.
                Ok(cause) => panic::resume_unwind(cause),
                Err(_cancelled) => Err(Error::Ending),
            },
        }
    }
}

impl Default for LongWork {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const INSTEAD: &str = "ask for less";

    fn one_at_a_time() -> LongWork {
        let bounds =
            Bounds { questions: 1, patience: Duration::from_millis(10), ..Bounds::default() };
        LongWork::new(bounds)
    }

    /// Takes the only place for questions until the sender is used or dropped.
    fn occupy(work: &Arc<LongWork>) -> (mpsc::Sender<()>, task::JoinHandle<Result<(), Error>>) {
        let (end, ended) = mpsc::channel::<()>();
        let work = Arc::clone(work);
        let occupied = tokio::spawn(async move {
            let wait = move |_| {
                ended.recv().ok();
                Ok(())
            };
            work.run(Lane::Questions, INSTEAD, wait).await
        });
        (end, occupied)
    }

    async fn until_busy(work: &LongWork) {
        while work.questions.available_permits() > 0 {
            task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn more_than_there_are_places_for_are_told_to_come_again() {
        let work = Arc::new(one_at_a_time());
        let (end, occupied) = occupy(&work);
        until_busy(&work).await;
        let refused = work.run(Lane::Questions, INSTEAD, |_| Ok(())).await;
        assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
        // Another lane is not held up.
        assert!(work.run(Lane::Lists, INSTEAD, |_| Ok(())).await.is_ok());
        assert!(work.run(Lane::Status, INSTEAD, |_| Ok(())).await.is_ok());
        end.send(()).unwrap();
        assert!(occupied.await.unwrap().is_ok());
        assert!(work.run(Lane::Questions, INSTEAD, |_| Ok(())).await.is_ok());
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_does_not_free_the_place_of_work_that_goes_on() {
        let work = Arc::new(one_at_a_time());
        let (end, occupied) = occupy(&work);
        until_busy(&work).await;
        occupied.abort();
        assert!(occupied.await.unwrap_err().is_cancelled());
        let refused = work.run(Lane::Questions, INSTEAD, |_| Ok(())).await;
        assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
        end.send(()).unwrap();
        while work.questions.available_permits() == 0 {
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
        let ended = LongWork::new(bounds).run(Lane::Questions, INSTEAD, endless).await;
        let text = ended.unwrap_err().to_string();
        assert_eq!(text, "it took longer than 5ms and was given up: ask for less");
    }

    #[tokio::test]
    async fn a_panic_in_the_work_is_one_of_the_request() {
        let work = Arc::new(one_at_a_time());
        let worker = Arc::clone(&work);
        let request = tokio::spawn(async move {
            worker.run::<()>(Lane::Questions, INSTEAD, |_| panic!("a bug")).await
        });
        assert!(request.await.unwrap_err().is_panic());
        assert!(work.run(Lane::Questions, INSTEAD, |_| Ok(())).await.is_ok(), "the place is free");
    }
}
