//! The encrypted store: versioned secrets and policies in SQLite, in a file or in memory.
//!
//! Owned here: files and their modes, schema, data keys, which row is bound to what, transactions.
//! The rules of versions are those of [`spike_domain`]; what a policy means is up to
//! [`crate::policy`]; who may call is up to the access check; values are opaque bytes.
//!
//! * **Writes** are `async`. One thread makes them, and commits what is waiting in one transaction;
//!   an answer means that the write survives a crash and a power loss. A failed write changes
//!   nothing, and nothing of the others in its transaction.
//! * **Reads** are synchronous and take microseconds. Each sees one snapshot. On a file in WAL mode
//!   they never wait for the writer; in memory they share its connection, and wait at most for the
//!   time of one batch, without any I/O.
//! * **Integrity**: a row that was moved, swapped, re-dated, renumbered, revived or replaced by an
//!   older state of itself is refused by name ([`StoreError::Tampered`]); other rows stay
//!   readable. So is a policy that was removed, added or put back. What is *not* noticed yet is an
//!   older state of everything that belongs to one path, or of the whole file, and a name that was
//!   added to [`Store::list`].
//!
//! The file is `nexus.db` in the data directory. It appears there whole or not at all. Upstream's
//! `spike.db` beside it is taken in once ([`Import`]) and never touched.

pub mod backup;
mod cache;
mod change;
mod condition;
mod engine;
mod error;
mod format;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod home;
mod import;
mod options;
mod policies;
mod secrets;
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
pub use self::format::import::ImportRecord;
use self::format::keyring::ENCRYPTIONS_PER_KEY;
use self::format::keys::Keys;
pub use self::format::policy::{PolicyText, StoredPolicy};
pub use self::home::{Found, Home, Look};
pub use self::import::{Import, NotImported};
pub use self::options::{JournalMode, JudgePolicy, Options};
pub use self::sqlite::commits::Loss;
use self::sqlite::place::Place;
use self::sqlite::queue::Queue;
use self::sqlite::readers::Readers;
pub use self::sqlite::writer::PolicyFollower;
use self::sqlite::writer::Shown;
use self::sqlite::{create, open, rows, wal};
use self::work::NoteExport;

/// What the store holds, for status and metrics.
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
    /// The number of the data key that encrypts.
    pub active_key: u32,
}

/// What a store records of its root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootKeyRecord {
    /// Which root key of this store it is, from 1 on.
    pub generation: u32,
    /// How the key was split when the store was last opened; `None` where nobody has said.
    pub quorum: Option<Quorum>,
}

