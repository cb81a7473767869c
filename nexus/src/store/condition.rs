//! The condition of the store: the outcome of the last commit and the last read, and whether the writer thread runs. Health
//! checks and metrics read it. It is based on outcomes, not on whether a file exists.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use spike_daemon::UnderWay;
use spike_domain::UnixNanos;
use spike_mtls::clock::Moment;

use super::format::keyring::KeyUse;

/// A failure that no later success has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error, with its causes.
    pub reason: String,
    /// When it began.
    pub since: UnixNanos,
}

/// A transaction that takes longer hangs: waiting for a lock ends after `SPIKE_NEXUS_DB_BUSY_TIMEOUT_MS`, 5 s by default.
const HANGS: Duration = Duration::from_secs(10);

/// How often a damaged file is examined at most.
const EXAMINED_EVERY: Duration = Duration::from_secs(10);

/// Shared by the writer thread, the readers, health checks and metrics.
#[derive(Debug)]
pub struct Condition {
    /// The writer thread runs.
    alive: AtomicBool,
    /// It ended by a panic.
    died: AtomicBool,
    commits: AtomicU64,
    failed_commits: AtomicU64,
    /// 0: none yet.
    last_commit: AtomicI64,
    transaction: UnderWay,
    writing: Mutex<Option<Failure>>,
    /// Whether `reading` holds a failure, so that a successful read costs one atomic load.
    read_failed: AtomicBool,
    /// A damaged page was read. No read of another page ends that.
    is_damaged: AtomicBool,
    /// When the last examination of a damaged file began, and whether it is under way.
    examined: Mutex<Option<Instant>>,
    is_examined: AtomicBool,
    reading: Mutex<Option<Failure>>,
    /// Whether commits are written down a second time, so that lost ones are noticed.
    notices_losses: AtomicBool,
    /// Why the policies in force may differ from those of the store.
    policies: Mutex<Option<String>>,
    /// The active data key, as of the last transaction.
    key: Mutex<KeyUse>,
    batch: Histogram,
    duration: Histogram,
}

impl Condition {
    pub(super) fn new(key: KeyUse) -> Self {
        Self {
            alive: AtomicBool::new(true),
            died: AtomicBool::new(false),
            commits: AtomicU64::new(0),
            failed_commits: AtomicU64::new(0),
            last_commit: AtomicI64::new(0),
            transaction: UnderWay::default(),
            writing: Mutex::default(),
            read_failed: AtomicBool::new(false),
            is_damaged: AtomicBool::new(false),
            examined: Mutex::default(),
            is_examined: AtomicBool::new(false),
            reading: Mutex::default(),
            notices_losses: AtomicBool::new(true),
            policies: Mutex::default(),
            key: Mutex::new(key),
            // 1 to 256 writes, the most in one transaction.
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            // 0.25 ms to 8 s.
            duration: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
        }
    }

    /// Whether commits are written down a second time, so that lost ones are noticed.
    pub fn notices_losses(&self) -> bool {
        self.notices_losses.load(Ordering::Relaxed)
    }

    pub(super) fn set_notices_losses(&self, does: bool) {
        self.notices_losses.store(does, Ordering::Relaxed);
    }

    /// Whether the writer thread runs.
    pub fn writer_is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Transactions that were committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Transactions that failed, or whose outcome is unknown.
    pub fn failed_commits(&self) -> u64 {
        self.failed_commits.load(Ordering::Relaxed)
    }

