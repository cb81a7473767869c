//! The index of the write-ahead log, `nexus.db-shm`, as far as it tells where the log ends, and how much of it is in the database.
//!
//! SQLite keeps it in shared memory, and updates it after each commit. It knows the log from there: it does not read the log
//! again to find its end. So the log must show what the index says, and if it does not, somebody else has written to the log.
//!
//! The format is that of SQLite's documentation, "WAL-mode File Format", in the byte order of the machine.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

use super::wal::{LogEnd, sum};

/// The header. There are two copies of it, and they differ only while one is being written.
const HEADER: usize = 48;
/// What its checksum covers.
const SUMMED: usize = 40;
const VERSION: u32 = 3_007_000;
/// Where the numbers of frames are that are in the database, and that somebody has begun to move there.
const MOVED: usize = 2 * HEADER;
const ATTEMPTED: usize = 128;
/// Where the numbers of frames are up to which readers read the log.
const MARKS: usize = MOVED + 4;
/// The byte that is locked by who moves frames.
const MOVES_LOCK: u64 = 121;
/// The bytes that are locked by readers, one for each of the marks. Those of the first one read the database alone.
const READ_LOCKS: Range<u64> = 123..128;

impl LogEnd {
    /// `None` while it is being written, or if it is damaged; SQLite then reads the log again.
    pub(super) fn read(index: &File) -> Option<Self> {
        let mut bytes = [0; 2 * HEADER];
        index.read_exact_at(&mut bytes, 0).ok()?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, copy) = bytes.split_at_checked(HEADER)?;
        let (summed, stored) = header.split_at_checked(SUMMED)?;
        let stored = (word(stored, 0)?, word(stored, 4)?);
        let is_whole = header == copy
            && word(header, 0)? == VERSION
            && *header.get(12)? == 1
            && sum(cfg!(target_endian = "big"), (0, 0), summed) == stored;
        let size = u16::from_ne_bytes(*header.get(14..)?.first_chunk()?);
        is_whole.then_some(())?;
        Some(Self {
            salts: *header.get(32..)?.first_chunk()?,
            frames: word(header, 16)?,
            sum: (word(header, 24)?, word(header, 28)?),
            page: u32::from(size & 0xfe00) + (u32::from(size & 1) << 16),
        })
    }

    /// How `later` follows this end.
    pub(super) fn step(&self, later: &Self) -> Step {
        let began =
            |end: &Self| end.salts.first_chunk().map_or(0, |first| u32::from_be_bytes(*first));
        let beginnings = began(later).wrapping_sub(began(self));
        match () {
            () if self.frames == 0 => Step::Onward,
            () if later.salts == self.salts && later.frames >= self.frames => Step::Onward,
            () if later.salts == self.salts => Step::Back,
            () if (1..=MOST_BEGINNINGS).contains(&beginnings) => Step::Onward,
            () => Step::Elsewhere,
        }
    }
}

/// How the end of a log has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// By SQLite's own steps: commits, and new beginnings once all of the log is in the database.
    Onward,
    /// To fewer frames of the same log. SQLite never does that.
    Back,
    /// To a log that has nothing to do with this one. SQLite makes one if a program begins the log anew, and another program, which
    /// has just opened the database, is the first to write after that. It looks the same if somebody copies another log and its
    /// index over these.
    Elsewhere,
}

/// How much of the log is in the database, as those say who move it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Those of the log.
    salts: [u8; 8],
    /// So many frames are in the database.
    frames: u32,
    /// So many will be, if the one who moves them comes to an end.
    attempted: u32,
}

impl Moved {
    /// `None` while the header is being written, or if it is damaged.
    pub(super) fn read(index: &File) -> Option<Self> {
        let mut bytes = [0; ATTEMPTED + 4];
        index.read_exact_at(&mut bytes, 0).ok()?;
        let LogEnd { salts, .. } = LogEnd::parse(bytes.get(..2 * HEADER)?)?;
        Some(Self { salts, frames: word(&bytes, MOVED)?, attempted: word(&bytes, ATTEMPTED)? })
    }

    /// Nobody is moving frames, unless [`is_being_moved`].
    pub(super) const fn is_whole(&self) -> bool {
        self.frames >= self.attempted
    }
}

