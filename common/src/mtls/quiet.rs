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

/// A future beside another one that is polled far more often: it is left alone until it wakes its task itself.
pub(super) struct Quiet<F> {
    future: Pin<Box<F>>,
    bell: Option<Arc<Bell>>,
}

/// What the future wakes. It never forgets its task: whoever rings for nothing is heard again.
struct Bell {
    rung: AtomicBool,
    task: Waker,
}

impl<F> Quiet<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future: Box::pin(future), bell: None }
    }
}

impl<F: Future> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, bell } = &mut *self;
        // Rung once, so that the future is asked by whichever task it has come to.
        let new = || Arc::new(Bell { rung: AtomicBool::new(true), task: cx.waker().clone() });
        let bell = bell.get_or_insert_with(new);
        if !bell.task.will_wake(cx.waker()) {
            *bell = new();
        }
        // Nearly always it has not rung, and looking costs less than taking.
        if !bell.rung.load(Ordering::Relaxed) || !bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(bell));
        future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
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
    async fn after_it_has_woken_for_nothing_it_is_still_heard() {
        let (say, said) = tokio::sync::oneshot::channel();
        let mut said = said.boxed();
        let mut woken_for_nothing = false;
        // A task of its own, which nothing else wakes.
        let quiet = tokio::spawn(Quiet::new(poll_fn(move |cx| {
            if !std::mem::replace(&mut woken_for_nothing, true) {
                // As tokio's own futures do when their task has had its share.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            said.as_mut().poll(cx)
        })));
        tokio::time::sleep(Duration::from_millis(10)).await;
        say.send("word").unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(10), quiet).await;
        assert_eq!(heard.expect("it is heard").unwrap(), Ok("word"));
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
