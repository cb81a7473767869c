//! How many frames without a request an HTTP/2 peer may send.
//!
//! PINGs, settings, priorities, windows and frames of unknown types cost little each, and an ordinary client needs few. Without
//! a bound, a peer could keep a processor busy without ever sending a request, or with one every few seconds.

use std::time::{Duration, Instant};

/// Frames at once, and in a second on average.
const BURST: u64 = 2_000;
const PER_SECOND: u64 = 200;

/// Frames for each request: its reset, an empty end of its body, windows of its answer.
const PER_REQUEST: u64 = 4;

/// Bytes sent to the peer for which it may send a frame: it opens windows for them, or measures how fast they come.
const BYTES_PER_FRAME: u64 = 256;

/// The most that requests and answers can add.
const MOST: u64 = 20_000;

/// The frames that one peer may still send.
#[derive(Debug)]
pub(super) struct FrameBudget {
    left: u64,
    /// Bytes that do not make a frame yet.
    bytes: u64,
    refilled: Instant,
}

impl FrameBudget {
    pub(super) const fn new(now: Instant) -> Self {
        Self { left: BURST, bytes: 0, refilled: now }
    }

    /// So many bytes were sent to the peer.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.add(self.bytes / BYTES_PER_FRAME);
        self.bytes %= BYTES_PER_FRAME;
    }

    /// Takes `frames` that arrived with `requests` heads. `false`: there are too many.
    pub(super) fn take(&mut self, frames: u64, requests: u64, now: Instant) -> bool {
        self.add(requests.saturating_mul(PER_REQUEST));
        if frames > self.left {
            self.refill(now);
        }
        let is_within = frames <= self.left;
        self.left = self.left.saturating_sub(frames);
        is_within
    }

    /// Time alone adds no more than [`BURST`].
    fn refill(&mut self, now: Instant) {
        let each = Duration::from_secs(1) / u32::try_from(PER_SECOND).unwrap_or(u32::MAX);
        let elapsed = now.saturating_duration_since(self.refilled);
        let frames = u64::try_from(elapsed.as_nanos() / each.as_nanos()).unwrap_or(u64::MAX);
        if frames >= BURST {
            self.refilled = now;
        } else {
            self.refilled += each.saturating_mul(u32::try_from(frames).unwrap_or(u32::MAX));
        }
        self.left = self.left.max(self.left.saturating_add(frames).min(BURST));
    }

    fn add(&mut self, frames: u64) {
        self.left = self.left.saturating_add(frames).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_without_requests_come_to_an_end_however_seldom_a_request_is_among_them() {
        let start = Instant::now();
        let mut budget = FrameBudget::new(start);
        let mut frames = 0;
        for second in 0_u64.. {
            let now = start + Duration::from_secs(second);
            if !budget.take(1_000, u64::from(second % 5 == 0), now) {
                break;
            }
            frames += 1_000;
            assert!(frames < 10_000, "no end");
        }
    }

    #[test]
    fn a_peer_that_takes_its_time_may_go_on_without_end() {
        let start = Instant::now();
        let mut budget = FrameBudget::new(start);
        for second in 0..10_000 {
            assert!(budget.take(200, 0, start + Duration::from_secs(second)), "second {second}");
        }
        assert!(!budget.take(2_001, 0, start + Duration::from_secs(20_000)), "a burst has a bound");
    }

    #[test]
    fn windows_for_a_large_answer_and_resets_of_requests_are_not_held_against_a_peer() {
        let now = Instant::now();
        let mut budget = FrameBudget::new(now);
        for _ in 0..100_000 {
            budget.sent(4 * 1024);
            assert!(budget.take(2, 0, now));
            assert!(budget.take(2, 1, now));
        }
    }
}