/// The log, as those have to know it who are to move it into the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backlog {
    pub(super) end: LogEnd,
    /// So many frames are in the database.
    pub(super) moved: u32,
    /// So many may be there, because of the readers in other processes. Those of this process are not seen here.
    pub(super) movable: u32,
}

impl Backlog {
    /// `None` while the header is being written, or if it is damaged. Costs a few system calls.
    pub(super) fn read(index: &File) -> Option<Self> {
        let mut bytes = [0; ATTEMPTED];
        index.read_exact_at(&mut bytes, 0).ok()?;
        let end = LogEnd::parse(bytes.get(..2 * HEADER)?)?;
        // The log has been begun anew by somebody else just now.
        let moved = Some(word(&bytes, MOVED)?).filter(|moved| *moved <= end.frames).unwrap_or(0);
        let (marks, _) = bytes.get(MARKS..)?.as_chunks::<4>();
        let marks = marks.iter().map(|mark| u32::from_ne_bytes(*mark)).zip(READ_LOCKS);
        let movable = marks.fold(end.frames, |movable, (mark, byte)| {
            if mark < movable && is_locked(index, byte) { mark } else { movable }
        });
        Some(Self { end, moved, movable })
    }
}

/// Whether another process is moving frames into the database. It has a lock of SQLite's meanwhile.
pub(super) fn is_being_moved(index: &File) -> bool {
    is_locked(index, MOVES_LOCK)
}

/// Whether another process has a lock on the byte.
fn is_locked(index: &File, byte: u64) -> bool {
    let wanted = Flock {
        start: byte,
        length: 1,
        pid: None,
        typ: FlockType::WriteLock,
        offset_type: FlockOffsetType::Set,
    };
    fcntl_getlk(index, &wanted).is_ok_and(|held| held.is_some())
}

/// How often the log is begun anew between two looks, at most.
const MOST_BEGINNINGS: u32 = 1 << 16;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: LogEnd =
        LogEnd { salts: [0, 0, 1, 255, 9, 9, 9, 9], frames: 7, sum: (3, 4), page: 4096 };

    fn bytes(end: &LogEnd) -> Vec<u8> {
        let mut header = Vec::new();
        for word in [VERSION, 0, 12] {
            header.extend(word.to_ne_bytes());
        }
        header.extend([1, 0]);
        header.extend(u16::try_from(end.page).unwrap().to_ne_bytes());
        for word in [end.frames, 5, end.sum.0, end.sum.1] {
            header.extend(word.to_ne_bytes());
        }
        header.extend(end.salts);
        let sums = sum(cfg!(target_endian = "big"), (0, 0), &header);
        header.extend([sums.0, sums.1].into_iter().flat_map(u32::to_ne_bytes));
        header.repeat(2)
    }

    #[test]
    fn it_is_read_only_when_it_is_whole() {
        let whole = bytes(&END);
        assert_eq!(LogEnd::parse(&whole), Some(END));
        for at in 0..whole.len() {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            assert_eq!(LogEnd::parse(&torn), None, "{at}");
            assert_eq!(LogEnd::parse(&whole[..at]), None, "{at}");
        }
    }

    #[test]
    fn a_later_state_of_the_same_log_is_told_from_another_one() {
        let with = |salts, frames| LogEnd { salts, frames, ..END };
        for (later, step) in [
            (END, Step::Onward),
            (with(END.salts, 8), Step::Onward),
            (with(END.salts, 6), Step::Back),
            // Begun anew, once and several times.
            (with([0, 0, 2, 0, 1, 1, 1, 1], 0), Step::Onward),
            (with([0, 0, 2, 9, 1, 1, 1, 1], 2), Step::Onward),
            // An older state of it, and that of another one.
            (with([0, 0, 1, 254, 9, 9, 9, 9], 9), Step::Elsewhere),
            (with([0, 0, 1, 255, 9, 9, 9, 8], 9), Step::Elsewhere),
            (with([7, 7, 7, 7, 9, 9, 9, 9], 9), Step::Elsewhere),
        ] {
            assert_eq!(END.step(&later), step, "{later:?}");
        }
        assert_eq!(with([0; 8], 0).step(&END), Step::Onward, "nothing was in it");
    }
}
