//! The encrypted store: versioned secrets and policies in SQLite, in a file or in memory.
//!
//! Owned here: files and their modes, schema, data keys, which row is bound to what, transactions. Left to others: the rules of
//! versions ([`spike_domain`]), the meaning of policies ([`crate::policy`]), authorization (`access`). Values are opaque bytes.
//!
//! * **Writes** are `async`. One thread makes them, and commits all waiting writes in one transaction. Once a write is
//!   answered, it survives a crash and a power loss. A failed write changes nothing, and does not affect the others in its
//!   transaction.
//! * **Reads** are synchronous and take microseconds. Each sees one snapshot. On a file in WAL mode they never wait for the
//!   writer. In memory they share its connection, and wait at most for one batch, without any I/O.
//! * **Integrity**: a row that was moved, swapped, re-dated, renumbered, revived or replaced by an older state of itself is
//!   refused by name ([`StoreError::Tampered`]); other rows stay readable. So is a policy that was removed, added or put back.
//!   *Not* noticed are an older state of everything that belongs to one path, or of the whole file, and a name that was added to
//!   [`Store::list`].
//!
//! The file is `nexus.db` in the data directory. It is created atomically. Upstream's `spike.db` beside it is imported once
//! ([`Import`]) and never changed.

pub mod backup;
mod cache;
mod change;
mod condition;
mod disk;
mod engine;
mod error;
mod files;
mod format;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod home;
mod import;
mod looks;
mod opening;
mod options;
mod policies;
mod secrets;
mod sight;
mod sqlite;
mod work;

use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use spike_crypto::{Fingerprint, Quorum, RootKey};
use spike_domain::UnixNanos;
pub use spike_import::{Finding, Generation, ImportReport, NONCES_WERE_REUSED, Reason};

pub use self::cache::CacheStats;
use self::cache::ValueCache;
pub use self::change::{PolicyChange, PolicySet};
pub use self::condition::{Condition, Failure};
use self::engine::Engine;
pub use self::error::StoreError;
pub use self::files::{Change, Files};
pub use self::format::import::ImportRecord;
use self::format::keys::Keys;
pub use self::format::policy::{PolicyText, StoredPolicy};
pub use self::home::{Found, Home, Look};
pub use self::import::{Import, NotImported};
pub use self::looks::{LOOK_LIMIT, Looks, NoAnswer};
pub use self::opening::{Opening, Unopened};
pub use self::options::{JournalMode, JudgePolicy, Options};
pub use self::secrets::{Described, Got, StoredValue};
pub use self::sight::Sight;
pub use self::sqlite::commits::Loss;
use self::sqlite::place::Place;
use self::sqlite::queue::Queue;
use self::sqlite::readers::Readers;
pub use self::sqlite::shown::PolicyFollower;
use self::sqlite::shown::Shown;
use self::sqlite::{create, open, rows, wal};
use self::work::NoteExport;

/// The content of the store, for status and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Size of the database in bytes, without the write-ahead log.
    pub bytes: u64,
    /// Secret paths, fully deleted ones too.
    pub paths: u64,
    /// Versions of all paths, deleted ones too.
    pub versions: u64,
    /// Policies.
    pub policies: u64,
    /// The number of the active data key.
    pub active_key: u32,
}

/// The record of the store about its root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootKeyRecord {
    /// The generation of the root key, from 1 on.
    pub generation: u32,
    /// How the key was split when the store was last opened; `None` if that is unknown.
    pub quorum: Option<Quorum>,
}

/// An open store. It is shared by reference; the [module](self) says which calls wait for which.
pub struct Store {
    readers: Arc<Readers>,
    cache: Arc<ValueCache>,
    keys: Arc<Keys>,
    queue: Queue,
    policy_epoch: Arc<AtomicU64>,
    max_versions: NonZeroU32,
    prune_imported: bool,
    root_key: Fingerprint,
    import: Import,
    follower: Arc<OnceLock<PolicyFollower>>,
    condition: Arc<Condition>,
    loss: Option<Loss>,
    place: Arc<Place>,
    /// The file of the database; `None` in memory.
    file: Option<PathBuf>,
}

impl Store {
    fn open_with_key_limit(
        home: &Home,
        root: &RootKey,
        options: &Options,
        expected: (Opening, Option<&Files>),
        encryptions_per_key: u64,
        now: UnixNanos,
    ) -> Result<Self, Unopened> {
        let mut opened = open::open(home, root, options, expected, encryptions_per_key, now)?;
        let import = std::mem::take(&mut opened.import);
        let place = Arc::clone(&opened.place);
        let readers = Arc::clone(&opened.readers);
        let keys = Arc::clone(opened.ring.keys());
        let policy_epoch = Arc::new(AtomicU64::new(opened.identity.policy_epoch));
        let cache = Arc::new(ValueCache::new(options.read_cache));
        let follower = Arc::new(OnceLock::new());
        let condition = Arc::clone(&opened.condition);
        let loss = opened.loss.take();
        let shown = Shown {
            policy_epoch: Arc::clone(&policy_epoch),
            cache: Arc::clone(&cache),
            follower: Arc::clone(&follower),
            condition: Arc::clone(&condition),
        };
        let queue = Queue::start(opened, shown, options.operation_timeout)
            .map_err(|error| Unopened { error, may_have_written: true })?;
        let max_versions = options.max_versions;
        let root_key = root.fingerprint();
        let file = match home {
            Home::File(directory) => Some(directory.join(create::FILE)),
            Home::Memory => None,
        };
        Ok(Self {
            readers,
            cache,
            keys,
            queue,
            policy_epoch,
            max_versions,
            prune_imported: options.prune_imported,
            root_key,
            import,
            follower,
            condition,
            loss,
            place,
            file,
        })
    }

