//! The audit log of a process, and what its failure means.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Instant,
};

use rustix::io::Errno;
use spike_mtls::clock;
use time::OffsetDateTime;

use super::{
    Entry, FileEnd, Refusal,
    line::Fields,
    refusal::{RefusalLimit, Summary, Whose},
};
use crate::{
    chain::{Chain, Head},
    lines::{Care, Failure, LineCounts, Lines, Owner, PendingLine},
    settings::{AuditSettings, AuditSync},
};

/// The audit log of one process. Clones share it.
///
/// If it is a regular file, and the file system supports it, space for some hundred lines is reserved behind its end.
/// So a full disk is noticed before a change that could not be recorded.
#[derive(Clone, Debug)]
pub struct AuditLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// At least one of the two.
    file: Option<Lines>,
    standard_error: Option<Lines>,
    /// Whether the file that lines are written to was removed, and none could be opened in its place.
    is_file_gone: AtomicBool,
    optional: bool,
    refusals: RefusalLimit,
}

/// An audit line was not written, or later ones may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Nothing reads the other end of the pipe, or not fast enough; or the disk of the file hangs.
    #[error(
        "the audit log cannot be written: the reader of its pipe has stopped reading, or the disk of its file does not answer"
    )]
    Stalled,
    /// The operating system refused the write, such as on a full disk.
    #[error("the audit log cannot be written")]
    Write(#[source] Errno),
    /// Lines are written, but space for later ones is missing.
    #[error("the disk of the audit log has no space for further lines")]
    NoSpaceAhead(#[source] Errno),
    /// The file was removed, and no other could be opened in its place.
    #[error("the file of the audit log was removed, and cannot be made again")]
    Gone,
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
    /// Writes to `file`, if there is one, and to standard error, if the settings say so.
    ///
    /// # Errors
    /// The operating system's, if it gives no descriptor or no thread.
    pub fn start(settings: &AuditSettings, file: Option<(File, FileEnd)>) -> io::Result<Self> {
        let (optional, owner) = (settings.optional, || AuditOwner::new(settings.optional));
        let start = |(file, end): (File, FileEnd)| {
            let care = Care { reserves: true, sync: settings.sync, chain: Some(end.chain) };
            let lines = Lines::start("audit-file", file, care, owner())?;
            drop(lines.put_as(false, |line| end.write_opened(line, clock::now())));
            io::Result::Ok(lines)
        };
        let file = file.map(start).transpose()?;
        let standard_error = if settings.standard_error || file.is_none() {
            let stream = File::from(io::stderr().as_fd().try_clone_to_owned()?);
            Some(Lines::start("audit-log", stream, stream_care(), owner())?)
        } else {
            None
        };
        Ok(Self::of(file, standard_error, optional))
    }

    /// Writes to `file` as if it were standard error.
    ///
    /// # Errors
    /// The operating system's, if it gives no thread.
    pub fn to_file(file: File) -> io::Result<Self> {
        let lines = Lines::start("audit-log", file, stream_care(), AuditOwner::new(false))?;
        Ok(Self::of(None, Some(lines), false))
    }

    /// Writes to both.
    #[cfg(test)]
    pub(super) fn to_both(file: File, standard_error: File, optional: bool) -> Self {
        let start =
            |file| Lines::start("audit", file, stream_care(), AuditOwner::new(optional)).ok();
        Self::of(start(file), start(standard_error), optional)
    }

    fn of(file: Option<Lines>, standard_error: Option<Lines>, optional: bool) -> Self {
        let (is_file_gone, refusals) = (AtomicBool::new(false), RefusalLimit::default());
        Self(Arc::new(Inner { file, standard_error, is_file_gone, optional, refusals }))
    }

    /// Whether requests go on although their lines cannot be written.
    pub fn is_optional(&self) -> bool {
        self.0.optional
    }

    /// Writes the line of one request. The line is queued when this returns, even if the future is dropped.
    ///
    /// The future ends when the operating system has the line. A reader that is too slow delays it once, for two
    /// seconds; after that lines fail at once until the reader reads again.
    ///
    /// If the line of a completed change cannot be written in time, the future ends with an error, and the line stays
    /// in memory, within a bound, to be written late.
    pub fn write(&self, entry: &Entry<'_>, now: OffsetDateTime) -> PendingAuditLine {
        self.put(entry.is_change, |line| entry.write(line, now))
    }

    /// As [`Self::write`], for a request that was not carried out because its peer sends too many. Of one SPIFFE ID, more
    /// than twenty in a second are only counted, and one line reports the count.
    pub fn write_slowed_down(&self, entry: &Entry<'_>, now: OffsetDateTime) -> PendingAuditLine {
        let (has_line, left_out) =
            self.0.refusals.count(Whose::SlowedDown(entry.peer), Instant::now());
        self.summarize(&left_out);
        if has_line { self.write(entry, now) } else { PendingAuditLine::default() }
    }

    /// Writes the line of what was refused before it was a request. Nothing waits for it. Of one SPIFFE ID, or of all peers
    /// without a verified one, more than a hundred in a second are only counted, and one line reports the count.
    pub fn write_refusal(&self, refusal: &Refusal<'_>) {
        let (has_line, left_out) = self.0.refusals.count(refusal.whose(), Instant::now());
        self.summarize(&left_out);
        if has_line {
            let now = clock::now();
            drop(self.put(false, |line| refusal.write(line, now)));
        }
    }

    /// Whether a change may begin: its line must be writable. It reads a few atomics.
    ///
    /// # Errors
    /// The failure. It lasts until a write succeeds; the log tries about once a second.
    pub fn accepts_changes(&self) -> Result<(), AuditError> {
        if self.0.optional { Ok(()) } else { self.failure().map_or(Ok(()), Err) }
    }

    /// Whether lines can be written, for a health check.
    ///
    /// # Errors
    /// The failure, in words.
    pub fn check(&self) -> Result<(), String> {
        self.failure().map_or(Ok(()), |error| Err(crate::process::chain(&error)))
    }

    pub(super) fn failure(&self) -> Option<AuditError> {
        let failing = || self.sinks().find_map(|lines| lines.failure().map(AuditError::from));
        self.gone().or_else(failing)
    }

    fn gone(&self) -> Option<AuditError> {
        self.0.is_file_gone.load(Relaxed).then_some(AuditError::Gone)
    }

    /// Call this about once a second. It reports refusals that were only counted, and fails lines that wait too long
    /// because a write does not return.
    pub fn tick(&self, now: Instant) {
        self.sinks().for_each(|lines| lines.expire(now));
        self.summarize(&self.0.refusals.left_out(now));
    }

    /// Continues in `file` instead of standard error, as after a rotation. No line is lost or cut.
    pub fn reopen(&self, file: File) {
        if let Some(lines) = &self.0.standard_error {
            lines.replace(file);
        }
    }

    /// Continues in `file` instead of the file before. No line is lost or cut, and the chain goes on.
    pub fn reopen_file(&self, file: File, end: &FileEnd) {
        if let Some(lines) = &self.0.file {
            lines.replace(file);
            drop(lines.put_as(false, |line| end.write_opened(line, clock::now())));
            self.0.is_file_gone.store(false, Relaxed);
        }
    }

    /// The file was removed, and no other can be opened in its place: what is written to it is lost.
    pub fn lose_file(&self) {
        self.0.is_file_gone.store(true, Relaxed);
    }

    /// Waits until every line is written or has failed, for a few seconds at most. Blocks the thread.
    pub fn flush(&self) {
        self.sinks().for_each(Lines::flush);
    }

    /// A line counts as written when all have it.
    pub(super) fn counts(&self) -> LineCounts {
        let all = self.sinks().map(Lines::counts).reduce(|one, other| LineCounts {
            written: one.written.min(other.written),
            failed: one.failed.max(other.failed),
            waiting: one.waiting.max(other.waiting),
            waiting_bytes: one.waiting_bytes.max(other.waiting_bytes),
        });
        all.unwrap_or_default()
    }

    /// The last line of each chain, with the name of the output.
    pub fn heads(&self) -> Vec<(&'static str, Head)> {
        let outputs = [("file", &self.0.file), ("stderr", &self.0.standard_error)];
        let heads = outputs.map(|(name, lines)| Some((name, lines.as_ref()?.head()?)));
        heads.into_iter().flatten().collect()
    }

    fn sinks(&self) -> impl Iterator<Item = &Lines> {
        self.0.file.iter().chain(&self.0.standard_error)
    }

    fn put(&self, keeps: bool, make: impl Fn(&mut Vec<u8>)) -> PendingAuditLine {
        let put = |lines: &Option<Lines>| lines.as_ref().map(|lines| lines.put_as(keeps, &make));
        PendingAuditLine {
            file: put(&self.0.file),
            standard_error: put(&self.0.standard_error),
            failure: self.gone(),
            optional: self.0.optional,
        }
    }

    fn summarize(&self, left_out: &[Summary]) {
        for summary in left_out {
            let now = clock::now();
            drop(self.put(false, |line| summary.write(line, now)));
        }
    }
}

/// What standard error gets. It is not flushed, because it is usually no file; and what was written to it before cannot be
/// read, so each start begins a chain.
fn stream_care() -> Care {
    Care { reserves: true, sync: AuditSync::Never, chain: Some(Chain::begin()) }
}

/// An audit line that may not be written yet. Dropping this does not affect the line.
#[derive(Debug, Default)]
#[must_use = "an answer must not go out before its line"]
pub struct PendingAuditLine {
    /// `None`: nothing waits for it, as for a line that was only counted.
    file: Option<PendingLine>,
    standard_error: Option<PendingLine>,
    failure: Option<AuditError>,
    optional: bool,
}

impl Future for PendingAuditLine {
    /// On an error the request must fail: the audit log would not show that it happened.
    type Output = Result<(), AuditError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { file, standard_error, failure, optional } = &mut *self;
        let mut is_pending = false;
        for waiting in [file, standard_error] {
            let Some(line) = waiting else { continue };
            match Pin::new(line).poll(context) {
                Poll::Pending => is_pending = true,
                Poll::Ready(result) => {
                    *waiting = None;
                    *failure = failure.or(result.err().map(AuditError::from));
                }
            }
        }
        match failure {
            _ if is_pending => Poll::Pending,
            Some(error) if !*optional => Poll::Ready(Err(*error)),
            Some(_) | None => Poll::Ready(Ok(())),
        }
    }
}

