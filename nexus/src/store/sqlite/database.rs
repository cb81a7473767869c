//! Notices that another process has overwritten the database file while the store is open.
//!
//! With a write-ahead log, the file is written to only when frames of the log are moved into it: by this process, or by a program that
//! uses SQLite and its locks. The index of the log tells how far that has come ([`Moved`]). So as long as nothing is moved, the length of
//! the file and the time of its last change stay as they are. If they do not, somebody has copied another file over it, has cut it, or
//! has overwritten a part: what was moved into it before may be gone or older, and frames that are moved into it now are lost.
//!
//! The time at which the inode was changed is not compared: that changes with its mode, its owner, and links to it.
//!
//! SQLite's locks on the database end when *any* descriptor of it is closed. So it is asked by its path; [`Place`](super::place::Place)
//! compares which file is there.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use spike_daemon::open_regular;
use spike_domain::UnixNanos;

use super::index::{Moved, is_being_moved};
use super::overwritten;
use super::private::unusable;
use crate::store::error::StoreError;

/// How often the index is read while it is being written.
const TRIES: usize = 8;

/// The database file of an open store with a write-ahead log.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    index: File,
    known: Mutex<Known>,
}

/// What was seen last, at a moment at which nothing was being moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    stamp: Stamp,
    moved: Moved,
    /// This process is moving frames.
    is_moving: bool,
    /// It was overwritten. This stays.
    is_changed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    /// The time of the last change of the content, in seconds and nanoseconds.
    at: (i64, i64),
}

impl Database {
    /// Call it once SQLite has read the log. `None`: the index cannot be used, and changes will not be noticed.
    ///
    /// # Errors
    /// [`StoreError::Unusable`]: a file cannot be opened.
    pub(super) fn open(path: &Path, index: &Path) -> Result<Option<Self>, StoreError> {
        let index = open_regular(index).map_err(|error| unusable(index, error))?;
        let (Some(moved), Some(stamp)) = (Moved::read(&index), Stamp::of(path)) else {
            return Ok(None);
        };
        let known = Mutex::new(Known { stamp, moved, is_moving: false, is_changed: false });
        Ok(Some(Self { path: path.to_owned(), index, known }))
    }

    /// As [`check`](Self::check), for a read: one system call while nothing has changed.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(super) fn glance(&self) -> Result<(), StoreError> {
        let known = *self.known();
        if !known.is_changed && (known.is_moving || Stamp::of(&self.path) == Some(known.stamp)) {
            return Ok(());
        }
        self.check()
    }

    /// Checks that nobody has overwritten the file. Costs a few microseconds.
    ///
    /// # Errors
    /// [`StoreError::DatabaseChanged`], from the first time on.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let known = *self.known();
            if known.is_changed {
                return Err(self.error(known));
            }
            if known.is_moving {
                return Ok(());
            }
            // The index is being written, or the file is not there, which those tell who look for it.
            let Some(moved) = Moved::read(&self.index) else { return Ok(()) };
            let Some(stamp) = Stamp::of(&self.path) else { return Ok(()) };
            let is_the_same = stamp == known.stamp;
            let is_under_way = if moved == known.moved {
                // As after a crash, or as an attempt to move them that was ended.
                !is_the_same && !moved.is_whole() && is_being_moved(&self.index)
            } else {
                !moved.is_whole()
            };
            if Moved::read(&self.index) != Some(moved) {
                continue;
            }
            if is_under_way {
                return Ok(());
            }
            let is_changed = !is_the_same && moved == known.moved;
            let mut now = self.known();
            if *now != known {
                continue;
            }
            if !is_changed {
                (now.stamp, now.moved) = (stamp, moved);
                return Ok(());
            }
            now.is_changed = true;
            drop(now);
            let error = self.error(known);
            tracing::error!("{error}");
            overwritten::note(&self.path, &error);
            return Err(error);
        }
        Ok(())
    }

    /// Lets `run` move frames into the file. What it leaves is ours.
    ///
    /// # Errors
    /// Those of `run`.
    pub(super) fn moving(
        &self,
        run: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.known().is_moving = true;
        let outcome = run();
        let left = (0..TRIES).find_map(|_| {
            let found = (Stamp::of(&self.path)?, Moved::read(&self.index)?);
            (Moved::read(&self.index) == Some(found.1)).then_some(found)
        });
        let mut known = self.known();
        known.is_moving = false;
        // Otherwise somebody else is moving frames by now, and the next look finds that.
        if let Some((stamp, moved)) = left
            && (moved.is_whole() || outcome.is_err())
        {
            (known.stamp, known.moved) = (stamp, moved);
        }
        outcome
    }

    fn error(&self, known: Known) -> StoreError {
        let (seconds, nanos) = known.stamp.at;
        let since: UnixNanos = seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        StoreError::DatabaseChanged { path: self.path.clone(), since }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { length: found.len(), at: (found.mtime(), found.mtime_nsec()) })
    }
}
