//! Threads for work that takes long.
//!
//! The thread that was idle last works next. So one caller after the other is served by few threads, and few of them keep
//! memory of their own: an allocator keeps some for each thread that ever needed much.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError, Weak, mpsc},
    thread,
};

use tokio::sync::oneshot;

use crate::error::Error;

/// Work, which returns how to hand over its result.
type Job = Box<dyn FnOnce() -> HandOver + Send>;
type HandOver = Box<dyn FnOnce() + Send>;

/// Threads that are started as they are needed, and end when this is dropped. Its user bounds how many work at once.
#[derive(Default)]
pub(super) struct Threads(Arc<Idle>);

/// The threads that have nothing to do.
#[derive(Default)]
struct Idle(Mutex<Vec<mpsc::Sender<Job>>>);

impl Threads {
    /// Runs `work` on another thread. A panic in it goes on here. The work is done even if this future is dropped. The thread
    /// is idle again before its result is here, so that whoever waited for that uses the same thread.
    ///
    /// # Errors
    /// The error of `work`; [`Error::Ending`] if no thread can be started.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            // Whoever waited may have gone.
            Box::new(move || drop(done.send(result))) as HandOver
        });
        self.hand_over(job)?;
        match result.await {
            Ok(Ok(result)) => result,
            Ok(Err(cause)) => resume_unwind(cause),
            Err(_thread_ended) => Err(Error::Ending),
        }
    }

    fn hand_over(&self, job: Job) -> Result<(), Error> {
        let mut job = job;
        while let Some(thread) = self.0.pop() {
            match thread.send(job) {
                Ok(()) => return Ok(()),
                Err(mpsc::SendError(unsent)) => job = unsent,
            }
        }
        let idle = Arc::downgrade(&self.0);
        let work = move || work_while_there_is_some(&idle, job);
        let started = thread::Builder::new().name("long-work".to_owned()).spawn(work);
        started.map(drop).map_err(|error| {
            tracing::error!(reason = %error, "cannot start a thread for long work");
            Error::Ending
        })
    }
}

impl Idle {
    fn pop(&self) -> Option<mpsc::Sender<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn push(&self, thread: mpsc::Sender<Job>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }
}

/// Does `job`, and then what is handed over, until nobody can hand over anything.
fn work_while_there_is_some(idle: &Weak<Idle>, job: Job) {
    let mut job = job;
    loop {
        let hand_over = job();
        let (give, jobs) = mpsc::channel();
        match idle.upgrade() {
            Some(threads) => threads.push(give),
            // Without an owner nobody hands anything over.
            None => drop(give),
        }
        hand_over();
        match jobs.recv() {
            Ok(next) => job = next,
            Err(mpsc::RecvError) => return,
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread::ThreadId;

    use super::*;

    async fn worker(threads: &Threads) -> ThreadId {
        threads.run(|| Ok(thread::current().id())).await.unwrap()
    }

    async fn until_idle(threads: &Threads, count: usize) {
        while threads.0.0.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }

    /// Any of the idle threads worked next, and each kept memory of the largest work that it ever did.
    #[tokio::test]
    async fn the_thread_that_was_idle_last_works_next() {
        let threads = Threads::default();
        let (end, ended) = mpsc::channel::<()>();
        let first = threads.run(move || {
            ended.recv().ok();
            Ok(thread::current().id())
        });
        let mut first = Box::pin(first);
        assert!(futures_util::poll!(&mut first).is_pending());
        let second = worker(&threads).await;
        end.send(()).unwrap();
        let first = first.await.unwrap();
        assert_ne!(first, second);
        until_idle(&threads, 2).await;
        let last = worker(&threads).await;
        for _ in 0..1000 {
            assert_eq!(worker(&threads).await, last, "it is idle before its result is here");
        }
    }

    #[tokio::test]
    async fn threads_end_with_their_owner_and_a_panic_ends_none() {
        let threads = Arc::new(Threads::default());
        let panicking = Arc::clone(&threads);
        let panicked = tokio::spawn(async move { panicking.run::<()>(|| panic!("a bug")).await });
        assert!(panicked.await.unwrap_err().is_panic());
        until_idle(&threads, 1).await;
        let idle = Arc::downgrade(&threads.0);
        drop(threads);
        assert!(idle.upgrade().is_none(), "no thread keeps it");
    }
}
