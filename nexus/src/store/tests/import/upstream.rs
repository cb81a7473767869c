//! Small databases in upstream's format, made from the facts of crypto-and-storage 7 with a separate AES-GCM, so that reading
//! them is not just the inverse of our own writing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Key};
use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use sha2::{Digest, Sha256};
use spike_crypto::RootKey;
use tempfile::TempDir;

use crate::store::{Generation, Home, Options, Store, StoreError};

/// 2026-11-22T03:34:19Z.
pub(super) const SECOND: i64 = 1_795_318_459;

const SECRETS: &str = "CREATE TABLE secrets (path TEXT NOT NULL, version INTEGER NOT NULL,
    nonce BLOB NOT NULL, encrypted_data BLOB NOT NULL, created_time DATETIME NOT NULL,
    deleted_time DATETIME, PRIMARY KEY (path, version));
    CREATE INDEX idx_secrets_path ON secrets (path);
    CREATE INDEX idx_secrets_created_time ON secrets (created_time);";

const ENCRYPTED_METADATA: &str = "CREATE TABLE secret_metadata (path TEXT PRIMARY KEY,
    nonce BLOB NOT NULL, encrypted_current_version BLOB NOT NULL,
    encrypted_oldest_version BLOB NOT NULL, encrypted_created_time BLOB NOT NULL,
    encrypted_updated_time BLOB NOT NULL, encrypted_max_versions BLOB NOT NULL);";

const CLEAR_METADATA: &str = "CREATE TABLE secret_metadata (path TEXT PRIMARY KEY,
    current_version INTEGER NOT NULL, oldest_version INTEGER NOT NULL,
    created_time DATETIME NOT NULL, updated_time DATETIME NOT NULL,
    max_versions INTEGER NOT NULL);";

const OLDEST_METADATA: &str = "CREATE TABLE secret_metadata (path TEXT PRIMARY KEY,
    current_version INTEGER NOT NULL, created_time DATETIME NOT NULL,
    updated_time DATETIME NOT NULL);";

const ENCRYPTED_POLICY: &str = "nonce BLOB NOT NULL, encrypted_spiffe_id_pattern BLOB NOT NULL,
    encrypted_path_pattern BLOB NOT NULL, encrypted_permissions BLOB NOT NULL,
    created_time INTEGER NOT NULL";

/// One row of `secret_metadata`.
#[derive(Clone, Copy)]
pub(super) struct Metadata {
    pub(super) current: i64,
    pub(super) oldest: i64,
    pub(super) max: i64,
    pub(super) created: i64,
    pub(super) updated: i64,
}

impl Metadata {
    pub(super) fn with_current(current: i64) -> Self {
        Self { current, oldest: 1, max: 10, created: SECOND, updated: SECOND + 60 }
    }
}

/// A data directory of upstream whose Nexus still runs.
pub(super) struct Upstream {
    pub(super) directory: TempDir,
    pub(super) connection: Connection,
    pub(super) generation: Generation,
    key: [u8; 32],
    /// Nonces are counted, so that all are different.
    nonces: u64,
}

