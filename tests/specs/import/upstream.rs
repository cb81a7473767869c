//! A database as upstream 0.8.2 leaves it (crypto-and-storage 7), made with an AES-GCM of its own: reading it must not be the
//! inverse of our own writing.

use std::path::Path;

use aes_gcm::{Aes256Gcm, Key, KeyInit, aead::Aead};
use anyhow::{Result, anyhow};
use rusqlite::{Connection, params};
use spike_crypto::RootKey;

const SCHEMA: &str = "
    CREATE TABLE secrets (path TEXT NOT NULL, version INTEGER NOT NULL, nonce BLOB NOT NULL,
        encrypted_data BLOB NOT NULL, created_time DATETIME NOT NULL, deleted_time DATETIME,
        PRIMARY KEY (path, version));
    CREATE INDEX idx_secrets_path ON secrets (path);
    CREATE INDEX idx_secrets_created_time ON secrets (created_time);
    CREATE TABLE secret_metadata (path TEXT PRIMARY KEY, nonce BLOB NOT NULL,
        encrypted_current_version BLOB NOT NULL, encrypted_oldest_version BLOB NOT NULL,
        encrypted_created_time BLOB NOT NULL, encrypted_updated_time BLOB NOT NULL,
        encrypted_max_versions BLOB NOT NULL);
    CREATE TABLE policies (name TEXT PRIMARY KEY, nonce BLOB NOT NULL,
        encrypted_spiffe_id_pattern BLOB NOT NULL, encrypted_path_pattern BLOB NOT NULL,
        encrypted_permissions BLOB NOT NULL, created_time INTEGER NOT NULL,
        updated_time INTEGER NOT NULL);";

/// 2026-11-22T03:34:19Z.
const SECOND: i64 = 1_795_318_459;

/// The database, open.
pub(crate) struct Upstream {
    connection: Connection,
    key: [u8; 32],
    nonces: u64,
}

impl Upstream {
    /// The `spike.db` in this directory, which is made where it is missing.
    pub(super) fn at(directory: &Path, key: &RootKey) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join("spike.db");
        let is_new = !path.exists();
        let connection = Connection::open(path)?;
        if is_new {
            connection.execute_batch(SCHEMA)?;
        }
        // Nonces go on where an earlier one ended.
        let rows: i64 =
            connection.query_row("SELECT count(*) FROM secrets", [], |row| row.get(0))?;
        Ok(Self { connection, key: *key.expose_bytes(), nonces: 1000 * rows.unsigned_abs() })
    }

    /// A path with these versions, all of them live.
    pub(crate) fn secret(&mut self, path: &str, values: &[&str]) -> Result<()> {
        let mut current = 0;
        for (number, value) in (1_i64..).zip(values) {
            let nonce = self.nonce();
            let data = self.encrypt(nonce, format!(r#"{{"k":"{value}"}}"#).as_bytes())?;
            let created = "2026-11-22 03:34:19+00:00";
            self.connection.execute(
                "INSERT INTO secrets VALUES (?, ?, ?, ?, ?, NULL)",
                params![path, number, nonce, data, created],
            )?;
            current = number;
        }
        let nonce = self.nonce();
        // One nonce for a row, and a salt for each cell.
        let cell = |salt: &[u8; 12], number: i64| {
            let mut salted = nonce;
            salted.iter_mut().zip(salt).for_each(|(byte, salt)| *byte ^= salt);
            self.encrypt(salted, number.to_string().as_bytes())
        };
        self.connection.execute(
            "INSERT INTO secret_metadata VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                path,
                nonce,
                cell(b"current_ver_", current)?,
                cell(b"oldest_ver__", 1)?,
                cell(b"created_tim_", SECOND)?,
                cell(b"updated_tim_", SECOND)?,
                cell(b"max_versions", 10)?,
            ],
        )?;
        Ok(())
    }

    /// A policy: three cells under one nonce (F13).
    pub(super) fn policy(&mut self, name: &str, ids: &str, paths: &str, words: &str) -> Result<()> {
        let nonce = self.nonce();
        let cell = |text: &str| self.encrypt(nonce, text.as_bytes());
        self.connection.execute(
            "INSERT INTO policies VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![name, nonce, cell(ids)?, cell(paths)?, cell(words)?, SECOND, SECOND],
        )?;
        Ok(())
    }

    /// The version does not decrypt any more.
    pub(crate) fn damage(&self, path: &str, version: i64) -> Result<()> {
        let damaged =
            "UPDATE secrets SET encrypted_data = zeroblob(40) WHERE path = ? AND version = ?";
        self.connection.execute(damaged, params![path, version])?;
        Ok(())
    }

    fn nonce(&mut self) -> [u8; 12] {
        self.nonces += 1;
        let mut nonce = [0x5a; 12];
        nonce[4..].copy_from_slice(&self.nonces.to_be_bytes());
        nonce
    }

    fn encrypt(&self, nonce: [u8; 12], plaintext: &[u8]) -> Result<Vec<u8>> {
        let cipher = Aes256Gcm::new(<&Key<Aes256Gcm>>::from(&self.key));
        cipher.encrypt(&nonce.into(), plaintext).map_err(|error| anyhow!("{error}"))
    }
}
