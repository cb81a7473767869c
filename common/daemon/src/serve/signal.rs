//! Tells a connection from outside that it must end.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU8, Ordering},
    task::Poll,
};

use futures_util::task::AtomicWaker;

/// How far the end of a connection has come. Each stage includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It serves.
    Open = 0,
    /// Its HTTP/1 answers ask the peer to reconnect.
    Notice = 1,
    /// It takes no new requests, and ends with those that it has.
    Ending = 2,
    /// It is not read any more, unless its peer takes an answer over HTTP/2: then it takes no new request.
    Unread = 3,
    /// It is cut at once.
    Cut = 4,
}

impl Stage {
    const fn of(stage: u8) -> Self {
        match stage {
            0 => Self::Open,
            1 => Self::Notice,
            2 => Self::Ending,
            3 => Self::Unread,
            _ => Self::Cut,
        }
    }
}

/// The stage of one connection, and the task that serves it.
#[derive(Debug, Default)]
pub(super) struct EndSignal {
    stage: AtomicU8,
    task: AtomicWaker,
}

impl EndSignal {
    pub(super) fn stage(&self) -> Stage {
        Stage::of(self.stage.load(Ordering::Acquire))
    }

    /// Advances to `stage`, unless the connection is further already.
    pub(super) fn raise(&self, stage: Stage) {
        if self.stage.fetch_max(stage as u8, Ordering::AcqRel) < stage as u8 {
            self.task.wake();
        }
    }

    /// Waits until the stage is past `seen`. For one task at a time.
    pub(super) async fn past(&self, seen: Stage) -> Stage {
        poll_fn(|cx| {
            if self.stage() <= seen {
                self.task.register(cx.waker());
            }
            // Again, because it may have advanced in between.
            let stage = self.stage();
            if stage > seen { Poll::Ready(stage) } else { Poll::Pending }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_woken_by_the_next_stage_and_none_is_taken_back() {
        let signal = Arc::new(EndSignal::default());
        let waiting = tokio::spawn({
            let signal = Arc::clone(&signal);
            async move {
                let ending = signal.past(Stage::Notice).await;
                (ending, signal.past(ending).await)
            }
        });
        tokio::task::yield_now().await;
        for stage in [Stage::Notice, Stage::Ending, Stage::Notice] {
            signal.raise(stage);
            tokio::task::yield_now().await;
        }
        assert_eq!(signal.stage(), Stage::Ending);
        signal.raise(Stage::Cut);
        assert_eq!(waiting.await.unwrap(), (Stage::Ending, Stage::Cut));
    }

    #[tokio::test]
    async fn a_stage_that_was_raised_before_is_seen_at_once() {
        let signal = EndSignal::default();
        signal.raise(Stage::Cut);
        assert_eq!(signal.past(Stage::Open).await, Stage::Cut);
    }
}
