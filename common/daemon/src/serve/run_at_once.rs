//! Begins a stream of HTTP/2 as soon as its head has been read.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use hyper::rt::Executor;

/// Runs a stream as far as it comes before the next head is read, and in a task of its own only from there on.
///
/// The library reads all heads that have arrived, up to the limit of streams, before any task of theirs runs. So a thousand connections
/// with a hundred short heads each had a hundred thousand requests in memory, all of them before the first was counted or refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunAtOnce;

impl<F> Executor<F> for RunAtOnce
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut stream: Pin<Box<F>> = Box::pin(stream);
        // The task polls it again, with the waker that counts.
        let mut nobody = Context::from_waker(Waker::noop());
        // As in a task, a panic ends this stream only.
        let polled = catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll(&mut nobody)));
        if matches!(polled, Ok(Poll::Pending)) {
            tokio::spawn(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use super::*;

    #[tokio::test]
    async fn what_can_end_at_once_ends_before_the_next_is_begun() {
        let done = Arc::new(AtomicUsize::new(0));
        for number in 0..3 {
            let done = Arc::clone(&done);
            RunAtOnce.execute(async move {
                assert_eq!(done.fetch_add(1, Relaxed), number);
            });
        }
        assert_eq!(done.load(Relaxed), 3);
    }

    #[tokio::test]
    async fn what_has_to_wait_is_woken_and_a_panic_ends_nothing_else() {
        let (wake, woken) = tokio::sync::oneshot::channel();
        let (done, ended) = tokio::sync::oneshot::channel();
        RunAtOnce.execute(async move {
            done.send(woken.await.is_ok()).ok();
        });
        RunAtOnce.execute(async { panic!("a bug") });
        wake.send(()).unwrap();
        assert!(ended.await.unwrap());
    }
}