/// An open store. Shared by reference; see the [module](self) for what may wait for what.
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
    /// Whether there is a store at `home`, or a database of upstream that opening would take in.
    ///
    /// Where there is, opening proves the root key; where there is none, opening starts a new
    /// store under whatever key is given. What cannot be looked at counts as being there. A
    /// database of upstream without a single row counts too, although it proves no key.
    pub fn exists(home: &Home) -> bool {
        match home {
            Home::File(directory) => create::exists(directory) || spike_import::exists(directory),
            Home::Memory => false,
        }
    }

    /// Opens the store at `home`, or makes it, and takes in a database of upstream that lies
    /// there: [`import`](Self::import) tells what came of it. Blocks for as long as the disk takes.
    ///
    /// `root` is needed here only; the store keeps what is derived from it. Where the store, or
    /// the database to take in, belongs to another key, no byte of either is changed.
    ///
    /// # Errors
    /// [`StoreError`] names the file, what is wrong with it, or whose key it was.
    pub fn open(
        home: &Home,
        root: &RootKey,
        options: &Options,
        now: UnixNanos,
    ) -> Result<Self, StoreError> {
        Self::open_with_key_limit(home, root, options, ENCRYPTIONS_PER_KEY, now)
    }

    fn open_with_key_limit(
        home: &Home,
        root: &RootKey,
        options: &Options,
        encryptions_per_key: u64,
        now: UnixNanos,
    ) -> Result<Self, StoreError> {
        let mut opened = open::open(home, root, options, encryptions_per_key, now)?;
        let import = std::mem::take(&mut opened.import);
        let readers = Arc::clone(&opened.readers);
        let keys = Arc::clone(opened.ring.keys());
        let policy_epoch = Arc::new(AtomicU64::new(opened.identity.policy_epoch));
        let cache = Arc::new(ValueCache::new(options.read_cache));
        let follower = Arc::new(OnceLock::new());
        let condition = Arc::clone(&opened.condition);
        let loss = opened.loss.take();
        let place = Arc::clone(&opened.place);
        let shown = Shown {
            policy_epoch: Arc::clone(&policy_epoch),
            cache: Arc::clone(&cache),
            follower: Arc::clone(&follower),
            condition: Arc::clone(&condition),
        };
        let queue = Queue::start(opened, shown, options.operation_timeout)?;
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

    /// Has `follower` told of every change of a policy, in the order of commits, before whoever made it is answered: what
    /// decides then follows the store whatever becomes of the callers. Only the first follower counts.
    ///
    /// It runs on the thread that writes, so that a slow one delays writes.
    pub fn follow_policies(&self, follower: PolicyFollower) {
        if self.follower.set(follower).is_err() {
            tracing::error!("the policies of a store are followed twice: a bug");
        }
    }

    /// How writing and reading go.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Whether the files that are open are still at their paths, so that what is written is there after a restart.
    ///
    /// # Errors
    /// [`StoreError::Misplaced`].
    pub fn in_place(&self) -> Result<(), StoreError> {
        self.place.check()
    }

    /// Acknowledged commits that are missing, where that was noticed and nobody has looked after it yet.
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.as_ref().filter(|loss| loss.is_open())
    }

    /// Writes that wait for the writer thread.
    pub fn waiting_writes(&self) -> usize {
        self.queue.waiting()
    }

    /// Bytes that Nexus may still write on the disk of the database; `None` in memory, or if the disk cannot be asked.
    pub fn free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(self.file.as_ref()?.parent()?).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
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

    /// Whether the database can be read, by reading it: for when a read has failed.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub fn try_read(&self) -> Result<(), StoreError> {
        self.readers.read(|reader| rows::identity(reader, &self.keys)).map(|_identity| ())
    }

    /// Whether upstream's data is in the store, as far as its file still lies beside it.
    ///
    /// # Errors
    /// What is not, in words.
    pub fn import_check(&self) -> Result<(), String> {
        self.import.check(self.file.as_deref().and_then(Path::parent))
    }

    /// What opening found of upstream's data, and what came of it: to be logged and shown.
    pub const fn import(&self) -> &Import {
        &self.import
    }

    /// What the store remembers of its import. `None`: nothing was ever imported.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] when what it remembers is not as it was written.
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

    /// Remembers that recovery shares were handed out.
    ///
    /// # Errors
    /// What keeps every write from being done.
    pub async fn note_export(&self, now: UnixNanos) -> Result<(), StoreError> {
        self.queue.write(now, NoteExport { now }).await
    }

    /// When recovery shares were last handed out.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] when the row that says so is not as it was written.
    pub fn last_export(&self) -> Result<Option<UnixNanos>, StoreError> {
        let identity = self.readers.read(|reader| rows::identity(reader, &self.keys))?;
        Ok(identity.last_export)
    }

    /// The number of the data key that encrypts.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] when the row that says so is not as it was written.
    pub fn active_key(&self) -> Result<u32, StoreError> {
        let identity = self.readers.read(|reader| rows::identity(reader, &self.keys))?;
        Ok(identity.active_key)
    }

    /// What the store records of its root key.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] when the row that says so is not as it was written.
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

    /// How the values that are kept in memory were of use. Costs a few locks.
    pub fn cache_stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// Grows with every change of a policy; what was compiled under an older epoch is out of date.
    /// Costs one atomic load.
    pub fn policy_epoch(&self) -> u64 {
        self.policy_epoch.load(Ordering::Acquire)
    }

    /// Finishes the writes that were accepted, moves the write-ahead log into the file and closes
    /// it. Later calls are answered with [`StoreError::Closed`]. Dropping the store does the same,
    /// blocking, without telling of failures.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`] when the log could not be moved; it stays beside the file and is
    /// read at the next start. [`StoreError::Closed`] when it is closed already.
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
