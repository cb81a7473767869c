//! Writes whole lines to a file, a pipe or a device that may be slow, full or closed.
//!
//! A line is added to the open batch, and a future reports its result. The whole batch is written with one system call,
//! and all its futures complete together (group commit). The lines of one thread are written in the order in which they were
//! added, a line that was waited for comes before all that are added later, and each is whole.
//!
//! If the output can take the lines at once (a regular file, a pipe with space), the task that waits for a line writes
//! the batch itself; only a disk that hangs can block it. If the output has to wait for its reader, a thread of the
//! sink writes.
//!
//! A *kept* line is one that must not be lost. If it cannot be written in time, its future fails, and the line stays in
//! memory, within a bound, until it can be written late.
//!
//! The files `batch`, `queue` and `sink` need each other, because any of them can start a write: a waiting future has
//! its queue write, the queue lends the sink to it, and the sink takes its next batch from the queue.
//!
//! The contents of a line are decided by its owner: the audit log or the log.

mod batch;
mod chained;
mod handle;
mod late;
mod output;
mod queue;
mod result;
mod sink;

use rustix::io::Errno;

use crate::{chain::Chain, settings::AuditSync};

pub(crate) use self::{batch::PendingLine, handle::Lines};

/// Why lines cannot be written, or may soon not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The reader of the other end takes nothing, or too little.
    Stalled,
    /// The operating system refused the last write, such as on a full disk.
    Write(Errno),
    /// Lines are written, but no space could be reserved for later ones.
    NoSpaceAhead(Errno),
}

impl Failure {
    /// The failure as a number, for an atomic; 0 means none.
    fn encode(failure: Option<Self>) -> u32 {
        let number =
            |errno: Errno| u32::try_from(errno.raw_os_error()).unwrap_or_default() & 0xffff;
        match failure {
            None => 0,
            Some(Self::Stalled) => 1 << 16,
            Some(Self::Write(errno)) => (2 << 16) | number(errno),
            Some(Self::NoSpaceAhead(errno)) => (3 << 16) | number(errno),
        }
    }

    fn decode(code: u32) -> Option<Self> {
        let errno = || Errno::from_raw_os_error(i32::try_from(code & 0xffff).unwrap_or_default());
        match code >> 16 {
            0 => None,
            1 => Some(Self::Stalled),
            2 => Some(Self::Write(errno())),
            _ => Some(Self::NoSpaceAhead(errno())),
        }
    }
}

/// What an output gets beside lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Care {
    /// Whether to reserve space behind the end of a regular file, if the file system supports it.
    pub(crate) reserves: bool,
    /// When the lines of a regular file are flushed to the disk.
    pub(crate) sync: AuditSync,
    /// The chain that the lines continue. They are JSON objects then.
    pub(crate) chain: Option<Chain>,
}

impl Care {
    /// Nothing beside the lines.
    pub(crate) const NONE: Self = Self { reserves: false, sync: AuditSync::Never, chain: None };
}

/// Counts of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineCounts {
    /// What the output has, whichever way it went: late lines, and lines about gaps.
    pub(crate) written: u64,
    /// What was not written in time. Kept ones of them are written late.
    pub(crate) failed: u64,
    pub(crate) waiting: u64,
    pub(crate) waiting_bytes: u64,
}

/// What the log and the audit log decide about their lines.
pub(crate) trait Owner: Send + 'static {
    /// Appends the line, with its newline, that reports `lost` missing lines.
    fn write_gap(&self, lost: u64, line: &mut Vec<u8>);

    /// Called when lines begin to fail, fail in another way, or are written again.
    fn failure_changed(&self, failure: Option<Failure>);
}

#[cfg(test)]
mod tests;
