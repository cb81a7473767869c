//! Notices that another process has changed the write-ahead log while the store is open.
//!
//! Nexus is the only one that writes to the log, or a program that uses SQLite and its locks. SQLite does not read a log again
//! that it has written. So if somebody copies another file over it, cuts it, or overwrites a part of it, everything goes on,
//! until the next start reads the log and finds neither what was acknowledged before the change nor what was after it.
//!
//! The index of the log tells what the log must show ([`LogEnd`]). Its header and the header of its last frame are looked at
//! before and after each commit, and with each health check. The whole log is read if it was written to between two commits, and
//! by health checks from time to time.
//!
//! SQLite's locks are those of the process on a file, and closing *any* descriptor of that file gives them back. So `index` is
//! kept open until SQLite has closed its own. The log itself is never locked.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use spike_daemon::open_regular;
use spike_domain::UnixNanos;
use spike_mtls::clock;

use super::index::{Backlog, Step};
use super::private::unusable;
use super::wal::{self, FrameHead, Head, LogEnd};
use crate::store::error::StoreError;

/// How often the index is read while it is being written.
const TRIES: usize = 8;

/// How often health checks read a whole log, at most.
const READ_EVERY: Duration = Duration::from_secs(10);

/// The log of an open store.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    index: File,
    /// The index says what the log shows.
    is_usable: bool,
    known: Mutex<Known>,
}

/// What was seen last.
#[derive(Debug)]
struct Known {
    end: LogEnd,
    at: UnixNanos,
    /// What was written before is in the database. `None`: the log has not been begun anew since the start.
    since: Option<UnixNanos>,
    /// As of the last commit of this process.
    stamp: Option<Stamp>,
    /// When a health check last read the whole log, and its state then.
    read: (Option<Instant>, Option<Stamp>),
    /// What has changed. This stays.
    changed: Option<&'static str>,
}

/// Length and times of the last change.
type Stamp = (u64, [i64; 4]);

impl Log {
    /// Call it once SQLite has read the log. If the index cannot be used, changes will not be noticed.
    ///
    /// # Errors
    /// [`StoreError::Unusable`]: a file cannot be opened.
    pub(super) fn open(path: &Path, index: &Path) -> Result<Self, StoreError> {
        let open = |path| open_regular(path).map_err(|error| unusable(path, error));
        let (file, index) = (open(path)?, open(index)?);
        let end = LogEnd::read(&index);
        let known = Known {
            end: end.unwrap_or_default(),
            at: clock::unix_nanos(),
            since: None,
            stamp: None,
            read: (None, None),
            changed: None,
        };
        let mut log =
            Self { path: path.to_owned(), file, index, is_usable: false, known: Mutex::new(known) };
        log.is_usable = end.is_some_and(|end| matches!(log.compare(&end, &end), Ok(None)));
        if !log.is_usable {
            tracing::warn!(
                file = %path.display(),
                "the index of the write-ahead log does not say what the log shows: if another process changes the log, that will not be \
                 noticed"
            );
        }
        Ok(log)
    }

    /// Whether its index says what it shows, so that changes are noticed.
    pub(super) const fn is_usable(&self) -> bool {
        self.is_usable
    }

    /// What of it is to be moved into the database, if it has `frames` or more; a few system calls then. As of the last look there
    /// were fewer, or the index is being written: `None`.
    pub(super) fn backlog(&self, frames: u32) -> Option<Backlog> {
        if self.known().end.frames < frames {
            return None;
        }
        Backlog::read(&self.index).filter(|log| log.end.frames >= frames)
    }

