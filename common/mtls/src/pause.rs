//! A connection that is not read for a while.

use std::{
    pin::Pin,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

use crate::budget::Account;

/// When a connection may be read again. What its peer sends meanwhile stays with the operating system and the peer:
/// unread bytes need not be decrypted, parsed and answered.
#[derive(Debug)]
pub struct Pause {
    opened: Instant,
    /// In milliseconds since the connection was opened; 0 if it may be read.
    until: AtomicU64,
    /// Of which its SPIFFE ID holds something while it is slowed down.
    delayed: OnceLock<Account>,
}

impl Pause {
    /// A connection without a pause.
    pub fn none() -> Self {
        Self { opened: Instant::now(), until: AtomicU64::new(0), delayed: OnceLock::new() }
    }

    /// Stops reading the connection for `time`, or longer if an earlier pause ends later.
    pub fn begin(&self, time: Duration) {
        let until = self.opened.elapsed() + time;
        self.until.fetch_max(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether there is a pause now.
    pub fn is_on(&self) -> bool {
        self.end().is_some()
    }

    /// From now on the peer counts as slowed down while its SPIFFE ID holds anything of `delayed`. Only the first call counts.
    pub fn slow_down_by(&self, delayed: Account) {
        self.delayed.get_or_init(|| delayed);
    }

    /// Whether its SPIFFE ID is slowed down, on whatever connection.
    pub fn is_slowed_down(&self) -> bool {
        self.delayed.get().is_some_and(|delayed| delayed.used() > 0)
    }

    /// The end of the pause, if there is one.
    fn end(&self) -> Option<Instant> {
        let until = match self.until.load(Relaxed) {
            0 => return None,
            until => until,
        };
        let end = self.opened + Duration::from_millis(until);
        if end > Instant::now() {
            return Some(end);
        }
        // Unless another pause has begun meanwhile.
        self.until.compare_exchange(until, 0, Relaxed, Relaxed).ok();
        None
    }
}

/// Waits for the end of a [`Pause`]. It has a timer only during a pause.
#[derive(Debug, Default)]
pub struct Paused(Option<Pin<Box<Sleep>>>);

impl Paused {
    /// Ready when the connection may be read.
    pub fn poll_over(&mut self, pause: &Pause, context: &mut Context<'_>) -> Poll<()> {
        while let Some(end) = pause.end() {
            let end = end.into();
            let timer = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
            if timer.deadline() != end {
                timer.as_mut().reset(end);
            }
            ready!(timer.as_mut().poll(context));
        }
        self.0 = None;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test]
    async fn a_short_pause_does_not_end_a_long_one() {
        let (pause, mut paused) = (Pause::none(), Paused::default());
        pause.begin(Duration::from_millis(100));
        pause.begin(Duration::from_millis(1));
        std::future::poll_fn(|context| paused.poll_over(&pause, context)).await;
        assert!(pause.opened.elapsed() >= Duration::from_millis(100));
    }

    #[tokio::test]
    async fn a_pause_ends_by_itself_and_wakes_whoever_waits() {
        let (pause, mut paused) = (Pause::none(), Paused::default());
        let mut context = Context::from_waker(Waker::noop());
        assert!(paused.poll_over(&pause, &mut context).is_ready());
        pause.begin(Duration::from_millis(20));
        assert!(paused.poll_over(&pause, &mut context).is_pending());
        pause.begin(Duration::from_millis(40));
        std::future::poll_fn(|context| paused.poll_over(&pause, context)).await;
        assert!(pause.opened.elapsed() >= Duration::from_millis(40));
        assert!(paused.poll_over(&pause, &mut context).is_ready());
        assert!(paused.0.is_none(), "no timer is kept");
    }
}
