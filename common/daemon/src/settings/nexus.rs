//! The settings of Nexus.

use std::{fmt, path::PathBuf, time::Duration};

use spike_crypto::Quorum;

use super::{
    AuditSettings, HttpServerSettings, LogSettings, TelemetrySettings, http, key::KeySettings,
};
use spike_config::{
    DATA_DIRECTORY, Directory, Environment, KeeperPeers, ListenAddress, Loaded, Outcome, Process,
    Reader, load, table,
};
use spike_mtls::settings::{HttpClientSettings, IdentitySettings};

/// The fewest connections to the database that work.
const LEAST_CONNECTIONS: usize = 2;

/// Where Nexus stores its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// An encrypted database file.
    Sqlite,
    /// Nowhere: only encryption as a service.
    Lite,
    /// The memory of the process.
    Memory,
}

impl fmt::Display for Backend {
    /// The value of the setting.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Lite => "lite",
            Self::Memory => "memory",
        })
    }
}

impl Backend {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        reader.word(&table::SPIKE_NEXUS_BACKEND_STORE, |text| match text.to_lowercase().as_str() {
            "sqlite" => Some(Self::Sqlite),
            "lite" => Some(Self::Lite),
            "memory" => Some(Self::Memory),
            _ => None,
        })
    }
}

/// How SQLite keeps a transaction atomic across a crash. Only modes that do are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalMode {
    /// A write-ahead log.
    Wal,
    /// A rollback journal, deleted at commit.
    Delete,
    /// A rollback journal, truncated at commit.
    Truncate,
    /// A rollback journal, overwritten at commit.
    Persist,
}

impl JournalMode {
    fn parse(text: &str) -> Option<Self> {
        [Self::Wal, Self::Delete, Self::Truncate, Self::Persist]
            .into_iter()
            .find(|mode| mode.as_str().eq_ignore_ascii_case(text))
    }

    /// The value that `PRAGMA journal_mode` takes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wal => "WAL",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
            Self::Persist => "PERSIST",
        }
    }
}

/// Which policy patterns open a reserved path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservedPaths {
    /// Patterns that match the whole path, including `^.*$`: upstream's rule.
    Pattern,
    /// Patterns that name the path literally.
    Literal,
}

impl ReservedPaths {
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.word(&table::SPIKE_NEXUS_RESERVED_PATHS, |text| match text.to_lowercase().as_str() {
            "pattern" => Some(Self::Pattern),
            "literal" => Some(Self::Literal),
            _ => None,
        })
    }
}

/// How an upstream database is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportSettings {
    /// Whether to import although some rows must be left out.
    pub with_losses: bool,
    /// Whether the limit on versions counts imported versions too.
    pub prune_versions: bool,
}

/// How the database is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// How SQLite keeps a transaction atomic.
    pub journal_mode: JournalMode,
    /// How long to wait for a lock of another process.
    pub busy_timeout: Duration,
    /// How many connections may be open.
    pub max_open_connections: usize,
    /// How many unused connections stay open; at most the number of open ones.
    pub max_idle_connections: usize,
    /// The age at which a connection is replaced, if any.
    pub connection_lifetime: Option<Duration>,
    /// How long opening and migrating may take.
    pub initialization_timeout: Duration,
    /// How long one operation may take, if there is a limit.
    pub operation_timeout: Option<Duration>,
    /// Whether the tables must exist already.
    pub skip_schema_creation: bool,
    /// Whether to create a store for a key that Bootstrap has not just proved.
    pub accept_new_store: bool,
    /// How an upstream database is imported.
    pub import: ImportSettings,
    /// How many bytes of encrypted values are kept in memory.
    pub read_cache_size: usize,
}

impl DatabaseSettings {
    fn read(reader: &mut Reader<'_>) -> Self {
        let mut open = reader.count(&table::SPIKE_NEXUS_DB_MAX_OPEN_CONNS);
        if open < LEAST_CONNECTIONS {
            let rule = format!(
                "expected at least {LEAST_CONNECTIONS}: one that writes, and one that reads"
            );
            let outcome = Outcome::FellBackTo(LEAST_CONNECTIONS.to_string());
            reader.report(&table::SPIKE_NEXUS_DB_MAX_OPEN_CONNS, rule, outcome);
            open = LEAST_CONNECTIONS;
        }
        let idle: usize = reader.count(&table::SPIKE_NEXUS_DB_MAX_IDLE_CONNS);
        // The default of one may be above the configured value of the other; that is no mistake.
        if idle > open && reader.is_set(&table::SPIKE_NEXUS_DB_MAX_IDLE_CONNS) {
            let name = table::SPIKE_NEXUS_DB_MAX_OPEN_CONNS.name;
            let rule = format!("expected at most {name}, which is {open}");
            let outcome = Outcome::FellBackTo(open.to_string());
            reader.report(&table::SPIKE_NEXUS_DB_MAX_IDLE_CONNS, rule, outcome);
        }
        let accept_new_store = reader.flag(&table::SPIKE_NEXUS_ACCEPT_NEW_STORE);
        if accept_new_store {
            let rule = "meant for one start: as long as it is set, a Nexus whose data is not there, because a volume is not mounted, makes a \
                        new and empty store. Take it away again";
            reader.report(&table::SPIKE_NEXUS_ACCEPT_NEW_STORE, rule.to_owned(), Outcome::Used);
        }
        let busy: u32 = reader.count(&table::SPIKE_NEXUS_DB_BUSY_TIMEOUT_MS);
        Self {
            journal_mode: reader.word(&table::SPIKE_NEXUS_DB_JOURNAL_MODE, JournalMode::parse),
            busy_timeout: Duration::from_millis(busy.into()),
            max_open_connections: open,
            max_idle_connections: idle.min(open),
            connection_lifetime: reader.time_limit(&table::SPIKE_NEXUS_DB_CONN_MAX_LIFETIME),
            initialization_timeout: reader.duration(&table::SPIKE_NEXUS_DB_INITIALIZATION_TIMEOUT),
            operation_timeout: reader.time_limit(&table::SPIKE_NEXUS_DB_OPERATION_TIMEOUT),
            skip_schema_creation: reader.flag(&table::SPIKE_NEXUS_DB_SKIP_SCHEMA_CREATION),
            accept_new_store,
            import: ImportSettings {
                with_losses: reader.flag(&table::SPIKE_NEXUS_IMPORT_WITH_LOSSES),
                prune_versions: reader.flag(&table::SPIKE_NEXUS_IMPORT_PRUNE_VERSIONS),
            },
            read_cache_size: reader.count(&table::SPIKE_NEXUS_READ_CACHE_SIZE),
        }
    }
}

