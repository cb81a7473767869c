//! What a connection is doing and since when, for its time limits.

pub(super) mod request;

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{limits::TimeLimits, requests::Excess, unread::UnreadAnswers};

/// What a connection takes too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A head is not complete, or the first one has not begun.
    Head,
    /// No request came.
    Idle,
    /// The peer does not read an answer.
    Answer,
}

/// What a connection is doing. Times are nanoseconds since it was opened, and at least 1.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) opened: Instant,
    /// Requests without an answer.
    working: AtomicUsize,
    /// Answers that the peer has not read, and since when each of them waits.
    unread: UnreadAnswers,
    /// Since when sent bytes wait for the peer; 0 if there are none.
    blocked_since: AtomicU64,
    /// When the last request ended, or the peer last read a part of an answer.
    since: AtomicU64,
    /// When the peer last took something that had waited for it; 0 if it never did.
    taken_at: AtomicU64,
    /// Since when the last bytes that were written have not all been sent; 0 if they have.
    unflushed_since: AtomicU64,
    /// When the first byte of a head arrived; 0 while none is being received. HTTP/2: also of anything else that must
    /// be received quickly.
    head_since: AtomicU64,
    /// A head was not complete in time.
    is_head_late: AtomicBool,
    /// Any bytes arrived.
    has_received: AtomicBool,
    /// Bytes that arrived since the last request began or ended.
    received: AtomicU64,
    /// HTTP/2: heads that arrived.
    pub(super) heads: AtomicU64,
    /// Requests that began.
    begun: AtomicU64,
    /// HTTP/2: why the connection ends, if the peer sends too much for nothing.
    flood: OnceLock<&'static str>,
    /// All received bytes had been read when the stream was last polled.
    pub(super) is_drained: AtomicBool,
    /// HTTP/1.1: what arrived ends inside of a head.
    is_within_head: AtomicBool,
    /// HTTP/1.1: the requests that began are not those that were counted.
    is_out_of_step: AtomicBool,
    /// HTTP/1.1: what would be too much of the last head, as a number.
    excess: AtomicU8,
    /// HTTP/1.1: a whole head has arrived.
    has_head: AtomicBool,
    /// HTTP/1.1: a head was larger than those of ordinary clients.
    has_large_head: AtomicBool,
    /// HTTP/2 sends frames between requests (pings, windows), so a few bytes do not mean a request.
    pub(super) http2: bool,
}

/// HTTP/2: this many bytes without a request are a head that never ends, or useless.
const MANY_BYTES: u64 = 8 * 1024;

/// What waits for so long waits for the peer: not only for a thread.
const WAITING: Duration = Duration::from_millis(100);

/// At the end: how long the peer may take nothing of an answer that has just begun, and of one of which it has taken parts that waited for
/// it. Slow readers open windows in large steps, and the kernel of Linux tells of room only when a third of 4 MiB is free.
const FRESH: Duration = Duration::from_secs(3);
const STEADY: Duration = Duration::from_secs(5);

impl Activity {
    pub(super) fn new(http2: bool) -> Self {
        Self {
            opened: Instant::now(),
            working: AtomicUsize::new(0),
            unread: UnreadAnswers::default(),
            blocked_since: AtomicU64::new(0),
            since: AtomicU64::new(1),
            taken_at: AtomicU64::new(0),
            unflushed_since: AtomicU64::new(0),
            // The first request, or the start of an HTTP/2 connection, has the time limit of a head, as if its first
            // byte had arrived.
            head_since: AtomicU64::new(1),
            is_head_late: AtomicBool::new(false),
            has_received: AtomicBool::new(false),
            received: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            flood: OnceLock::new(),
            is_drained: AtomicBool::new(false),
            is_within_head: AtomicBool::new(false),
            has_head: AtomicBool::new(false),
            has_large_head: AtomicBool::new(false),
            is_out_of_step: AtomicBool::new(false),
            excess: AtomicU8::new(Excess::Bytes as u8),
            http2,
        }
    }

