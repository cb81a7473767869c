//! The encrypted store: versioned secrets and policies in SQLite, in a file or in memory.
//!
//! Owned here: files and their modes, schema, data keys, which row is bound to what, transactions.
//! The rules of versions are those of [`crate::secret`]; what a policy means is up to
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
//!   readable. What is *not* noticed yet is an older state of everything that belongs to one path
//!   or one policy, or of the whole file, and a name that was added to [`Store::list`].
//!
//! The file is `nexus.db` in the data directory. It appears there whole or not at all. Upstream's
//! `spike.db` beside it is taken in once ([`Import`]) and never touched.

mod cache;
mod create;
mod error;
mod found;
mod head;
mod identity;
mod import;
mod keyring;
mod open;
mod policies;
mod readers;
mod row;
mod secrets;
mod writer;

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use spike_crypto::{Fingerprint, RootKey};

pub use self::cache::CacheStats;
use self::cache::ValueCache;
pub use self::error::StoreError;
pub use self::found::Found;
use self::identity::Identity;
pub use self::import::{
    Finding, Generation, Import, ImportRecord, ImportReport, NotImported, Reason,
};
use self::keyring::{ENCRYPTIONS_PER_KEY, Keys};
pub use self::policies::{PolicySet, PolicyText, StoredPolicy};
use self::readers::Readers;
use self::writer::{Queue, Shown};
use crate::secret::UnixNanos;

/// Where the data lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// In `nexus.db` in this directory, which is created when missing.
    File(PathBuf),
    /// In this process only. Pair it with a random root key.
    Memory,
}

/// How SQLite keeps a transaction whole (`SPIKE_NEXUS_DB_JOURNAL_MODE`).
///
/// `MEMORY` and `OFF` are refused: a crash in the middle of a write can take answered writes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalMode {
    /// The default. Readers and the writer do not wait for each other.
    Wal,
    /// For file systems without shared memory, such as NFS. Readers wait while a write commits.
    Delete,
    /// As [`Delete`](Self::Delete); the journal is cut to length 0.
    Truncate,
    /// As [`Delete`](Self::Delete); the journal's header is overwritten.
    Persist,
}

/// How a store is opened and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many versions a path created from now on keeps (`SPIKE_NEXUS_MAX_SECRET_VERSIONS`).
    pub max_versions: NonZeroU32,
    /// `SPIKE_NEXUS_DB_JOURNAL_MODE`.
    pub journal_mode: JournalMode,
    /// How long a connection waits for a lock (`SPIKE_NEXUS_DB_BUSY_TIMEOUT_MS`).
    pub busy_timeout: Duration,
    /// How long a write waits for its turn; `None` is for ever. A write that has begun is always
    /// answered with its outcome (`SPIKE_NEXUS_DB_OPERATION_TIMEOUT`).
    pub operation_timeout: Option<Duration>,
    /// Connections for reading, each with a page cache of up to 2 MiB
    /// (`SPIKE_NEXUS_DB_MAX_OPEN_CONNS`, of which one is the writer).
    pub readers: NonZeroUsize,
    /// How many bytes of encrypted values are kept in memory, so that what is read often is not searched for; 0 is none
    /// (`SPIKE_NEXUS_READ_CACHE_SIZE`).
    pub read_cache: usize,
    /// Make a store where there is none (`SPIKE_NEXUS_DB_SKIP_SCHEMA_CREATION` switches it off).
    /// Taking in a database of upstream needs no leave: the data was there before.
    pub create: bool,
}

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

/// An open store. Shared by reference; see the [module](self) for what may wait for what.
pub struct Store {
    readers: Arc<Readers>,
    cache: Arc<ValueCache>,
    keys: Arc<Keys>,
    queue: Queue,
    policy_epoch: Arc<AtomicU64>,
    max_versions: NonZeroU32,
    root_key: Fingerprint,
    import: Import,
}

impl Store {
    /// Whether there is a store at `home`, or a database of upstream that opening would take in.
    ///
    /// Where there is, opening proves the root key; where there is none, opening starts a new
    /// store under whatever key is given. What cannot be looked at counts as being there. A
    /// database of upstream without a single row counts too, although it proves no key.
    pub fn exists(home: &Home) -> bool {
        match home {
            Home::File(directory) => create::exists(directory) || import::exists(directory),
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
        let shown = Shown { policy_epoch: Arc::clone(&policy_epoch), cache: Arc::clone(&cache) };
        let queue = Queue::start(opened, shown, options.operation_timeout)?;
        let max_versions = options.max_versions;
        let root_key = root.fingerprint();
        Ok(Self { readers, cache, keys, queue, policy_epoch, max_versions, root_key, import })
    }

    /// What opening found of upstream's data, and what came of it: to be logged and shown.
    pub const fn import(&self) -> &Import {
        &self.import
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
        self.queue
            .submit(now, move |change| {
                change.identity.last_export = Some(now);
                Ok(())
            })
            .await
    }

    /// When recovery shares were last handed out.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] when the row that says so is not as it was written.
    pub fn last_export(&self) -> Result<Option<UnixNanos>, StoreError> {
        let identity = self.readers.read(|reader| Identity::verified(reader, &self.keys))?;
        Ok(identity.last_export)
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

impl Default for Options {
    /// Upstream's defaults.
    fn default() -> Self {
        Self {
            max_versions: const { NonZeroU32::new(10).unwrap() },
            journal_mode: JournalMode::Wal,
            busy_timeout: Duration::from_secs(5),
            operation_timeout: Some(Duration::from_secs(15)),
            readers: const { NonZeroUsize::new(4).unwrap() },
            read_cache: 64 << 20,
            create: true,
        }
    }
}

impl JournalMode {
    /// Reads the setting, in any case.
    ///
    /// # Errors
    /// [`StoreError::UnsafeJournal`] for `MEMORY` and `OFF`; `Ok(None)` for what is no mode at all.
    pub fn parse(text: &str) -> Result<Option<Self>, StoreError> {
        match text.to_ascii_uppercase().as_str() {
            "WAL" => Ok(Some(Self::Wal)),
            "DELETE" => Ok(Some(Self::Delete)),
            "TRUNCATE" => Ok(Some(Self::Truncate)),
            "PERSIST" => Ok(Some(Self::Persist)),
            "MEMORY" => Err(StoreError::UnsafeJournal { mode: "MEMORY" }),
            "OFF" => Err(StoreError::UnsafeJournal { mode: "OFF" }),
            _ => Ok(None),
        }
    }

    /// As SQLite writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
            Self::Persist => "persist",
        }
    }
}

#[cfg(test)]
mod tests;