impl Upstream {
    pub(super) fn new(generation: Generation) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(directory.path().join("spike.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        let by_id = "id TEXT PRIMARY KEY, name TEXT NOT NULL";
        let (metadata, policies) = match generation {
            Generation::Current => (
                ENCRYPTED_METADATA,
                format!("name TEXT PRIMARY KEY, {ENCRYPTED_POLICY}, updated_time INTEGER NOT NULL"),
            ),
            Generation::Between => (
                ENCRYPTED_METADATA,
                format!("{by_id}, {ENCRYPTED_POLICY}, updated_time INTEGER NOT NULL"),
            ),
            Generation::V0_8_0 => (
                CLEAR_METADATA,
                format!("{by_id}, {ENCRYPTED_POLICY}, updated_time INTEGER NOT NULL"),
            ),
            Generation::V0_5_0 => (CLEAR_METADATA, format!("{by_id}, {ENCRYPTED_POLICY}")),
            Generation::V0_4_3 => (
                OLDEST_METADATA,
                format!(
                    "{by_id}, spiffe_id_pattern TEXT NOT NULL, path_pattern TEXT NOT NULL,
                     created_time DATETIME NOT NULL"
                ),
            ),
            Generation::Mixed => panic!("no release writes it"),
        };
        let schema = format!("{SECRETS} {metadata} CREATE TABLE policies ({policies});");
        connection.execute_batch(&schema).unwrap();
        Self { directory, connection, generation, key: [1; 32], nonces: 0 }
    }

    /// The following rows are written under another root key.
    pub(super) fn under(mut self, key: [u8; 32]) -> Self {
        self.key = key;
        self
    }

    pub(super) fn nonce(&mut self) -> [u8; 12] {
        self.nonces += 1;
        let mut nonce = [0x5a; 12];
        nonce[4..].copy_from_slice(&self.nonces.to_be_bytes());
        nonce
    }

    pub(super) fn encrypt(&self, nonce: [u8; 12], plaintext: &[u8]) -> Vec<u8> {
        let cipher = Aes256Gcm::new(<&Key<Aes256Gcm>>::from(&self.key));
        cipher.encrypt(&nonce.into(), plaintext).unwrap()
    }

    pub(super) fn version(
        &mut self,
        path: &str,
        number: i64,
        json: &str,
        created: &str,
        deleted: Option<&str>,
    ) {
        let nonce = self.nonce();
        let data = self.encrypt(nonce, json.as_bytes());
        let row = params![path, number, nonce, data, created, deleted];
        self.connection.execute("INSERT INTO secrets VALUES (?, ?, ?, ?, ?, ?)", row).unwrap();
    }

    /// A live version, put at [`SECOND`].
    pub(super) fn live(&mut self, path: &str, number: i64, value: &str) {
        let json = format!(r#"{{"v":"{value}"}}"#);
        self.version(path, number, &json, "2026-11-22 03:34:19+00:00", None);
    }

    pub(super) fn metadata(&mut self, path: &str, metadata: Metadata) {
        let Metadata { current, oldest, max, created, updated } = metadata;
        let text = |seconds: i64| {
            let at = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let (hour, minute, second) = at.to_hms();
            format!("{} {hour:02}:{minute:02}:{second:02}+00:00", at.date())
        };
        let path = Value::from(path.to_owned());
        let row = match self.generation {
            Generation::Current | Generation::Between => {
                let nonce = self.nonce();
                let cell = |salt: &[u8; 12], number: i64| {
                    let salted = std::array::from_fn(|i| nonce[i] ^ salt[i]);
                    self.encrypt(salted, number.to_string().as_bytes()).into()
                };
                vec![
                    path,
                    nonce.to_vec().into(),
                    cell(b"current_ver_", current),
                    cell(b"oldest_ver__", oldest),
                    cell(b"created_tim_", created),
                    cell(b"updated_tim_", updated),
                    cell(b"max_versions", max),
                ]
            }
            Generation::V0_8_0 | Generation::V0_5_0 => vec![
                path,
                current.into(),
                oldest.into(),
                text(created).into(),
                text(updated).into(),
                max.into(),
            ],
            Generation::V0_4_3 | Generation::Mixed => {
                vec![path, current.into(), text(created).into(), text(updated).into()]
            }
        };
        self.insert("secret_metadata", row);
    }

    /// Three cells under one nonce (F13).
    pub(super) fn policy(&mut self, id: &str, name: &str, [ids, paths, words]: [&str; 3], at: i64) {
        let nonce = self.nonce();
        let cells = [ids, paths, words].map(|text| self.encrypt(nonce, text.as_bytes()).into());
        let (id, name) = (Value::from(id.to_owned()), Value::from(name.to_owned()));
        let mut row = match self.generation {
            Generation::Current => vec![name],
            Generation::Between
            | Generation::V0_8_0
            | Generation::V0_5_0
            | Generation::V0_4_3
            | Generation::Mixed => vec![id, name],
        };
        if self.generation == Generation::V0_4_3 {
            row.extend([ids.to_owned().into(), paths.to_owned().into(), at.into()]);
        } else {
            row.push(nonce.to_vec().into());
            row.extend(cells);
            let created = if self.generation == Generation::V0_5_0 { None } else { Some(SECOND) };
            row.extend(created.into_iter().chain([at]).map(Value::from));
        }
        self.insert("policies", row);
    }

    fn insert(&self, table: &str, row: Vec<Value>) {
        let marks = vec!["?"; row.len()].join(", ");
        let sql = format!("INSERT INTO {table} VALUES ({marks})");
        self.connection.execute(&sql, params_from_iter(row)).unwrap();
    }

    /// Two paths and two policies.
    pub(super) fn filled(generation: Generation) -> Self {
        let mut upstream = Self::new(generation);
        let (put, deleted) =
            ("2026-11-22 06:34:19.018713996+03:00", "2026-11-22 06:34:20.000000001+03:00");
        upstream.version("app/db", 1, r#"{"password":"p\u003c1\u003e"}"#, put, Some(deleted));
        upstream.version("app/db", 2, r#"{"password":"two","user":"admin"}"#, put, None);
        upstream.metadata("app/db", Metadata { oldest: 2, max: 7, ..Metadata::with_current(2) });
        upstream.live("web", 1, "caf\u{e9}");
        upstream.metadata("web", Metadata::with_current(1));
        let text = [r"^spiffe://example\.org/web$", "^app/.*$", "read,list"];
        upstream.policy("one", "web-read", text, SECOND + 5);
        upstream.policy("two", "all", ["^spiffe://example.org/", ".*", "super"], SECOND + 6);
        upstream
    }

    pub(super) fn execute(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    /// Ends upstream's Nexus cleanly: no log remains.
    pub(super) fn stopped(self) -> TempDir {
        let Self { directory, connection, .. } = self;
        connection.close().unwrap();
        directory
    }

    /// Ends upstream's Nexus as it really ends: the newest data stays in the log.
    pub(super) fn left(self) -> TempDir {
        let Self { directory, connection, .. } = self;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        connection.close().unwrap();
        directory
    }
}

pub(super) fn open_with(directory: &Path, key: &RootKey, now: i64) -> Result<Store, StoreError> {
    let options = Options::default();
    Store::open_or_create(&Home::File(directory.to_owned()), key, &options, now)
}

/// The content of a file, shown in short form.
#[derive(PartialEq, Eq)]
pub(super) struct Content(pub(super) Vec<u8>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, SHA-256 {:x?}", self.0.len(), Sha256::digest(&self.0).as_slice())
    }
}

/// Every file in the directory and below it, except those that SQLite keeps beside an empty store.
pub(super) fn files(directory: &Path) -> BTreeMap<PathBuf, Content> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
            files.insert(path, Content(Vec::new()));
            continue;
        }
        let content = fs::read(&path).unwrap();
        match path.file_name().unwrap().to_str().unwrap() {
            "nexus.lock" | "nexus.db-shm" | "nexus.commits" => {}
            "nexus.db-wal" if content.is_empty() => {}
            _ => drop(files.insert(path, Content(content))),
        }
    }
    files
}

/// Upstream's own files.
pub(super) fn originals(directory: &Path) -> BTreeMap<PathBuf, Content> {
    let mut files = files(directory);
    files.retain(|path, _| path.file_name().unwrap().to_string_lossy().starts_with("spike.db"));
    files
}
