//! The audit log of a process, and what its failure means.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use rustix::io::Errno;
use spike_mtls::clock;
use time::OffsetDateTime;

use super::{
    Entry, Refusal,
    line::Fields,
    refusal::{RefusalLimit, Summary, Whose},
};
use crate::lines::{Failure, LineCounts, Lines, Owner, PendingLine};

/// The audit log of one process. Clones share it.
///
/// If it is a regular file, and the file system supports it, space for some hundred lines is reserved behind its end.
/// So a full disk is noticed before a change that could not be recorded.
#[derive(Clone, Debug)]
pub struct AuditLog {
    lines: Lines,
    refusals: Arc<RefusalLimit>,
}

/// An audit line was not written, or later ones may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Nothing reads the other end of the pipe, or not fast enough.
    #[error("the audit log cannot be written: its reader has stopped reading")]
    Stalled,
    /// The operating system refused the write, such as on a full disk.
    #[error("the audit log cannot be written")]
    Write(#[source] Errno),
    /// Lines are written, but space for later ones is missing.
    #[error("the disk of the audit log has no space for further lines")]
    NoSpaceAhead(#[source] Errno),
}

impl From<Failure> for AuditError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Stalled => Self::Stalled,
            Failure::Write(errno) => Self::Write(errno),
            Failure::NoSpaceAhead(errno) => Self::NoSpaceAhead(errno),
        }
    }
}

impl AuditLog {
    /// Writes to standard error, as upstream does.
    ///
    /// # Errors
    /// The operating system's, if it gives no descriptor or no thread.
    pub fn to_standard_error() -> io::Result<Self> {
        Self::to_file(File::from(io::stderr().as_fd().try_clone_to_owned()?))
    }

    /// Writes to `file`.
    ///
    /// # Errors
    /// The operating system's, if it gives no thread.
    pub fn to_file(file: File) -> io::Result<Self> {
        let lines = Lines::start("audit-log", file, true, AuditOwner)?;
        Ok(Self { lines, refusals: Arc::default() })
    }

    /// Writes the line of one request. The line is queued when this returns, even if the future is dropped.
    ///
    /// The future ends when the operating system has the line. A reader that is too slow delays it once, for two
    /// seconds; after that lines fail at once until the reader reads again.
    ///
    /// If the line of a completed change cannot be written in time, the future ends with an error, and the line stays
    /// in memory, within a bound, to be written late.
    pub fn write(&self, entry: &Entry<'_>, now: OffsetDateTime) -> PendingAuditLine {
        PendingAuditLine(Some(self.lines.put_as(entry.is_change, |line| entry.write(line, now))))
    }

    /// As [`Self::write`], for a request that was not carried out because its peer sends too many. Of one SPIFFE ID, more
    /// than twenty in a second are only counted, and one line reports the count.
    pub fn write_slowed_down(&self, entry: &Entry<'_>, now: OffsetDateTime) -> PendingAuditLine {
        let (has_line, left_out) =
            self.refusals.count(Whose::SlowedDown(entry.peer), Instant::now());
        self.summarize(&left_out);
        if has_line { self.write(entry, now) } else { PendingAuditLine(None) }
    }

    /// Writes the line of what was refused before it was a request. Nothing waits for it. Of one SPIFFE ID, or of all peers
    /// without a verified one, more than a hundred in a second are only counted, and one line reports the count.
    pub fn write_refusal(&self, refusal: &Refusal<'_>) {
        let (has_line, left_out) = self.refusals.count(refusal.whose(), Instant::now());
        self.summarize(&left_out);
        if has_line {
            drop(self.lines.put(|line| refusal.write(line, clock::now())));
        }
    }

    /// Whether a change may begin: its line must be writable. It reads one atomic.
    ///
    /// # Errors
    /// The failure. It lasts until a write succeeds; the log tries about once a second.
    pub fn accepts_changes(&self) -> Result<(), AuditError> {
        self.lines.failure().map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// As [`Self::accepts_changes`], for a health check.
    ///
    /// # Errors
    /// The failure, in words.
    pub fn check(&self) -> Result<(), String> {
        self.accepts_changes().map_err(|error| crate::process::chain(&error))
    }

    /// Call this about once a second. It reports refusals that were only counted, and fails lines that wait too long
    /// because a write does not return.
    pub fn tick(&self, now: Instant) {
        self.lines.expire(now);
        self.summarize(&self.refusals.left_out(now));
    }

    /// Continues in `file`, as after a rotation. No line is lost or cut.
    pub fn reopen(&self, file: File) {
        self.lines.replace(file);
    }

    /// Waits until every line is written or has failed, for a few seconds at most. Blocks the thread.
    pub fn flush(&self) {
        self.lines.flush();
    }

    pub(super) fn counts(&self) -> LineCounts {
        self.lines.counts()
    }

    fn summarize(&self, left_out: &[Summary]) {
        for summary in left_out {
            drop(self.lines.put(|line| summary.write(line, clock::now())));
        }
    }
}

/// An audit line that may not be written yet. Dropping this does not affect the line.
#[derive(Debug)]
#[must_use = "an answer must not go out before its line"]
pub struct PendingAuditLine(
    /// `None`: it was only counted.
    Option<PendingLine>,
);

impl Future for PendingAuditLine {
    /// On an error the request must fail: the audit log would not show that it happened.
    type Output = Result<(), AuditError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Some(line) => {
                Poll::Ready(ready!(Pin::new(line).poll(context)).map_err(AuditError::from))
            }
            None => Poll::Ready(Ok(())),
        }
    }
}

/// Reports failures of the audit log.
struct AuditOwner;

impl Owner for AuditOwner {
    fn write_gap(&self, lost: u64, line: &mut Vec<u8>) {
        let now = clock::now();
        let error = format!("lines missing here, or written late: {lost}; the audit log failed");
        Fields { error: &error, ..Fields::failure("gap", now) }.write(line, now);
    }

    fn failure_changed(&self, failure: Option<Failure>) {
        if let Some(error) = failure.map(AuditError::from) {
            let reason = crate::process::chain(&error);
            tracing::error!(
                reason,
                "the audit log fails, and so do requests that it cannot record"
            );
        } else {
            tracing::warn!("the audit log works again");
        }
    }
}
