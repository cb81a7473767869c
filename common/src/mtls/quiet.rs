//! A future that is asked only when it has something to say.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// A future beside another one that is polled far more often: it is left alone until it wakes its task itself.
pub(super) struct Quiet<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    /// Who hears the bell.
    task: Option<Waker>,
}

struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl<F> Quiet<F> {
    pub(super) fn new(future: F) -> Self {
        let bell = Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() };
        Self { future: Box::pin(future), bell: Arc::new(bell), task: None }
    }
}

impl<F: Future> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
            self.bell.task.register(cx.waker());
            self.task = Some(cx.waker().clone());
        }
        // Nearly always it has not, and looking costs less than taking.
        if !self.bell.rung.load(Ordering::Relaxed) || !self.bell.rung.swap(false, Ordering::AcqRel)
        {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.bell));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn, time::Duration};

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn it_is_asked_again_only_when_it_has_something_to_say() {
        let (say, said) = tokio::sync::oneshot::channel();
        let mut said = said.boxed();
        let asked = Cell::new(0);
        let mut quiet = Quiet::new(poll_fn(|cx| {
            asked.set(asked.get() + 1);
            said.as_mut().poll(cx)
        }));
        for _ in 0..100 {
            assert!(futures_util::poll!(&mut quiet).is_pending());
        }
        assert_eq!(asked.get(), 1);

        let speaker = tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            say.send("word").unwrap();
        });
        assert_eq!((&mut quiet).await, Ok("word"));
        assert_eq!(asked.get(), 2);
        speaker.await.unwrap();
    }

    #[tokio::test]
    async fn it_wakes_the_task_that_it_has_moved_to() {
        let (say, said) = tokio::sync::oneshot::channel();
        let mut quiet = Quiet::new(said);
        assert!(futures_util::poll!(&mut quiet).is_pending());
        let elsewhere = tokio::spawn(quiet);
        tokio::task::yield_now().await;
        say.send("word").unwrap();
        assert_eq!(elsewhere.await.unwrap(), Ok("word"));
    }
}
