//! The options of a store.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use spike_crypto::Quorum;

use super::error::StoreError;
use super::format::policy::PolicyText;

/// How SQLite makes transactions atomic (`SPIKE_NEXUS_DB_JOURNAL_MODE`).
///
/// `MEMORY` and `OFF` are refused: a crash during a write can destroy acknowledged writes.
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

/// Returns what a policy states and does not do. The store keeps policies without knowing their meaning.
pub type JudgePolicy = fn(&PolicyText) -> Result<(), String>;

/// The options of a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many versions a new path keeps (`SPIKE_NEXUS_MAX_SECRET_VERSIONS`).
    pub max_versions: NonZeroU32,
    /// `SPIKE_NEXUS_DB_JOURNAL_MODE`.
    pub journal_mode: JournalMode,
    /// How long a connection waits for a lock (`SPIKE_NEXUS_DB_BUSY_TIMEOUT_MS`).
    pub busy_timeout: Duration,
    /// How long a write waits in the queue; `None` is without limit. A write that has begun always returns its outcome
    /// (`SPIKE_NEXUS_DB_OPERATION_TIMEOUT`).
    pub operation_timeout: Option<Duration>,
    /// Connections for reading, each with a page cache of up to 2 MiB
    /// (`SPIKE_NEXUS_DB_MAX_OPEN_CONNS`, of which one is the writer).
    pub readers: NonZeroUsize,
    /// The size of the value cache, in bytes of encrypted values; 0 switches it off (`SPIKE_NEXUS_READ_CACHE_SIZE`).
    pub read_cache: usize,
    /// Create a store if there is none (`SPIKE_NEXUS_DB_SKIP_SCHEMA_CREATION` switches it off). The import of a database of
    /// upstream is always permitted, because its data existed before.
    pub create: bool,
    /// Import a database of upstream although some of its rows must be left out (`SPIKE_NEXUS_IMPORT_WITH_LOSSES`).
    pub import_with_losses: bool,
    /// Let the limit on versions count imported versions too (`SPIKE_NEXUS_IMPORT_PRUNE_VERSIONS`).
    pub prune_imported: bool,
    /// Checks an imported policy.
    pub judge_policy: JudgePolicy,
    /// How Nexus splits the root key, to be recorded in the store; `None` if it is not split.
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
    /// Parses the setting, in any case of letters.
    ///
    /// # Errors
    /// [`StoreError::UnsafeJournal`] for `MEMORY` and `OFF`; `Ok(None)` for an unknown mode.
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

    /// The name of the mode in SQLite.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
            Self::Persist => "persist",
        }
    }
}
