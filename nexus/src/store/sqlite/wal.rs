//! Reads the write-ahead log: before SQLite does, and while it is open.
//!
//! SQLite accepts frames up to the first damaged one, and does not report the rest. After a crash that is correct: what was
//! being written then was not acknowledged. But only the last transaction can be incomplete, because each is synced before the
//! next one begins. So if two or more commits are behind a damaged frame, all but the last of them were acknowledged.
//!
//! The format is that of SQLite's documentation, "WAL-mode File Format".

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use spike_daemon::open_regular;
use spike_domain::UnixNanos;

/// Beside the database.
pub(in crate::store) const FILE: &str = "nexus.db-wal";

/// Its index, which SQLite keeps in shared memory.
pub(super) const INDEX: &str = "nexus.db-shm";

/// What stays of a larger log once its content is in the database. Usually it has a quarter of it at most.
pub(in crate::store) const KEPT_BYTES: i64 = 16 * 1024 * 1024;

pub(super) const HEADER: usize = 32;
pub(super) const FRAME_HEADER: usize = 24;
/// With the lowest bit set, checksums are over big-endian words.
const MAGIC: u32 = 0x377f_0682;

pub(super) type Sum = (u32, u32);

/// Where the log ends, by its last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogEnd {
    /// As in the header of the log. Each time that the log is begun anew, the first of the two numbers grows by 1, and the second
    /// is a new random one.
    pub(super) salts: [u8; 8],
    /// The number of frames. 0: the log is to be begun anew, and its content is in the database.
    pub(super) frames: u32,
    /// The checksum of the last frame.
    pub(super) sum: Sum,
    /// The size of a page, in bytes.
    pub(super) page: u32,
}

impl LogEnd {
    /// The length of the log up to here, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        HEADER as u64 + u64::from(self.frames) * self.frame()
    }

    /// The length of a frame, in bytes.
    pub(super) fn frame(&self) -> u64 {
        FRAME_HEADER as u64 + u64::from(self.page)
    }
}

/// The number of acknowledged commits behind a damaged frame; `None` if no such commits are found.
pub(in crate::store) fn inspect(path: &Path) -> Option<u64> {
    match open_regular(path)
        .and_then(|file| lost_commits(&mut BufReader::with_capacity(1 << 16, file)))
    {
        // The last one may not have been acknowledged.
        Ok(commits) => Some(commits.saturating_sub(1)).filter(|commits| *commits > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "the write-ahead log cannot be looked at");
            None
        }
    }
}

/// Keeps a copy of the log as it was found, because SQLite overwrites the frames that it ignores.
pub(in crate::store) fn keep(directory: &Path, now: UnixNanos) {
    let copy = directory.join(format!("{FILE}.damaged-{}", now / 1_000_000_000));
    let copied = open_regular(&directory.join(FILE)).and_then(|mut log| {
        let mut copy = File::options().write(true).create_new(true).mode(0o600).open(&copy)?;
        io::copy(&mut log, &mut copy)
    });
    match copied {
        Ok(_) => tracing::warn!(file = %copy.display(), "the damaged log was kept"),
        Err(error) => {
            tracing::error!(file = %copy.display(), %error, "the damaged log cannot be kept");
            drop(fs::remove_file(&copy));
        }
    }
}

/// The number of commits behind the first damaged frame, among the frames that verifiably follow each other.
fn lost_commits(log: &mut impl Read) -> io::Result<u64> {
    let mut header = [0; HEADER];
    if !fill(log, &mut header)? {
        return Ok(0);
    }
    let big_endian = word(&header, 0) == MAGIC | 1;
    let page = usize::try_from(word(&header, 8)).unwrap_or_default();
    if word(&header, 0) & !1 != MAGIC || !page.is_power_of_two() || !(512..=65536).contains(&page) {
        return Ok(0);
    }
    let expected = (word(&header, 24), word(&header, 28));
    let whole = sum(big_endian, (0, 0), header.get(..24).unwrap_or_default()) == expected;
    let mut salts = whole.then(|| (word(&header, 16), word(&header, 20)));
    let mut state = Walk { before: whole.then_some(expected), broken: !whole, commits: 0 };
    let mut frame = vec![0; FRAME_HEADER + page];
    while fill(log, &mut frame)? {
        // The rest is from before the log was restarted.
        let its = (word(&frame, 8), word(&frame, 12));
        if its != *salts.get_or_insert(its) {
            break;
        }
        if !state.step(big_endian, &frame) {
            break;
        }
    }
    Ok(state.commits)
}

