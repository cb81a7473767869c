//! The audit log of a process: who may rely on it, and what its failure means.

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
    refusal::{RefusalLimit, write_summary},
};
use crate::lines::{Failure, LineCounts, Lines, Owner, PendingLine};

/// The audit log of one process. Clones share it.
///
/// Where it is a regular file, space for some hundred lines is reserved ahead of its end, where the file system can: a
/// full disk is noticed before the change that could not be written down.
#[derive(Clone, Debug)]
pub struct AuditLog {
    lines: Lines,
    refusals: Arc<RefusalLimit>,
}

/// An audit line could not be written, or the next ones may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Nobody reads the other end of the pipe, or not fast enough.
    #[error("the audit log takes nothing: its reader has stopped reading")]
    Stalled,
    /// The operating system refused, as on a full disk.
    #[error("the audit log cannot be written")]
    Write(#[source] Errno),
    /// Lines are written, but there is no space for those to come.
    #[error("the disk of the audit log has no space for what is to come")]
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
    /// The operating system's, where it gives no descriptor or no thread.
    pub fn to_standard_error() -> io::Result<Self> {
        Self::to_file(File::from(io::stderr().as_fd().try_clone_to_owned()?))
    }

    /// Writes to `file`.
    ///
    /// # Errors
    /// The operating system's, where it gives no thread.
    pub fn to_file(file: File) -> io::Result<Self> {
        let lines = Lines::start("audit-log", file, true, AuditOwner)?;
        Ok(Self { lines, refusals: Arc::default() })
    }

    /// Writes the line of one request. The line is queued when this returns, whatever becomes of the future.
    ///
    /// The line of a change that was made is written late, if it cannot be written in time: the future ends with an error then,
    /// and the line stays in memory, within a bound.
    ///
    /// The future ends when the operating system has the line. A reader that does not keep up is waited for, once, for two
    /// seconds; from then on lines are refused at once until it reads again.
    pub fn write(&self, entry: &Entry<'_>, now: OffsetDateTime) -> Writing {
        Writing(self.lines.put_as(entry.is_change, |line| entry.write(line, now)))
    }

    /// Writes the line of a handshake or a connection that was refused. Nobody waits for it. Beyond a hundred in a second
    /// they are only counted, and told together.
    pub fn refused(&self, refusal: &Refusal<'_>) {
        let (has_line, left_out) = self.refusals.count(Instant::now());
        self.summarize(left_out);
        if has_line {
            drop(self.lines.put(|line| refusal.write(line, clock::now())));
        }
    }

    /// Whether a change may begin: it must be possible to write it down. It costs one look at an atomic.
    ///
    /// # Errors
    /// Why not. It stays until something was written again, which the log tries about once a second by itself.
    pub fn accepts_changes(&self) -> Result<(), AuditError> {
        self.lines.failure().map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// The same, for a health check.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self) -> Result<(), String> {
        self.accepts_changes().map_err(|error| crate::process::chain(&error))
    }

    /// What has to be done about once a second: refusals that were only counted are told, and lines that wait too long,
    /// because the operating system does not return from a write, fail.
    pub fn tick(&self, now: Instant) {
        self.lines.expire(now);
        self.summarize(self.refusals.left_out(now));
    }

    /// Goes on in `file`, as after a rotation. No line is lost or cut.
    pub fn reopen(&self, file: File) {
        self.lines.replace(file);
    }

    /// Waits, for a few seconds at the most, until every line is written or has failed. It blocks the thread.
    pub fn flush(&self) {
        self.lines.flush();
    }

    pub(super) fn counts(&self) -> LineCounts {
        self.lines.counts()
    }

    fn summarize(&self, left_out: u64) {
        if left_out > 0 {
            drop(self.lines.put(|line| write_summary(left_out, line, clock::now())));
        }
    }
}

/// An audit line on its way to the operating system. Dropping it changes nothing about the line.
#[derive(Debug)]
#[must_use = "an answer must not go out before its line"]
pub struct Writing(PendingLine);

impl Future for Writing {
    /// An error means that the request must fail, since nobody could ever tell that it happened.
    type Output = Result<(), AuditError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(context)).map_err(AuditError::from))
    }
}

/// What is said where lines of the audit log fail.
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
            tracing::error!(reason, "the audit log fails: what cannot be written down fails too");
        } else {
            tracing::warn!("the audit log is written again");
        }
    }
}
