//! Work on a thread of its own, done once for all who ask while it was done before. A disk may hold it up: then whoever wants its result
//! waits for it for a moment only.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, TrySendError},
    },
    thread,
    time::Duration,
};

use spike_mtls::clock::Moment;
use time::OffsetDateTime;
use tokio::{sync::watch, time::timeout};

use crate::UnderWay;

/// How long a fresh result is waited for.
const FRESH_WITHIN: Duration = Duration::from_secs(1);

/// How long the work may take without being held up.
pub(crate) const HELD_UP: Duration = Duration::from_secs(3);

/// Work that is done again and again, and its last result. Dropping this ends the thread, once the work ends.
#[derive(Debug)]
pub(super) struct Apart<T> {
    asked: mpsc::SyncSender<()>,
    state: Arc<Mutex<State<T>>>,
    /// How often the work has ended.
    ended: watch::Receiver<u64>,
}

#[derive(Debug)]
struct State<T> {
    /// How often the work has begun.
    begun: u64,
    under_way: UnderWay,
    last: Option<T>,
}

impl<T: Clone + Send + 'static> Apart<T> {
    /// Starts the thread `name`. The work is not done before somebody asks for it.
    pub(super) fn start(name: &str, work: impl Fn() -> T + Send + 'static) -> Self {
        // One that waits is enough: it begins after everybody who asks meanwhile.
        let (asked, asks) = mpsc::sync_channel(1);
        let (end, ended) = watch::channel(0);
        let state = State { begun: 0, under_way: UnderWay::default(), last: None };
        let state = Arc::new(Mutex::new(state));
        let own = Arc::clone(&state);
        let run = move || {
            while asks.recv().is_ok() {
                let number = lock(&own).begin();
                // After a panic there is no result, rather than an old one for ever.
                let result = catch_unwind(AssertUnwindSafe(&work)).ok();
                lock(&own).end(result);
                end.send_replace(number);
            }
        };
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(run) {
            tracing::error!(name, reason = %error, "no thread for this work");
        }
        Self { asked, state, ended }
    }

    /// Has the work done again and waits until it has ended, for a second at most; not at all if it is known to take longer.
    pub(super) async fn fresh(&self) {
        if lock(&self.state).under_way.for_at_least(FRESH_WITHIN).is_none() {
            drop(timeout(FRESH_WITHIN, self.done_again()).await);
        }
    }

    /// Has the work done again, and returns the result once it has ended, however long that takes. `None`: it panicked.
    pub(super) async fn next(&self) -> Option<T> {
        self.done_again().await;
        self.last()
    }

    /// Has the work done again and waits until it has ended.
    async fn done_again(&self) {
        let number = lock(&self.state).begun + 1;
        if matches!(self.asked.try_send(()), Err(TrySendError::Disconnected(()))) {
            return;
        }
        let mut ended = self.ended.clone();
        // It fails only without the thread.
        ended.wait_for(|ended| *ended >= number).await.ok();
    }

    /// The last result. `None`: there is none yet, or the work panicked the last time.
    pub(super) fn last(&self) -> Option<T> {
        lock(&self.state).last.clone()
    }

    /// Since when the work is held up, if it is.
    pub(super) fn held_up(&self) -> Option<OffsetDateTime> {
        lock(&self.state).under_way.for_at_least(HELD_UP).map(Moment::wall)
    }
}

impl<T> State<T> {
    fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.under_way.begin();
        self.begun
    }

    fn end(&mut self, result: Option<T>) {
        self.under_way.end();
        self.last = result;
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[tokio::test]
    async fn a_fresh_result_is_of_work_that_began_after_it_was_asked_for() {
        let now = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&now);
        let apart = Apart::start("test", move || read.load(Relaxed));
        assert_eq!(apart.last(), None);
        for round in 1..100 {
            now.store(round, Relaxed);
            apart.fresh().await;
            assert_eq!(apart.last(), Some(round));
        }
        assert_eq!(apart.held_up(), None);
    }

    #[tokio::test]
    async fn work_that_is_held_up_is_told_and_its_last_result_stays() {
        let (release, held) = mpsc::channel::<()>();
        let count = AtomicU64::new(0);
        let apart = Apart::start("test", move || {
            let number = count.fetch_add(1, Relaxed);
            if number > 0 {
                held.recv().ok();
            }
            number
        });
        apart.fresh().await;
        while apart.held_up().is_none() {
            apart.fresh().await;
            assert_eq!(apart.last(), Some(0));
            tokio::task::yield_now().await;
        }
        drop(release);
        while apart.held_up().is_some() || apart.last() == Some(0) {
            apart.fresh().await;
            tokio::task::yield_now().await;
        }
    }

    /// The thread ended: its last result stayed for ever, and was told as held up by a disk.
    #[tokio::test]
    async fn work_that_panics_has_no_result_and_is_done_again() {
        let count = AtomicU64::new(0);
        let apart = Apart::start("test", move || {
            let number = count.fetch_add(1, Relaxed);
            assert!(number != 1, "a bug");
            number
        });
        for result in [Some(0), None, Some(2)] {
            apart.fresh().await;
            assert_eq!((apart.last(), apart.held_up()), (result, None));
        }
    }
}