/// Reports failures of the audit log.
struct AuditOwner {
    optional: bool,
    /// How many lines the last gap line reports.
    lost: AtomicU64,
}

impl AuditOwner {
    const fn new(optional: bool) -> Self {
        Self { optional, lost: AtomicU64::new(0) }
    }
}

impl Owner for AuditOwner {
    fn write_gap(&self, lost: u64, line: &mut Vec<u8>) {
        self.lost.store(lost, Relaxed);
        let now = clock::now();
        let error = format!("lines missing here, or written late: {lost}; the audit log failed");
        Fields { error: &error, ..Fields::failure("gap", now) }.write(line, now);
    }

    fn failure_changed(&self, failure: Option<Failure>) {
        let reason = failure.map(|failure| crate::process::chain(&AuditError::from(failure)));
        match reason {
            Some(reason) if self.optional => tracing::error!(
                reason,
                "the audit log fails; SPIKE_AUDIT_OPTIONAL lets requests go on that it cannot record"
            ),
            Some(reason) => tracing::error!(
                reason,
                "the audit log fails, and so do requests that it cannot record"
            ),
            None => {
                let lines = self.lost.swap(0, Relaxed);
                tracing::warn!(
                    lines,
                    "the audit log works again; so many lines are missing, or are written late"
                );
            }
        }
    }
}