struct Walk {
    /// The checksum of the frame before; `None` if it is unknown.
    before: Option<Sum>,
    broken: bool,
    commits: u64,
}

impl Walk {
    /// Reads the next frame. `false`: this frame and the rest cannot be verified.
    fn step(&mut self, big_endian: bool, frame: &[u8]) -> bool {
        let stored = (word(frame, 16), word(frame, 20));
        let commits = word(frame, 4) != 0;
        let linked = self.before.replace(stored).is_none_or(|before| {
            let body = frame.get(..8).unwrap_or_default();
            let page = frame.get(FRAME_HEADER..).unwrap_or_default();
            sum(big_endian, sum(big_endian, before, body), page) == stored
        });
        match (linked, self.broken) {
            (true, false) => {}
            (true, true) => self.commits += u64::from(commits),
            // The fields of a damaged frame do not count.
            (false, false) => self.broken = true,
            // Frames of failed attempts overlap here.
            (false, true) => return false,
        }
        true
    }
}

/// The header of a log.
pub(super) struct Head {
    big_endian: bool,
    page: u32,
    pub(super) salts: [u8; 8],
    sum: Sum,
}

impl Head {
    /// `None`: it is damaged.
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let (magic, page) = (word(bytes, 0), word(bytes, 8));
        let big_endian = magic == MAGIC | 1;
        let expected = (word(bytes, 24), word(bytes, 28));
        let summed = sum(big_endian, (0, 0), bytes.get(..24)?);
        let is_whole = magic & !1 == MAGIC && summed == expected;
        let salts = *bytes.get(16..)?.first_chunk()?;
        is_whole.then_some(Self { big_endian, page, salts, sum: expected })
    }
}

/// The header of a frame.
pub(super) struct FrameHead {
    /// It is the last one of its transaction.
    pub(super) commits: bool,
    pub(super) salts: [u8; 8],
    pub(super) sum: Sum,
}

impl FrameHead {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let salts = bytes.get(8..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        Self { commits: word(bytes, 4) != 0, salts, sum: (word(bytes, 16), word(bytes, 20)) }
    }
}

/// Whether all frames behind the first `skipped` ones are there up to `end`, each as it was written.
pub(super) fn is_whole(
    log: &mut (impl Read + Seek),
    skipped: u32,
    end: &LogEnd,
) -> io::Result<bool> {
    let mut header = [0; HEADER];
    let head = if fill(log, &mut header)? { Head::parse(&header) } else { None };
    let Some(head) = head.filter(|head| head.salts == end.salts && head.page == end.page) else {
        return Ok(false);
    };
    let mut frame = vec![0; FRAME_HEADER + usize::try_from(end.page).unwrap_or_default()];
    let mut before = head.sum;
    if skipped > 0 {
        // Its sum need not be right: the next one does not follow from it then.
        log.seek(SeekFrom::Start(LogEnd { frames: skipped - 1, ..*end }.bytes()))?;
        if !fill(log, &mut frame)? {
            return Ok(false);
        }
        before = FrameHead::parse(&frame).sum;
    }
    let mut state = Walk { before: Some(before), broken: false, commits: 0 };
    for _ in skipped..end.frames {
        let is_there = fill(log, &mut frame)? && FrameHead::parse(&frame).salts == end.salts;
        if !is_there || !state.step(head.big_endian, &frame) || state.broken {
            return Ok(false);
        }
    }
    let last = FrameHead::parse(&frame);
    Ok(last.commits && last.sum == end.sum)
}

pub(super) fn sum(big_endian: bool, start: Sum, bytes: &[u8]) -> Sum {
    // A choice for each word takes five times as long.
    if big_endian {
        sum_of(u32::from_be_bytes, start, bytes)
    } else {
        sum_of(u32::from_le_bytes, start, bytes)
    }
}

fn sum_of(read: impl Fn([u8; 4]) -> u32, start: Sum, bytes: &[u8]) -> Sum {
    let (pairs, _) = bytes.as_chunks::<8>();
    pairs.iter().fold(start, |(one, two), [a, b, c, d, e, f, g, h]| {
        let one = one.wrapping_add(read([*a, *b, *c, *d])).wrapping_add(two);
        (one, two.wrapping_add(read([*e, *f, *g, *h])).wrapping_add(one))
    })
}