    /// When the last commit returned.
    pub fn last_commit(&self) -> Option<UnixNanos> {
        Some(self.last_commit.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    /// When the current transaction began, if it hangs.
    pub fn hangs_since(&self) -> Option<Moment> {
        self.transaction.for_at_least(HANGS)
    }

    /// Writes in one transaction.
    pub const fn batch(&self) -> &Histogram {
        &self.batch
    }

    /// Seconds from the begin of a transaction to the end of its commit.
    pub const fn duration(&self) -> &Histogram {
        &self.duration
    }

    /// Why the last attempt to write failed, if it did.
    pub fn write_failure(&self) -> Option<Failure> {
        lock(&self.writing).clone()
    }

    /// Why the last read failed, if it did.
    pub fn read_failure(&self) -> Option<Failure> {
        if self.read_failed.load(Ordering::Relaxed) { lock(&self.reading).clone() } else { None }
    }

    /// Why the policies in force may differ from those of the store.
    pub fn policy_failure(&self) -> Option<String> {
        lock(&self.policies).clone()
    }

    /// How much the active data key is used, as of the last transaction.
    pub fn key_use(&self) -> KeyUse {
        *lock(&self.key)
    }

    pub(super) fn key_is_used(&self, key: KeyUse) {
        *lock(&self.key) = key;
    }

    pub(super) fn begins(&self, now: Moment) {
        self.transaction.begin_at(now);
    }

    pub(super) fn ends(&self) {
        self.transaction.end();
    }

    pub(super) fn committed(&self, writes: usize, took: Duration, now: UnixNanos) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.last_commit.store(now, Ordering::Relaxed);
        // At most 256.
        self.batch.observe(u32::try_from(writes).map_or(f64::MAX, f64::from));
        self.duration.observe(took.as_secs_f64());
    }

    pub(super) fn commit_failed(&self) {
        self.failed_commits.fetch_add(1, Ordering::Relaxed);
    }

    /// A write succeeded.
    pub(super) fn can_write(&self) {
        if lock(&self.writing).take().is_some() {
            tracing::warn!("the store can be written again");
        }
    }

    /// A write failed. The condition keeps the time of the first failure and the last reason.
    pub(super) fn cannot_write(&self, reason: String, now: UnixNanos) {
        let mut writing = lock(&self.writing);
        let since = writing.as_ref().map_or(now, |before| before.since);
        if writing.is_none() {
            tracing::error!(reason, "the store cannot be written");
        }
        *writing = Some(Failure { reason, since });
    }

    /// A read succeeded. That ends a failure, unless the file is damaged.
    pub(super) fn can_read(&self) {
        let has_failed = self.read_failed.load(Ordering::Relaxed);
        if has_failed && !self.is_damaged.load(Ordering::Relaxed) {
            let mut reading = lock(&self.reading);
            self.read_failed.store(false, Ordering::Relaxed);
            if reading.take().is_some() {
                tracing::warn!("the store can be read again");
            }
        }
    }

    /// A read failed.
    pub(super) fn cannot_read(&self, reason: String, now: UnixNanos) {
        let mut reading = lock(&self.reading);
        let since = reading.as_ref().map_or(now, |before| before.since);
        if reading.is_none() {
            tracing::error!(reason, "the store cannot be read");
        }
        *reading = Some(Failure { reason, since });
        self.read_failed.store(true, Ordering::Relaxed);
    }

    /// A damaged page was read. That lasts until all pages can be read: SQLite tells a disk that fails for a moment in the same
    /// way.
    pub(super) fn found_damage(&self, reason: &str, now: UnixNanos) {
        self.is_damaged.store(true, Ordering::Relaxed);
        let stays = "the file is damaged, or the disk fails, and this stays until every page of it can be read: keep the files, \
                     and see docs/operations/store.md";
        self.cannot_read(format!("{reason}: {stays}"), now);
    }

    /// Whether a damaged page was read.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// Whether to examine a damaged file now. One examination runs at a time, and not all the time.
    pub fn begins_examination(&self, now: Instant) -> bool {
        let mut examined = lock(&self.examined);
        let is_due = examined.is_none_or(|at| now.saturating_duration_since(at) >= EXAMINED_EVERY);
        let begins = is_due && !self.is_examined.swap(true, Ordering::Relaxed);
        if begins {
            *examined = Some(now);
        }
        begins
    }

    /// The examination has ended.
    pub fn ends_examination(&self, is_whole: bool) {
        if is_whole {
            self.is_damaged.store(false, Ordering::Relaxed);
            self.can_read();
        }
        self.is_examined.store(false, Ordering::Relaxed);
    }

    pub(super) fn policies_agree(&self) {
        *lock(&self.policies) = None;
    }

    pub(super) fn policies_may_differ(&self, reason: &str) {
        *lock(&self.policies) = Some(reason.to_owned());
    }

    /// `died`: by a panic, and not because the store was closed.
    pub(super) fn writer_ended(&self, died: bool) {
        self.died.store(died, Ordering::Release);
        self.alive.store(false, Ordering::Release);
        if died {
            tracing::error!("the writer of the store ended by a panic: restart Nexus");
        }
    }

    pub(super) fn writer_died(&self) -> bool {
        self.died.load(Ordering::Acquire)
    }
}

/// Records the end of the writer thread, also after a panic.
pub(super) struct Presence(pub(super) Arc<Condition>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.writer_ended(std::thread::panicking());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