    /// Compares the log with its index. Costs a few microseconds.
    ///
    /// # Errors
    /// [`StoreError::LogChanged`], from the first time on.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        // If the log is another one, the next write finds out whether it is a right one.
        self.look(|| None)
    }

    /// The same, and reads the whole log from time to time, if that takes milliseconds only.
    ///
    /// # Errors
    /// [`StoreError::LogChanged`].
    pub(super) fn examine(&self) -> Result<(), StoreError> {
        self.check()?;
        // A clock that is set back would end the reading.
        let (stamp, now) = (self.stamp(), Instant::now());
        let mut known = self.known();
        let (read_at, read) = known.read;
        let is_due = read_at.is_none_or(|at| now.saturating_duration_since(at) >= READ_EVERY);
        if is_due && read != stamp && known.end.bytes() <= wal::KEPT_BYTES.cast_unsigned() {
            known.read = (Some(now), stamp);
            drop(known);
            self.read(0)?;
        }
        Ok(())
    }

    /// As [`check`](Self::check), and reads the whole log.
    ///
    /// # Errors
    /// [`StoreError::LogChanged`].
    pub(super) fn examine_whole(&self) -> Result<(), StoreError> {
        self.check()?;
        self.read(0)
    }

    /// As [`check`](Self::check), and reads what is not in the database yet.
    ///
    /// # Errors
    /// [`StoreError::LogChanged`].
    pub(super) fn examine_unmoved(&self) -> Result<(), StoreError> {
        self.check()?;
        let log = Backlog::read(&self.index);
        // It cannot be told: everything is read.
        self.read(log.map_or(0, |log| log.moved))
    }

    /// As [`check`](Self::check), in a transaction that has written nothing yet: nobody who uses SQLite's locks can write now.
    /// `shows`: whether the database is as the last commit has left it, if it can be read.
    ///
    /// # Errors
    /// [`StoreError::LogChanged`].
    pub(super) fn before_write(
        &self,
        shows: impl FnOnce() -> Option<bool>,
    ) -> Result<(), StoreError> {
        self.look(shows)?;
        let known = self.known().stamp;
        // Another program with SQLite may have written, or a transaction of ours that was rolled back.
        if known.is_some() && self.stamp() != known { self.read(0) } else { Ok(()) }
    }

    /// As [`check`](Self::check), after a commit. Others may have written since.
    ///
    /// # Errors
    /// [`StoreError::LogChanged`].
    pub(super) fn after_write(
        &self,
        shows: impl FnOnce() -> Option<bool>,
    ) -> Result<(), StoreError> {
        self.look(shows)?;
        self.known().stamp = self.stamp();
        Ok(())
    }

    /// Compares both ends of the log with the index. `shows`: whether another log is a right one, `None` if that is not known yet.
    fn look(&self, shows: impl FnOnce() -> Option<bool>) -> Result<(), StoreError> {
        let mut known = self.known();
        if let Some(what) = known.changed {
            return Err(self.error(what, known.since));
        }
        let at = clock::unix_nanos();
        let Some((now, found)) = self.compared(&known.end) else { return Ok(()) };
        let found = match known.end.step(&now) {
            Step::Onward | Step::Back => found,
            Step::Elsewhere => match shows() {
                Some(true) => found,
                Some(false) => Some("it is another log, and so is its index"),
                None => return Ok(()),
            },
        };
        if let Some(what) = found {
            return Err(self.is_changed(&mut known, what));
        }
        if now.salts != known.end.salts && known.end.frames > 0 {
            known.since = Some(known.at);
        }
        (known.end, known.at) = (now, at);
        Ok(())
    }

    /// The end of the log, and what is wrong with the log. `None`: it is being written, or the disk cannot be read, which those
    /// tell who have to read it.
    fn compared(&self, known: &LogEnd) -> Option<(LogEnd, Option<&'static str>)> {
        let tries = if self.is_usable { TRIES } else { 0 };
        (0..tries).find_map(|_| {
            let now = LogEnd::read(&self.index)?;
            let found = self.compare(known, &now);
            // Committed frames stay as they are until the log is begun anew, and the index tells that first.
            let is_the_same = LogEnd::read(&self.index)?.salts == now.salts;
            Some((now, found.ok()?)).filter(|_| is_the_same)
        })
    }

    /// Reads the log behind its first `skipped` frames, up to the end of its last commit.
    fn read(&self, skipped: u32) -> Result<(), StoreError> {
        let end = LogEnd::read(&self.index).filter(|end| self.is_usable && end.frames > 0);
        let Some(end) = end else { return Ok(()) };
        let mut log = BufReader::with_capacity(1 << 16, Reading { file: &self.file, at: 0 });
        let is_whole = wal::is_whole(&mut log, skipped, &end).unwrap_or(true);
        let is_the_same = LogEnd::read(&self.index).is_some_and(|now| now.salts == end.salts);
        if is_whole || !is_the_same {
            return Ok(());
        }
        Err(self.is_changed(&mut self.known(), "a part of it was overwritten"))
    }

    /// What is wrong with the log, which ended at `known` when it was last seen, and ends at `now`.
    fn compare(&self, known: &LogEnd, now: &LogEnd) -> io::Result<Option<&'static str>> {
        if known.step(now) == Step::Back {
            return Ok(Some("its index is that of an older state"));
        }
        if now.frames == 0 {
            return Ok(None);
        }
        if self.file.metadata()?.len() < now.bytes() {
            return Ok(Some("it is shorter than what was committed"));
        }
        let mut head = [0; wal::HEADER];
        self.file.read_exact_at(&mut head, 0)?;
        if Head::parse(&head).is_none_or(|head| head.salts != now.salts) {
            return Ok(Some("its beginning is another one"));
        }
        let before = Some(known).filter(|known| known.salts == now.salts && known.frames > 0);
        for end in before.filter(|known| *known != now).into_iter().chain([now]) {
            let mut frame = [0; wal::FRAME_HEADER];
            self.file.read_exact_at(&mut frame, end.bytes() - end.frame())?;
            let frame = FrameHead::parse(&frame);
            if !frame.commits || frame.salts != end.salts || frame.sum != end.sum {
                return Ok(Some("the last commit in it is another one"));
            }
        }
        Ok(None)
    }

    fn is_changed(&self, known: &mut Known, what: &'static str) -> StoreError {
        let is_new = known.changed.is_none();
        let error = self.error(known.changed.get_or_insert(what), known.since);
        if is_new {
            tracing::error!("{error}");
        }
        error
    }

    fn error(&self, what: &'static str, since: Option<UnixNanos>) -> StoreError {
        StoreError::LogChanged { path: self.path.clone(), what, since }
    }

    fn stamp(&self) -> Option<Stamp> {
        let found = self.file.metadata().ok()?;
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        Some((found.len(), times))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file from its beginning, whatever others do with the same descriptor.
struct Reading<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Reading<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Reading<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
