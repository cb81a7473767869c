//! The descriptor that lines are written to: time limits, cut lines, and reserved space.

use std::{
    fs::File,
    io,
    os::unix::fs::FileTypeExt,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FallocateFlags, fallocate, fdatasync, fstat},
    io::{Errno, write},
};

use super::{Failure, result::BatchResult};

/// How many bytes a pipe takes without blocking once it is writable (`PIPE_BUF`, Linux pipe(7)). A longer write could
/// block until somebody reads.
const PIPE_UNIT: usize = 4096;

/// How many bytes are reserved behind the end of a regular file. Half of that is always left.
const SPACE_AHEAD: u64 = 256 * 1024;

/// A descriptor for lines.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    /// A regular file is always writable: a write never waits for a reader.
    is_regular: bool,
    /// A writable pipe takes [`PIPE_UNIT`] bytes; other descriptors promise nothing.
    is_pipe: bool,
    /// The rest of a line that is partly written. It is written first, so that lines stay whole.
    tail: Vec<u8>,
    /// How many lines this descriptor and those before it got whole.
    lines: u64,
    space: Space,
}

/// Lines to write, and how many they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) lines: u64,
}

/// The space reserved for later lines.
#[derive(Clone, Copy, Debug)]
enum Space {
    /// Not requested, not a regular file, or not supported by the file system.
    Unknown,
    /// The number of bytes left.
    Reserved(u64),
    /// There is not enough space.
    Missing(Errno),
}

impl Output {
    /// `reserves`: whether to reserve space, if the file system supports it.
    pub(super) fn new(file: File, reserves: bool) -> Self {
        let kind = file.metadata().ok().map(|metadata| metadata.file_type());
        let is_regular = kind.is_some_and(|kind| kind.is_file());
        let is_pipe = kind.is_some_and(|kind| kind.is_fifo());
        let space = if is_regular && reserves { Space::Reserved(0) } else { Space::Unknown };
        let mut output = Self { file, is_regular, is_pipe, tail: Vec::new(), lines: 0, space };
        output.reserve();
        output
    }

    /// Continues in `file`. A line whose end could not be written to the old file stays cut there.
    pub(super) fn replace(&mut self, file: File, reserves: bool) {
        self.write_tail(Instant::now());
        *self = Self { lines: self.lines, ..Self::new(file, reserves) };
    }

    /// A descriptor of the same file, to flush it. `None`: it is no regular file.
    pub(super) fn to_flush(&self) -> Option<io::Result<File>> {
        self.is_regular.then(|| self.file.try_clone())
    }

    /// Flushes what was written to the disk.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        if self.is_regular { fdatasync(&self.file) } else { Ok(()) }
    }

    /// How many lines were written whole so far, whenever they were put.
    pub(super) const fn lines(&self) -> u64 {
        self.lines
    }

    /// Whether a write may have to wait for a reader.
    pub(super) const fn waits_for_reader(&self) -> bool {
        !self.is_regular
    }

    /// Whether it takes this many bytes now, without waiting for a reader.
    pub(super) fn takes_at_once(&self, bytes: usize) -> bool {
        let is_quick = self.is_regular || (self.is_pipe && bytes <= PIPE_UNIT);
        is_quick
            && self.tail.is_empty()
            && (self.is_regular || self.wait_writable(Instant::now()).is_ok())
    }

    /// Writes as many whole lines as possible until `deadline`. It tries once even after that.
    pub(super) fn write(&mut self, text: Text<'_>, deadline: Instant) -> BatchResult {
        if let Some(failure) = self.write_tail(deadline) {
            return BatchResult::failed(failure);
        }
        let result = self.write_some(text.bytes, deadline);
        let (before, after) = text.bytes.split_at(result.taken.min(text.bytes.len()));
        self.lines += if result.failure.is_none() { text.lines } else { newlines(before) };
        if before.last().is_some_and(|byte| *byte != b'\n') {
            let tail = after.split_inclusive(|byte| *byte == b'\n').next();
            self.tail = tail.unwrap_or_default().to_vec();
        }
        if let Space::Reserved(left) = &mut self.space {
            *left = left.saturating_sub(result.taken as u64);
        }
        result
    }

    /// Writes the rest of a line that is partly written. Returns why it could not.
    fn write_tail(&mut self, deadline: Instant) -> Option<Failure> {
        if self.tail.is_empty() {
            return None;
        }
        let result = self.write_some(&self.tail, deadline);
        self.tail.drain(..result.taken.min(self.tail.len()));
        self.lines += u64::from(self.tail.is_empty());
        result.failure
    }

    /// Writes until everything is written or `deadline`.
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
                // None of these descriptors writes nothing without an error.
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

    /// A failure that is known before any write: no reserved space, or a reader that has closed its end.
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

    /// Reserves space if less than half of it is left.
    pub(super) fn reserve(&mut self) {
        let wanted = match self.space {
            Space::Unknown => false,
            Space::Reserved(left) => left < SPACE_AHEAD / 2,
            Space::Missing(_) => true,
        };
        if wanted {
            self.space = match self.allocate() {
                Ok(()) => Space::Reserved(SPACE_AHEAD),
                // Only these mean that there is no space. Any other error means that the file system cannot reserve.
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

    /// Whether space for later lines is missing.
    pub(super) const fn space_failure(&self) -> Option<Failure> {
        match self.space {
            Space::Missing(errno) => Some(Failure::NoSpaceAhead(errno)),
            Space::Unknown | Space::Reserved(_) => None,
        }
    }
}

pub(super) fn newlines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count().saturating_sub(1) as u64
}

fn timespec(duration: Duration) -> Timespec {
    // A few seconds at most.
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