    /// Whether there is neither a request nor an unread answer.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_working() && self.unread.is_empty()
    }

    /// Whether a request is being carried out.
    pub(super) fn is_working(&self) -> bool {
        self.working.load(Relaxed) > 0
    }

    /// Since when the connection has been idle, or has not read an answer.
    pub(super) fn idle_since(&self) -> Instant {
        self.opened + Duration::from_nanos(self.since.load(Relaxed))
    }

    /// At the end of the listener: whether the connection may be cut. No request is being carried out, the last one ended so long
    /// `ago`, and the peer takes no answer.
    pub(super) fn has_ended(&self, ago: Duration, now: Instant) -> bool {
        let ago = if self.is_sending() { ago.max(FRESH) } else { ago };
        // The library takes parts of an answer over HTTP/1.1 also while nothing is sent.
        let unsent = [&self.blocked_since, &self.unflushed_since].map(|since| since.load(Relaxed));
        let since = unsent.into_iter().filter(|since| *since > 0);
        let since = since.fold(self.since.load(Relaxed), u64::min);
        self.waited(since, now) >= ago && !self.is_working() && !self.is_taken(now)
    }

    /// HTTP/2: whether an answer, or what is left of it in the kernel, needs the windows that the peer opens.
    pub(super) fn needs_windows(&self, now: Instant) -> bool {
        self.http2 && (self.is_sending() || self.is_taken(now))
    }

    fn is_sending(&self) -> bool {
        !self.unread.is_empty() || self.unflushed_since.load(Relaxed) > 0
    }

    /// Whether the peer takes what waits for it, though maybe slowly.
    fn is_taken(&self, now: Instant) -> bool {
        let taken_at = self.taken_at.load(Relaxed);
        taken_at > 0 && self.waited(taken_at, now) < STEADY
    }

    /// Records that the peer takes something now that has waited since then.
    fn took(&self, since: u64, now: Instant) {
        if self.waited(since, now) >= WAITING {
            self.taken_at.store(self.nanos(now), Relaxed);
        }
    }

    /// What it takes too long for at `now`, if anything. A request that is being carried out has limits of its own, and
    /// does not suspend these.
    pub(super) fn overdue(&self, limits: &TimeLimits, now: Instant) -> Option<Overdue> {
        let is_over = |since: u64, limit: Duration| since > 0 && self.waited(since, now) > limit;
        let unread = self.unread.longest().unwrap_or_default();
        if is_over(unread, limits.stall) || is_over(self.blocked_since.load(Relaxed), limits.stall)
        {
            return Some(Overdue::Answer);
        }
        let head_since = self.head_since.load(Relaxed);
        if is_over(head_since, limits.head) {
            return Some(Overdue::Head);
        }
        if head_since > 0 || !self.is_idle() {
            return None;
        }
        let has_many = self.http2 && self.received.load(Relaxed) > MANY_BYTES;
        let limit = if has_many { limits.head } else { limits.idle };
        is_over(self.since.load(Relaxed), limit).then_some(Overdue::Idle)
    }

    /// Records that the connection is not read for a time. A head that is being received is not late for that. Returns
    /// whether there is one, for [`Self::resume_head`].
    pub(super) fn suspend_head(&self) -> bool {
        self.head_since.swap(0, Relaxed) > 0
    }

    /// Records that the connection is read again: the head has its whole time from now on.
    pub(super) fn resume_head(&self, now: Instant) {
        self.head_since.store(self.nanos(now), Relaxed);
    }

    /// Records that a head was not complete in time; the connection is cut for it.
    pub(super) fn head_is_late(&self) {
        self.is_head_late.store(true, Relaxed);
    }

    /// Whether the connection is cut for an incomplete head.
    pub(super) fn has_late_head(&self) -> bool {
        self.is_head_late.load(Relaxed) && self.has_received.load(Relaxed)
    }

    /// HTTP/2: why the connection ends, if the peer sends too much for nothing.
    pub(super) fn flood(&self) -> Option<&'static str> {
        self.flood.get().copied()
    }

    /// HTTP/2: the peer sends too much for nothing, and the connection ends.
    pub(super) fn is_flooded(&self, reason: &'static str) {
        self.flood.get_or_init(|| reason);
    }

    /// How many requests began.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    /// HTTP/1.1: the requests that began are not those that were counted, and the connection ends.
    pub(super) fn lost_step(&self) {
        self.is_out_of_step.store(true, Relaxed);
    }

    /// HTTP/1.1: whether the connection ends for [`Self::lost_step`].
    pub(super) fn is_out_of_step(&self) -> bool {
        self.is_out_of_step.load(Relaxed)
    }

    /// HTTP/2: how many heads began no request.
    pub(super) fn heads_without_request(&self) -> u64 {
        self.heads.load(Relaxed).saturating_sub(self.begun.load(Relaxed))
    }

    /// Whether all received bytes had been read when the stream was last polled. Valid between two polls of the
    /// connection: then every complete frame has been processed.
    pub(super) fn is_drained(&self) -> bool {
        self.is_drained.load(Relaxed)
    }

    /// HTTP/1.1: whether the received bytes end inside of a head.
    pub(super) fn is_within_head(&self) -> bool {
        self.is_within_head.load(Relaxed)
    }

    /// HTTP/1.1: what is too much of the last head, if the library says that something is.
    pub(super) fn excess(&self) -> Excess {
        let code = self.excess.load(Relaxed);
        let all = [Excess::Bytes, Excess::Fields, Excess::Length];
        all.into_iter().find(|excess| *excess as u8 == code).unwrap_or(Excess::Bytes)
    }

    /// Records a head that was larger than those of ordinary clients.
    pub(super) fn head_was_large(&self) {
        self.has_large_head.store(true, Relaxed);
    }

    /// HTTP/1.1: whether the connection ends with its answer, because the library keeps the memory of a large head until then.
    pub(super) fn has_large_head(&self) -> bool {
        self.has_large_head.load(Relaxed)
    }

    /// Records what would be too much of the last head.
    pub(super) fn head_has(&self, excess: Excess) {
        self.excess.store(excess as u8, Relaxed);
    }

    /// HTTP/1.1: bytes arrived. `is_within`: they end inside of a head. `has_ended`: a head ended in them.
    pub(super) fn bytes_arrived(
        &self,
        is_within: bool,
        has_ended: bool,
        now: impl FnOnce() -> Instant,
    ) {
        self.has_received.store(true, Relaxed);
        self.is_within_head.store(is_within, Relaxed);
        self.has_head.fetch_or(has_ended, Relaxed);
        if !is_within {
            // Empty lines do not extend the time for the first head.
            if self.has_head.load(Relaxed) {
                self.head_since.store(0, Relaxed);
            }
        } else if self.is_idle() && (has_ended || self.head_since.load(Relaxed) == 0) {
            self.head_since.store(self.nanos(now()), Relaxed);
        }
    }

    /// HTTP/2: bytes arrived. `is_within`: more must follow soon. `has_ended`: something that had begun earlier is
    /// complete.
    pub(super) fn frames_arrived(
        &self,
        count: usize,
        is_within: bool,
        has_ended: bool,
        now: Instant,
    ) {
        self.has_received.store(true, Relaxed);
        self.received.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
        if !is_within {
            self.head_since.store(0, Relaxed);
        } else if has_ended || self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.nanos(now), Relaxed);
        }
    }

    /// HTTP/2: the peer has opened a window. While an answer waits for one, only what is sent through it counts.
    pub(super) fn window_opened(&self, now: Instant) {
        if self.unread.is_empty() {
            self.took(self.since.load(Relaxed), now);
        }
    }

    /// Records whether everything that was written has been sent.
    pub(super) fn flushed(&self, is_all: bool, now: impl FnOnce() -> Instant) {
        self.waits(&self.unflushed_since, !is_all, now);
    }

    /// Whether sent bytes wait for the peer.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.load(Relaxed) > 0
    }

    /// Records a write, and whether the peer does not read what was sent before.
    pub(super) fn wrote(&self, is_blocked: bool, now: impl FnOnce() -> Instant) {
        self.waits(&self.blocked_since, is_blocked, now);
    }

    fn waits(&self, since: &AtomicU64, is_waiting: bool, now: impl FnOnce() -> Instant) {
        let before = since.load(Relaxed);
        if is_waiting != (before > 0) {
            let now = now();
            if !is_waiting {
                self.took(before, now);
            }
            since.store(if is_waiting { self.nanos(now) } else { 0 }, Relaxed);
        }
    }

    fn touch(&self, at: Instant) {
        self.since.store(self.nanos(at), Relaxed);
    }

    fn waited(&self, since: u64, now: Instant) -> Duration {
        Duration::from_nanos(self.nanos(now).saturating_sub(since))
    }

    fn nanos(&self, at: Instant) -> u64 {
        let time = at.saturating_duration_since(self.opened);
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests;