/// The most connections in their handshakes. Each takes up to 64 KiB of memory.
const HANDSHAKES: usize = 512;

/// All settings of Nexus.
#[derive(Clone, Debug)]
pub struct NexusSettings {
    /// Its identity, and the trust roots of each role.
    pub identity: IdentitySettings,
    /// Where it serves its API.
    pub listen: ListenAddress,
    /// Bounds on its callers.
    pub server: HttpServerSettings,
    /// Limits of its calls to Keepers.
    pub client: HttpClientSettings,
    /// Where it serves probes and metrics.
    pub telemetry: TelemetrySettings,
    /// How it logs.
    pub log: LogSettings,
    /// Where its audit lines go.
    pub audit: AuditSettings,
    /// Where it stores its data.
    pub backend: Backend,
    /// The directory of the database, with the `sqlite` backend.
    pub data: Option<Directory>,
    /// The place where the `sqlite` backend would have its database, with another backend.
    pub unused_data: Option<PathBuf>,
    /// How the database is used, with the `sqlite` backend.
    pub database: DatabaseSettings,
    /// How the root key is split.
    pub quorum: Quorum,
    /// The Keepers, one for each share; `None` with the `memory` backend, which needs none.
    pub keepers: Option<KeeperPeers>,
    /// The highest share index that an operator may restore.
    pub max_share_index: u16,
    /// How often Nexus sends the Keepers their shares again.
    pub keeper_update_interval: Duration,
    /// The longest pause between two rounds of asking Keepers for shares.
    pub recovery_max_interval: Duration,
    /// Which policy patterns open a reserved path.
    pub reserved_paths: ReservedPaths,
    /// How many versions a new secret keeps.
    pub max_secret_versions: u32,
    /// The longest ciphertext of the cipher API, in bytes, the tag included.
    pub max_ciphertext_size: usize,
}

impl NexusSettings {
    /// Reads all settings, and collects problems.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let listen = reader.listen(&table::SPIKE_NEXUS_TLS_PORT);
        let backend = Backend::read(reader);
        let KeySettings { quorum, keepers } = KeySettings::read(reader, backend);
        let directory = &table::SPIKE_NEXUS_DATA_DIR;
        let (data, unused_data) = match backend {
            Backend::Sqlite => (reader.directory(directory, DATA_DIRECTORY), None),
            Backend::Lite | Backend::Memory => {
                (None, reader.directory_choice(directory, DATA_DIRECTORY).place())
            }
        };
        let server = HttpServerSettings::read(reader, HANDSHAKES);
        let body = (&table::SPIKE_HTTP_SERVER_MAX_BODY_SIZE, server.requests.body.bytes);
        let ciphertext = &table::SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE;
        let size = reader.count(ciphertext);
        Self {
            identity: IdentitySettings::read(reader),
            server,
            client: HttpClientSettings::read(reader),
            telemetry: TelemetrySettings::read(reader, &table::SPIKE_NEXUS_TELEMETRY_ADDR, &listen),
            log: LogSettings::read(reader),
            audit: AuditSettings::read(reader),
            database: DatabaseSettings::read(reader),
            max_share_index: reader.count(&table::SPIKE_NEXUS_SHAMIR_MAX_SHARE_COUNT),
            keeper_update_interval: reader.duration(&table::SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL),
            recovery_max_interval: reader.duration(&table::SPIKE_NEXUS_RECOVERY_MAX_INTERVAL),
            reserved_paths: ReservedPaths::read(reader),
            max_secret_versions: reader.count(&table::SPIKE_NEXUS_MAX_SECRET_VERSIONS),
            max_ciphertext_size: http::at_most(reader, (ciphertext, size), body),
            listen,
            backend,
            data,
            unused_data,
            quorum,
            keepers,
        }
    }

    /// Loads the settings, with the problems that do not prevent a start.
    ///
    /// # Errors
    /// [`spike_config::ConfigError`] with all problems, if at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        load(environment, Process::Nexus, Self::read)
    }
}