    /// Calls `follower` with every change of a policy, in the order of commits, before the change is answered, so that
    /// decisions follow the store even if callers leave. Only the first follower counts.
    ///
    /// It runs on the writer thread, so a slow follower delays writes.
    pub fn follow_policies(&self, follower: PolicyFollower) {
        if self.follower.set(follower).is_err() {
            tracing::error!("the policies of a store are followed twice: a bug");
        }
    }

    /// The condition of writing and reading.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Checks that the open files are still at their paths, and that nobody else has written to them. Otherwise writes would be lost
    /// at a restart.
    ///
    /// # Errors
    /// [`StoreError::Misplaced`], [`StoreError::LockLost`], [`StoreError::LogChanged`], [`StoreError::DatabaseChanged`].
    pub fn in_place(&self) -> Result<(), StoreError> {
        self.place.examine()
    }

    /// The loss of acknowledged commits, if one was noticed and no operator has confirmed it yet.
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.as_ref().filter(|loss| loss.is_open())
    }

    /// The number of writes in the queue.
    pub fn waiting_writes(&self) -> usize {
        self.queue.waiting()
    }

    /// Bytes that Nexus may still write on the disk of the database; `None` in memory, or if the disk cannot be asked.
    pub fn free_bytes(&self) -> Option<u64> {
        disk::free_bytes(self.file.as_ref()?.parent()?)
    }

    /// Bytes of the database file and of the write-ahead log beside it; `None` in memory.
    pub fn file_sizes(&self) -> Option<(u64, u64)> {
        let file = self.file.as_ref()?;
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        Some((length(file), length(&file.with_file_name(wal::FILE))))
    }

    /// When the newest backup that was verified was made, in seconds since 1970; 0: none. `None` in memory.
    pub fn last_backup(&self) -> Option<i64> {
        Some(backup::last_verified(self.file.as_ref()?.parent()?))
    }

    /// Checks that the database can be read, by reading it. Used after a failed read.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn try_read(&self) -> Result<(), StoreError> {
        self.readers.read(|reader| rows::identity(reader, &self.keys)).map(|_identity| ())
    }

    /// Reads every page, and ends a failure of reading if all are whole. It takes as long as that takes, with one of the
    /// connections for reading.
    pub fn examine(&self) {
        let answer = self.readers.read(|reader| {
            Ok(reader.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?)
        });
        self.condition.ends_examination(answer.is_ok_and(|answer| answer == "ok"));
    }

    /// Checks that all data of upstream is in the store, while its file is beside it.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn import_check(&self) -> Result<(), String> {
        self.import.check(self.file.as_deref().and_then(Path::parent))
    }

    /// The record of the import. `None`: nothing was ever imported.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the record was altered.
    pub fn import_record(&self) -> Result<Option<ImportRecord>, StoreError> {
        self.readers.read(|reader| {
            let identity = rows::identity(reader, &self.keys)?;
            rows::verified_import(reader, &self.keys, &identity)
        })
    }

    /// The fingerprint of the root key that the store belongs to.
    pub const fn root_key(&self) -> Fingerprint {
        self.root_key
    }

    /// Records that recovery shares were handed out.
    ///
    /// # Errors
    /// Any error of a write.
    pub async fn note_export(&self, now: UnixNanos) -> Result<(), StoreError> {
        self.queue.write(now, NoteExport { now }).await
    }

    /// When recovery shares were last handed out.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the row of the store was altered.
    pub fn last_export(&self) -> Result<Option<UnixNanos>, StoreError> {
        let identity = self.readers.read(|reader| rows::identity(reader, &self.keys))?;
        Ok(identity.last_export)
    }

    /// The number of the active data key.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the row of the store was altered.
    pub fn active_key(&self) -> Result<u32, StoreError> {
        let identity = self.readers.read(|reader| rows::identity(reader, &self.keys))?;
        Ok(identity.active_key)
    }

    /// The record of the store about its root key.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the row of the store was altered.
    pub fn root_key_record(&self) -> Result<RootKeyRecord, StoreError> {
        let identity = self.readers.read(|reader| rows::identity(reader, &self.keys))?;
        Ok(RootKeyRecord { generation: identity.generation, quorum: identity.quorum })
    }

    /// Counts what is stored. Scans two indexes: about 20 ms for a million versions.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Closed`].
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let stats = self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size),
                        (SELECT count(*) FROM secrets), (SELECT count(*) FROM versions),
                        (SELECT count(*) FROM policies), (SELECT active_key FROM store)",
            )?;
            Ok(statement.query_row([], |row| {
                Ok(Stats {
                    bytes: row.get::<_, i64>(0)?.cast_unsigned(),
                    paths: row.get::<_, i64>(1)?.cast_unsigned(),
                    versions: row.get::<_, i64>(2)?.cast_unsigned(),
                    policies: row.get::<_, i64>(3)?.cast_unsigned(),
                    active_key: row.get(4)?,
                })
            })?)
        })?;
        Ok(stats)
    }

    /// The use of the value cache. Costs a few locks.
    pub fn cache_stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// Grows with every change of a policy, so what was compiled under an older epoch is out of date. Costs one atomic load.
    pub fn policy_epoch(&self) -> u64 {
        self.policy_epoch.load(Ordering::Acquire)
    }

    /// Finishes the writes in the queue, moves the write-ahead log into the file and closes it. Later calls return
    /// [`StoreError::Closed`]. Dropping the store does the same, blocking for some seconds at most and never on a thread that
    /// serves, and ignores failures.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`] if the log could not be moved; it stays beside the file and is read at the next start.
    /// [`StoreError::Closed`] if the store was closed before.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.queue.close().await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
