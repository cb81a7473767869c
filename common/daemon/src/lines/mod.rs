//! Whole lines to a file, a pipe or a device that may be slow, full or closed: a queue, and one thread that writes.
//!
//! Whoever has a line puts it into the open batch, and learns from a future what became of it. The thread takes the batch,
//! writes it with one system call, and completes all futures of the batch together (group commit). Lines are written in
//! the order in which they were put, and each is whole. Where the output takes lines at once (a regular file, a pipe with room),
//! whoever waits for a line writes the batch; only a disk that hangs can hold it there. Whatever waits for a reader is left to
//! the thread.
//!
//! A line that is to be kept is written late where it cannot be written in time: whoever waits for it learns that it failed, and
//! it stays in memory, within a bound, until lines can be written again.
//!
//! What a line says is its owner's business: the audit log and the log.

mod batch;
mod late;
mod output;
mod queue;
mod sink;

use rustix::io::Errno;

pub(crate) use self::{
    batch::PendingLine,
    queue::{LineCounts, Lines},
};

/// Why lines cannot be written, or should not be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Whoever reads the other end takes nothing, or too little.
    Stalled,
    /// The operating system refused the last write, as on a full disk.
    Write(Errno),
    /// Lines are written, but no space could be reserved for those to come.
    NoSpaceAhead(Errno),
}

impl Failure {
    /// The failure as a number, for an atomic; 0 stands for none.
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

/// What the owner of lines decides about them.
pub(crate) trait Owner: Send + 'static {
    /// Appends the line, with its newline, that says that `lost` lines are missing here.
    fn write_gap(&self, lost: u64, line: &mut Vec<u8>);

    /// Is told when lines begin to fail, fail in another way, or are written again.
    fn failure_changed(&self, failure: Option<Failure>);
}

#[cfg(test)]
mod tests;
