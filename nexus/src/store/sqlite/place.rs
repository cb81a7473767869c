//! Checks that the open files are still at their paths, and with [`Log`] and [`Database`] that nobody else writes to them. A process
//! can write to a file long after it was removed or replaced, and everything that it writes is lost when the process ends. A lock
//! that was removed keeps no second process out any more.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::database::Database;
use super::index::Backlog;
use super::log::Log;
use super::private::{LOCK_FILE, unusable};
use super::wal;
use crate::store::error::StoreError;

/// The files of an open store, identified by device and inode.
#[derive(Debug, Default)]
pub(in crate::store) struct Place {
    files: Vec<(PathBuf, u64, u64)>,
    /// `None` without a write-ahead log.
    log: Option<Log>,
    /// `None` without a write-ahead log.
    database: Option<Database>,
}

impl Place {
    /// The existing ones among `paths`. Call it while no other process can have created them.
    pub(in crate::store) fn of(paths: &[&Path]) -> Result<Self, StoreError> {
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            match fs::metadata(path) {
                Ok(found) => files.push(((*path).to_owned(), found.dev(), found.ino())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unusable(path, error)),
            }
        }
        Ok(Self { files, log: None, database: None })
    }

    /// Checks the content of the write-ahead log, too, and whether somebody else writes to the database. The store must be closed before
    /// this is dropped ([`Log`]).
    ///
    /// # Errors
    /// [`StoreError::Unusable`].
    pub(super) fn with_log(
        self,
        database: &Path,
        log: &Path,
        index: &Path,
    ) -> Result<Self, StoreError> {
        let log = Log::open(log, index)?;
        let database = if log.is_usable() { Database::open(database, index)? } else { None };
        Ok(Self { log: Some(log), database, ..self })
    }

    /// Checks that each file is at its path, and that nobody else has written to it.
    ///
    /// # Errors
    /// As [`check`](Self::check), and [`StoreError::LogChanged`].
    pub(in crate::store) fn examine(&self) -> Result<(), StoreError> {
        self.check()?;
        self.log.as_ref().map_or(Ok(()), Log::examine)
    }

    /// Checks the content of the whole write-ahead log and of the database, and nothing else: the one is about to be moved into the
    /// other.
    ///
    /// # Errors
    /// [`StoreError::LogChanged`], [`StoreError::DatabaseChanged`].
    pub(super) fn examine_content(&self) -> Result<(), StoreError> {
        self.log.as_ref().map_or(Ok(()), Log::examine_whole)?;
        self.database.as_ref().map_or(Ok(()), Database::check)
    }

    /// Checks the files, and the content of what is about to be moved from the write-ahead log into the database.
    ///
    /// # Errors
    /// As [`check`](Self::check), and [`StoreError::LogChanged`].
    pub(super) fn examine_unmoved(&self) -> Result<(), StoreError> {
        self.check()?;
        self.log.as_ref().map_or(Ok(()), Log::examine_unmoved)
    }

    /// Lets `run` move the log into the database.
    ///
    /// # Errors
    /// Those of `run`.
    pub(super) fn moving(
        &self,
        run: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match &self.database {
            Some(database) => database.moving(run),
            None => run(),
        }
    }

    /// Whether changes to the log and to the database are noticed. If they are not, SQLite may move the one into the other as it likes.
    pub(super) const fn is_watched(&self) -> bool {
        self.database.is_some()
    }

    /// What of the log is to be moved into the database, if it has `frames` or more, and changes to both are noticed.
    pub(super) fn backlog(&self, frames: u32) -> Option<Backlog> {
        self.database.as_ref()?;
        self.log.as_ref()?.backlog(frames)
    }

    /// Checks that what was just read from the database is ours. Costs a system call.
    ///
    /// # Errors
    /// [`StoreError::DatabaseChanged`].
    pub(super) fn after_read(&self) -> Result<(), StoreError> {
        self.database.as_ref().map_or(Ok(()), Database::glance)
    }

    /// The reason why a write was not committed: `error`, unless a file was changed, which SQLite tells in many ways.
    pub(super) fn reason(&self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::OutcomeUnknown(_)) {
            return error;
        }
        let database = self.database.as_ref().and_then(|database| database.check().err());
        let log = || self.log.as_ref().and_then(|log| log.check().err());
        database.or_else(log).unwrap_or(error)
    }

    /// Checks the log, in a transaction that has written nothing yet. `shows`: whether the database is as the last commit has left
    /// it, if it can be read. That is asked only if the log does not tell.
    ///
    /// # Errors
    /// [`StoreError::LogChanged`].
    pub(super) fn before_write(
        &self,
        shows: impl FnOnce() -> Option<bool>,
    ) -> Result<(), StoreError> {
        self.log.as_ref().map_or(Ok(()), |log| log.before_write(shows))
    }

    /// Checks files and log after a commit, which may or may not be kept if this fails.
    ///
    /// # Errors
    /// [`StoreError::Stranded`].
    pub(super) fn after_write(
        &self,
        shows: impl FnOnce() -> Option<bool>,
    ) -> Result<(), StoreError> {
        let log = || self.log.as_ref().map_or(Ok(()), |log| log.after_write(shows));
        let checked = self.check().and_then(|()| log());
        checked.map_err(|error| StoreError::Stranded(Arc::new(error)))
    }

    /// Checks that each file is at its path, and that nobody has overwritten the database. Costs a system call for each, which takes
    /// microseconds.
    ///
    /// # Errors
    /// [`StoreError::Misplaced`] for the first file that is not, [`StoreError::LockLost`] if that is a lock;
    /// [`StoreError::DatabaseChanged`].
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (path, device, inode) in &self.files {
            let what = match fs::metadata(path) {
                Ok(found) if (found.dev(), found.ino()) == (*device, *inode) => continue,
                Ok(_) => "another file is there".to_owned(),
                Err(error) => format!("it is not there: {error}"),
            };
            let path = path.clone();
            // The index of the log is the file that SQLite locks.
            let locks = [LOCK_FILE, wal::INDEX];
            return Err(
                if path.file_name().is_some_and(|name| locks.iter().any(|it| name == *it)) {
                    StoreError::LockLost { path, what }
                } else {
                    StoreError::Misplaced { path, what }
                },
            );
        }
        self.database.as_ref().map_or(Ok(()), Database::check)
    }
}
