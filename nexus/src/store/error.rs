//! The errors of the store.

mod kinds;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;
use spike_crypto::{Fingerprint, RandomError};
use spike_daemon::counted;
use spike_domain::{NumbersUsedUp, UnixNanos};
use spike_mtls::clock;

use super::format::error::FormatError;

/// Why an operation of the store failed.
///
/// "There is no such secret" is an answer, not an error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or a file in it cannot be made, opened or protected.
    #[error("cannot use {}", path.display())]
    Unusable {
        /// The directory or file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Another process has the store open.
    #[error("the store in {} is in use by another process", directory.display())]
    InUse {
        /// The directory of the store.
        directory: PathBuf,
    },
    /// Files of the store were changed or replaced between the look at them and their opening. Nothing was written.
    #[error("files in {} were changed or replaced while they were being opened", directory.display())]
    Replaced {
        /// The directory of the store.
        directory: PathBuf,
    },
    /// The file that is to be opened is not there. Nothing was made in its place.
    #[error("{} is not there", path.display())]
    Missing {
        /// The missing file.
        path: PathBuf,
    },
    /// A new store was to be made, and a database is there. It was left alone.
    #[error("{} is there, so that no new store is made", path.display())]
    Exists {
        /// The database.
        path: PathBuf,
    },
    /// There is no store, and [`Options::create`](super::Options::create) forbids making one.
    #[error("there is no store at {} and creating one is switched off", path.display())]
    MayNotCreate {
        /// The missing file.
        path: PathBuf,
    },
    /// The file exists and is no store.
    #[error("{} is not a store of this program", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later program wrote the file.
    #[error("the store at {} has schema {found}, this program knows {known}: a newer SPIKE Nexus has made it, start that one", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The highest schema version known here.
        known: i64,
    },
    /// The store belongs to another root key. Nothing was written.
    #[error("the store belongs to root key {stored}, not to {given}")]
    WrongRootKey {
        /// The fingerprint in the store.
        stored: Fingerprint,
        /// The fingerprint of the given key.
        given: Fingerprint,
    },
    /// Upstream's database cannot be read, or its form is unknown. Nothing was imported, and no byte was changed.
    #[error("cannot import {}: {what}", path.display())]
    Upstream {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Upstream's database belongs to another root key. Nothing was imported, and no byte was
    /// changed.
    #[error(
        "{} does not belong to root key {given}, under which {opened} of its rows decrypt and \
         {refused} do not; nothing was imported", path.display()
    )]
    UpstreamKey {
        /// The database.
        path: PathBuf,
        /// The fingerprint of the given key.
        given: Fingerprint,
        /// Rows that decrypt.
        opened: u64,
        /// Rows that do not decrypt.
        refused: u64,
    },
    /// Rows of upstream's database would be left out. Nothing was imported.
    #[error(
        "{} of {} would be left out, the first is {}; nothing was imported. The log lists all. To go on without, start with \
         SPIKE_NEXUS_IMPORT_WITH_LOSSES=true", counted(*count as u64, "row", "rows"), path.display(), first.first().map_or("", String::as_str)
    )]
    ImportIncomplete {
        /// The database.
        path: PathBuf,
        /// The number of these rows.
        count: usize,
        /// The first hundred, each with its reason.
        first: Vec<String>,
    },
    /// Another process has upstream's database open, and may still write to it.
    #[error("{} is in use by another process: stop upstream's Nexus first", path.display())]
    UpstreamInUse {
        /// The database.
        path: PathBuf,
    },
    /// Answered writes would be lost in a crash.
    #[error("journal mode {mode} is refused: it loses answered writes")]
    UnsafeJournal {
        /// The mode in the setting.
        mode: &'static str,
    },
    /// SQLite kept another journal mode than the one in the setting.
    #[error("journal mode {wanted} cannot be had here, SQLite stayed with {got}")]
    JournalNotSet {
        /// The mode in the setting.
        wanted: &'static str,
        /// The mode in force.
        got: String,
    },
    /// The file is truncated or overwritten, or its tables are not those of its schema version.
    #[error(
        "the store at {} is damaged: {what}. Stop Nexus, keep the files, and put back a backup, as docs/operations/store.md \
         says", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The database contains something that this program did not make, or lacks something that it made.
    #[error("{}: {what}", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// The difference, and what to do.
        what: String,
    },
    /// A row was altered: moved, changed, swapped, taken from elsewhere, or removed.
    #[error("row {path:?}{} of table {table} was tampered with", OfVersion(*version))]
    Tampered {
        /// The table.
        table: &'static str,
        /// The secret path or policy name; empty for tables without one.
        path: String,
        /// The version or number of the row, if it has one.
        version: Option<i64>,
    },
    /// The path has no version numbers left.
    #[error(transparent)]
    NumbersUsedUp(#[from] NumbersUsedUp),
    /// The operating system gave no random bytes. Nothing was written.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The write waited too long in the queue. It was not done and will not be.
    #[error("the write waited too long for its turn and was dropped")]
    TimedOut,
    /// The transaction of the write could not be committed. Nothing of it was kept.
    #[error("the write was not committed")]
    NotCommitted(#[source] Arc<StoreError>),
    /// The disk failed while the transaction was being committed. SQLite treats it as undone, but after a crash it may turn out
    /// to be kept.
    #[error("the disk failed while the write was committed: it may or may not be kept")]
    OutcomeUnknown(#[source] Arc<rusqlite::Error>),
    /// An open file was removed or replaced, so everything that is written to it is lost when this process ends.
    #[error(
        "{} is not the file any more that Nexus has open ({what}): writes are refused, because they would be lost with this \
         process. Put the file back (was it moved, or a volume unmounted?), and Nexus goes on by itself. To go on with what is \
         there now, restart Nexus; what only the open file has is lost then, so read it first", path.display()
    )]
    Misplaced {
        /// Its path.
        path: PathBuf,
        /// What was found there.
        what: String,
    },
    /// The lock of the directory, or the file that has the locks of SQLite, was removed or replaced while the store was open.
    #[error(
        "{} is not the lock any more that Nexus holds ({what}): another process can open the same data, and neither sees what the \
         other changes, so writes are refused. End any other Nexus and any backup on this directory, and restart this one",
        path.display()
    )]
    LockLost {
        /// Its path.
        path: PathBuf,
        /// What was found there.
        what: String,
    },
    /// Another process has written to the write-ahead log, or cut it, while the store was open. This stays until a restart.
    #[error(
        "{} was changed by another process while Nexus has it open ({what}). What was written since {} may be lost, although it was \
         acknowledged, and writes are refused. Stop Nexus, keep a copy of its directory, and restore a backup, as \
         docs/operations/store.md says", path.display(), since.map_or_else(|| "before this start".to_owned(), |at| clock::second(clock::at(at)))
    )]
    LogChanged {
        /// Its path.
        path: PathBuf,
        /// What was found there.
        what: &'static str,
        /// What was written before is in the database; `None`: that is unknown.
        since: Option<UnixNanos>,
    },
    /// Another process has overwritten the database, or cut it, while the store was open. This stays until a restart.
    #[error(
        "{} was overwritten by another process while Nexus has it open. What was acknowledged since {} is in its write-ahead log, and \
         what was used lately is in the memory of Nexus. What was acknowledged before may be lost, or be there in an older state, so \
         nothing is written, and nothing but the memory is read. Stop Nexus, which leaves the log as it is, keep a copy of its \
         directory, and put the right database or a backup back, as docs/operations/store.md says",
        path.display(), clock::second(clock::at(*since))
    )]
    DatabaseChanged {
        /// Its path.
        path: PathBuf,
        /// When something was last moved from the log into the database.
        since: UnixNanos,
    },
    /// The transaction was committed to a file that was removed, replaced or changed meanwhile.
    #[error("the write may or may not be kept")]
    Stranded(#[source] Arc<StoreError>),
    /// The disk is almost full, and a write failed because of that before.
    #[error("the disk of {} is full", directory.display())]
    Full {
        /// The directory of the store.
        directory: PathBuf,
    },
    /// Another process holds a lock on the database, such as a backup. Nothing was done.
    #[error("the database is locked by another process: nothing was done, try again")]
    Locked,
    /// The disk was full when the database was opened.
    #[error("the disk of the database is full, so that it cannot be opened")]
    NoRoomToOpen(#[source] rusqlite::Error),
    /// Nothing was read: the disk might hold up this thread, which serves requests. Read on another one.
    #[error("the disk may hold up a thread that serves requests")]
    Elsewhere,
    /// SQLite failed.
    #[error("the database failed")]
    Sqlite(#[source] rusqlite::Error),
    /// [`Store::close`](super::Store::close) was called.
    #[error("the store is closed")]
    Closed,
    /// The writer thread ended by a panic. Its current transaction may or may not be kept.
    #[error(
        "the writer of the store has ended, and the write may or may not be kept: restart Nexus"
    )]
    WriterDied,
    /// A bug in the store: the operation was undone.
    #[error("the write failed for a reason inside this program")]
    Bug,
}

