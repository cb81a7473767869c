//! How a store is opened and run.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use spike_crypto::Quorum;

use super::error::StoreError;
use super::format::policy::PolicyText;

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

/// Tells what a policy does not do that it says. The store keeps policies and does not know what they mean.
pub type JudgePolicy = fn(&PolicyText) -> Result<(), String>;

/// How a store is opened and run.
#[derive(Debug, Clone)]
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
    /// Import a database of upstream although some of its rows have to be left out (`SPIKE_NEXUS_IMPORT_WITH_LOSSES`).
    pub import_with_losses: bool,
    /// Let the limit on versions count versions that were imported too (`SPIKE_NEXUS_IMPORT_PRUNE_VERSIONS`).
    pub prune_imported: bool,
    /// Says of an imported policy what it does not do here that it says.
    pub judge_policy: JudgePolicy,
    /// How Nexus splits the root key, to be recorded in the store; `None` where it is not split.
    pub quorum: Option<Quorum>,
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
            import_with_losses: false,
            prune_imported: false,
            judge_policy: |_policy| Ok(()),
            quorum: None,
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
