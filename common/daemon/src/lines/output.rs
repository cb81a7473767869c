//! The descriptor that lines are written to: how long a write may take, what is cut, and the space ahead.

use std::{
    fs::File,
    os::unix::fs::FileTypeExt,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FallocateFlags, fallocate, fstat},
    io::{Errno, write},
};

use super::{Failure, batch::BatchResult};

/// How much a pipe takes for certain once it says that it takes anything (`PIPE_BUF`, Linux pipe(7)). A longer write could
/// block for as long as nobody reads.
const PIPE_UNIT: usize = 4096;

/// How much space is reserved behind the end of a regular file, in bytes. Half of it is always there.
const SPACE_AHEAD: u64 = 256 * 1024;

/// A descriptor for lines.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    /// A regular file takes what it is given: there is nothing to wait for before a write.
    is_regular: bool,
    /// A pipe takes [`PIPE_UNIT`] for certain once it takes anything; other descriptors make no such promise.
    is_pipe: bool,
    /// The end of a line whose beginning is written. It is written before anything else, so that lines stay whole.
    tail: Vec<u8>,
    space: Space,
}

/// The space that is reserved for lines to come.
#[derive(Clone, Copy, Debug)]
enum Space {
    /// Nobody asked for it, it is no regular file, or the file system cannot.
    Unknown,
    /// So many bytes are left of it.
    Reserved(u64),
    /// There is not enough.
    Missing(Errno),
}

impl Output {
    /// `reserves`: whether space ahead is wanted, where the file system can reserve it.
    pub(super) fn new(file: File, reserves: bool) -> Self {
        let kind = file.metadata().ok().map(|metadata| metadata.file_type());
        let is_regular = kind.is_some_and(|kind| kind.is_file());
        let is_pipe = kind.is_some_and(|kind| kind.is_fifo());
        let space = if is_regular && reserves { Space::Reserved(0) } else { Space::Unknown };
        let mut output = Self { file, is_regular, is_pipe, tail: Vec::new(), space };
        output.reserve();
        output
    }

    /// Goes on in `file`. A line whose end could not be written to the file before stays cut there.
    pub(super) fn replace(&mut self, file: File, reserves: bool) {
        let tail = std::mem::take(&mut self.tail);
        self.write_some(&tail, Instant::now());
        *self = Self::new(file, reserves);
    }

    /// Whether a write has to wait until a reader takes something.
    pub(super) const fn waits_for_reader(&self) -> bool {
        !self.is_regular
    }

    /// Whether it takes so many bytes now without anybody having to wait for a reader.
    pub(super) fn takes_at_once(&self, bytes: usize) -> bool {
        let is_quick = self.is_regular || (self.is_pipe && bytes <= PIPE_UNIT);
        is_quick
            && self.tail.is_empty()
            && (self.is_regular || self.wait_writable(Instant::now()).is_ok())
    }

    /// Writes whole lines, as many as are taken until `deadline`. It tries once also after that.
    pub(super) fn write(&mut self, lines: &[u8], deadline: Instant) -> BatchResult {
        if !self.tail.is_empty() {
            let mut tail = std::mem::take(&mut self.tail);
            let result = self.write_some(&tail, deadline);
            tail.drain(..result.taken.min(tail.len()));
            self.tail = tail;
            if result.failure.is_some() {
                return BatchResult { taken: 0, ..result };
            }
        }
        let result = self.write_some(lines, deadline);
        let (before, after) = lines.split_at(result.taken.min(lines.len()));
        if before.last().is_some_and(|byte| *byte != b'\n') {
            let tail = after.split_inclusive(|byte| *byte == b'\n').next();
            self.tail = tail.unwrap_or_default().to_vec();
        }
        if let Space::Reserved(left) = &mut self.space {
            *left = left.saturating_sub(result.taken as u64);
        }
        result
    }

    /// Writes until all is taken, or tells how much was.
    fn write_some(&self, bytes: &[u8], deadline: Instant) -> BatchResult {
        let mut taken = 0;
        let failure = loop {
            let mut left = bytes.get(taken..).unwrap_or_default();
            if left.is_empty() {
                break None;
            }
            if !self.is_regular {
                left = left.get(..PIPE_UNIT).unwrap_or(left);
                if let Err(failure) = self.wait_writable(deadline) {
                    break Some(failure);
                }
            }
            match write(&self.file, left) {
                // No descriptor of ours takes nothing without an error.
                Ok(0) => break Some(Failure::Write(Errno::IO)),
                Ok(count) => taken += count,
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => break Some(Failure::Write(errno)),
            }
        };
        BatchResult { taken, failure }
    }

    /// Waits until the descriptor takes at least [`PIPE_UNIT`].
    pub(super) fn wait_writable(&self, deadline: Instant) -> Result<(), Failure> {
        let mut descriptor = [PollFd::new(&self.file, PollFlags::OUT)];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            return match poll(&mut descriptor, Some(&timespec(left))) {
                Ok(0) => Err(Failure::Stalled),
                Ok(_) => Ok(()),
                Err(Errno::INTR) => continue,
                Err(errno) => Err(Failure::Write(errno)),
            };
        }
    }

    /// What keeps lines from being written later on, as far as it can be told without writing any: no space ahead, or a
    /// reader that has closed its end.
    pub(super) fn foreseen_failure(&self) -> Option<Failure> {
        self.space_failure().or_else(|| self.is_closed().then_some(Failure::Write(Errno::PIPE)))
    }

    fn is_closed(&self) -> bool {
        let mut descriptor = [PollFd::new(&self.file, PollFlags::OUT)];
        let polled =
            !self.is_regular && poll(&mut descriptor, Some(&timespec(Duration::ZERO))).is_ok();
        let [descriptor] = descriptor;
        polled && descriptor.revents().contains(PollFlags::ERR)
    }

    /// Reserves space ahead where less than half of it is left.
    pub(super) fn reserve(&mut self) {
        let wanted = match self.space {
            Space::Unknown => false,
            Space::Reserved(left) => left < SPACE_AHEAD / 2,
            Space::Missing(_) => true,
        };
        if wanted {
            self.space = match self.allocate() {
                Ok(()) => Space::Reserved(SPACE_AHEAD),
                // Only these say that there is no space: whatever else comes, the file system cannot reserve any.
                Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO)) => {
                    Space::Missing(errno)
                }
                Err(_) => Space::Unknown,
            };
        }
    }

    fn allocate(&self) -> Result<(), Errno> {
        let end = u64::try_from(fstat(&self.file)?.st_size).unwrap_or_default();
        loop {
            match fallocate(&self.file, FallocateFlags::KEEP_SIZE, end, SPACE_AHEAD) {
                Err(Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// Whether the space for lines to come is missing.
    pub(super) const fn space_failure(&self) -> Option<Failure> {
        match self.space {
            Space::Missing(errno) => Some(Failure::NoSpaceAhead(errno)),
            Space::Unknown | Space::Reserved(_) => None,
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // Never more than a few seconds.
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
