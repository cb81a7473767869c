//! Requests that run to their end, even if their connection breaks.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::task::JoinHandle;

/// Work that continues in a task of its own if this future is dropped.
///
/// Most requests complete at the first poll, on the thread of their connection. One that has to wait is moved to a task
/// before anything can drop it, so that its changes, its audit line and its count happen together.
pub(super) struct RunToEnd<F: Future, S> {
    stage: Stage<F>,
    /// Begins the task.
    spawn: Option<S>,
}

enum Stage<F: Future> {
    Here(Pin<Box<F>>),
    InTask(JoinHandle<F::Output>),
    /// Between the two.
    Moving,
}

impl<F: Future, S> RunToEnd<F, S> {
    pub(super) fn new(work: F, spawn: S) -> Self {
        Self { stage: Stage::Here(Box::pin(work)), spawn: Some(spawn) }
    }
}

impl<F, S> Future for RunToEnd<F, S>
where
    F: Future,
    S: FnOnce(Pin<Box<F>>) -> JoinHandle<F::Output> + Unpin,
{
    /// `None` if the task panicked.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Here(work) = &mut self.stage {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            if let Stage::Here(work) = std::mem::replace(&mut self.stage, Stage::Moving)
                && let Some(spawn) = self.spawn.take()
            {
                self.stage = Stage::InTask(spawn(work));
            }
        }
        match &mut self.stage {
            Stage::InTask(task) => Poll::Ready(ready!(Pin::new(task).poll(cx)).ok()),
            Stage::Here(_) | Stage::Moving => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::poll;
    use tokio_util::task::TaskTracker;

    use super::*;

    /// Yields `yields` times, and records that it is done.
    async fn work(yields: usize, done: Arc<AtomicUsize>) -> &'static str {
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        done.fetch_add(1, Ordering::Relaxed);
        "done"
    }

    #[tokio::test]
    async fn work_runs_to_its_end_however_early_its_answer_is_given_up() {
        for yields in 1..5 {
            for polls in 1..=yields {
                let (tasks, done) = (TaskTracker::new(), Arc::default());
                let work = work(yields, Arc::clone(&done));
                let mut run = Box::pin(RunToEnd::new(work, |work| tasks.spawn(work)));
                for _ in 0..polls {
                    assert!(poll!(run.as_mut()).is_pending());
                }
                drop(run);
                tasks.close();
                tasks.wait().await;
                assert_eq!(done.load(Ordering::Relaxed), 1, "{yields} yields, {polls} polls");
            }
        }
    }

    #[tokio::test]
    async fn work_that_ends_at_once_needs_no_task() {
        let (tasks, done) = (TaskTracker::new(), Arc::default());
        let mut run = RunToEnd::new(work(0, Arc::clone(&done)), |work| tasks.spawn(work));
        assert_eq!(poll!(&mut run), Poll::Ready(Some("done")));
        assert!(tasks.is_empty());
        assert_eq!(RunToEnd::new(work(3, done), |work| tasks.spawn(work)).await, Some("done"));
    }

    #[tokio::test]
    async fn a_task_that_panics_is_reported() {
        let tasks = TaskTracker::new();
        let broken = async {
            tokio::task::yield_now().await;
            panic!("a bug");
        };
        assert_eq!(RunToEnd::new(broken, |work| tasks.spawn(work)).await, None::<()>);
    }
}