impl StoreError {
    /// The outcome of the transaction after an error of `COMMIT`.
    pub(super) fn at_commit(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // Usually a failed sync. A full disk is reported before the commit record is complete.
            Some(ErrorCode::SystemIoFailure) => Self::OutcomeUnknown(Arc::new(error)),
            Some(_) | None => error.into(),
        }
    }

    /// The error for the callers of a transaction that was not committed.
    pub(super) fn for_caller(error: Arc<Self>) -> Self {
        match &*error {
            Self::OutcomeUnknown(cause) => Self::OutcomeUnknown(Arc::clone(cause)),
            Self::Stranded(cause) => Self::Stranded(Arc::clone(cause)),
            Self::Locked => Self::Locked,
            _ => Self::NotCommitted(error),
        }
    }
}

/// Whether SQLite found no room for the index of the write-ahead log, which it tells as an error of the disk.
fn lacks_room_for_index(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

impl From<FormatError> for StoreError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Tampered { table, path, version } => {
                Self::Tampered { table, path, version }
            }
            FormatError::Random(error) => Self::Random(error),
            FormatError::Bug => Self::Bug,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(_) if lacks_room_for_index(&error) => Self::NoRoomToOpen(error),
            Some(_) | None => Self::Sqlite(error),
        }
    }
}

/// Writes " version 3" or nothing.
struct OfVersion(Option<i64>);

impl std::fmt::Display for OfVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |version| write!(f, " version {version}"))
    }
}