/// The big-endian word at `offset`, which is within the bytes.
fn word(bytes: &[u8], offset: usize) -> u32 {
    let word = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    word.map_or(0, |word| u32::from_be_bytes(*word))
}

/// `false`: the log ends earlier.
fn fill(log: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// A log of `frames`, each of one page and one commit, with checksums as SQLite makes them.
    fn log(frames: usize, big_endian: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [MAGIC | u32::from(big_endian), 3_007_000, 512, 0, 7, 9] {
            bytes.extend(word.to_be_bytes());
        }
        let mut state = sum(big_endian, (0, 0), &bytes);
        bytes.extend([state.0, state.1].into_iter().flat_map(u32::to_be_bytes));
        for frame in 0..frames {
            let page = [u8::try_from(frame % 251).unwrap(); 512];
            let head: Vec<u8> = [2_u32, 5].into_iter().flat_map(u32::to_be_bytes).collect();
            state = sum(big_endian, sum(big_endian, state, &head), &page);
            bytes.extend(head);
            bytes.extend([7, 9, state.0, state.1].into_iter().flat_map(u32::to_be_bytes));
            bytes.extend(page);
        }
        bytes
    }

    /// The end of a log, as its index tells it.
    fn end(log: &[u8]) -> LogEnd {
        let frames = u32::try_from((log.len() - HEADER) / (FRAME_HEADER + 512)).unwrap();
        let last = FrameHead::parse(&log[log.len() - FRAME_HEADER - 512..]);
        LogEnd { salts: last.salts, frames, sum: last.sum, page: 512 }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            lost_commits(&mut bytes.as_slice()).unwrap();
            for skipped in 0..3 {
                is_whole(&mut Cursor::new(&bytes), skipped, &end(&log(2, false))).unwrap();
            }
        }

        #[test]
        fn every_changed_byte_of_an_open_log_is_noticed(
            frames in 1_usize..6, at: prop::sample::Index, bit in 0..8_u8, big_endian: bool,
        ) {
            let mut bytes = log(frames, big_endian);
            let end = end(&bytes);
            prop_assert!(is_whole(&mut Cursor::new(&bytes), 0, &end).unwrap());
            let cut = at.index(bytes.len());
            prop_assert!(!is_whole(&mut Cursor::new(&bytes[..cut]), 0, &end).unwrap());
            bytes[cut] ^= 1_u8 << bit;
            prop_assert!(!is_whole(&mut Cursor::new(&bytes), 0, &end).unwrap());
        }

        #[test]
        fn every_changed_byte_behind_what_is_skipped_is_noticed(
            frames in 1_usize..6, skipped in 0_u32..6, at: prop::sample::Index, bit in 0..8_u8, big_endian: bool,
        ) {
            let mut bytes = log(frames, big_endian);
            let end = end(&bytes);
            let skipped = skipped % end.frames;
            let first = usize::try_from(LogEnd { frames: skipped, ..end }.bytes()).unwrap();
            bytes[HEADER..first.saturating_sub(512 + 8).max(HEADER)].fill(7);
            prop_assert!(is_whole(&mut Cursor::new(&bytes), skipped, &end).unwrap());
            let cut = first + at.index(bytes.len() - first);
            prop_assert!(!is_whole(&mut Cursor::new(&bytes[..cut]), skipped, &end).unwrap());
            bytes[cut] ^= 1_u8 << bit;
            prop_assert!(!is_whole(&mut Cursor::new(&bytes), skipped, &end).unwrap());
        }

        #[test]
        fn a_damaged_page_is_followed_by_what_is_told(
            frames in 1_usize..20, damaged in 0_usize..20, at in 0_usize..512, big_endian: bool,
        ) {
            let mut bytes = log(frames, big_endian);
            prop_assert_eq!(lost_commits(&mut bytes.as_slice()).unwrap(), 0);
            let damaged = damaged % frames;
            bytes[HEADER + damaged * (FRAME_HEADER + 512) + FRAME_HEADER + at] ^= 1;
            let told = lost_commits(&mut bytes.as_slice()).unwrap();
            prop_assert_eq!(told, (frames - damaged - 1) as u64);
        }

        #[test]
        fn a_log_that_ends_anywhere_is_no_damage(frames in 1_usize..10, cut in 0_usize..6000) {
            let bytes = log(frames, false);
            let cut = cut.min(bytes.len());
            prop_assert_eq!(lost_commits(&mut &bytes[..cut]).unwrap(), 0);
        }
    }
}
