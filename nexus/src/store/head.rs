//! The row of a path and the rows of its versions.
//!
//! The row of a path holds, encrypted, the list of its versions with the nonce of each version's
//! row. A version is read only as that list has it, so a row that was put back from an earlier
//! copy of the file, a missing one and an added one are refused like a changed one.

use std::num::NonZeroU32;

use rusqlite::{Connection, params};
use spike_crypto::{NONCE_LEN, Nonce};
use spike_domain::{History, SecretPath, UnixNanos, Version};
use zeroize::Zeroizing;

use super::StoreError;
use super::change::Change;
use super::keyring::Keys;
use super::row::{Cipher, Column, Detached, Row, seal};

/// The table with one row for each path.
pub(super) const HEADS: &str = "secrets";

/// The row of a path, decrypted.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) history: History,
    /// The nonce of each version's row, by version, in the order of the history.
    pub(super) nonces: Vec<(i64, Nonce)>,
}

impl Head {
    pub(super) const fn new(max_versions: NonZeroU32, now: UnixNanos) -> Self {
        Self { history: History::new(max_versions, now), nonces: Vec::new() }
    }

    pub(super) fn find(
        connection: &Connection,
        keys: &Keys,
        path: &SecretPath,
    ) -> Result<Option<Self>, StoreError> {
        Self::with(connection, keys, path, Ok)
    }

    /// Hands the row of a path to `then`, which sees the same snapshot: it runs while this
    /// statement is open, and SQLite keeps a snapshot for as long as that.
    pub(super) fn with<T>(
        connection: &Connection,
        keys: &Keys,
        path: &SecretPath,
        then: impl FnOnce(Option<Self>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut statement = connection.prepare_cached(
            "SELECT last_version, max_versions, created, updated, key_number, nonce, ciphertext
             FROM secrets WHERE path = ?1",
        )?;
        let mut rows = statement.query([path.as_str()])?;
        if let Some(row) = rows.next()? {
            let head = Self::read(row, keys, path)?;
            return then(Some(head));
        }
        // Versions without their path: its row was removed. One statement, so one snapshot.
        let orphaned: bool = connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM versions WHERE path = ?1)
                    AND NOT EXISTS (SELECT 1 FROM secrets WHERE path = ?1)",
            )?
            .query_row([path.as_str()], |row| row.get(0))?;
        if orphaned { Err(HeadRow::refused(path.as_str())) } else { then(None) }
    }

    fn read(row: &rusqlite::Row<'_>, keys: &Keys, path: &SecretPath) -> Result<Self, StoreError> {
        let path = path.as_str();
        let refused = || HeadRow::refused(path);
        let (clear, cipher) = HeadRow::read(row, path).ok_or_else(refused)?;
        let plaintext = cipher.open(&clear, keys)?;
        let entries = decode(&plaintext).ok_or_else(refused)?;
        let nonces = entries.iter().map(|(version, nonce)| (version.number, *nonce)).collect();
        let max_versions =
            u32::try_from(clear.max_versions).ok().and_then(NonZeroU32::new).ok_or_else(refused)?;
        let history = History::from_parts(
            entries.into_iter().map(|(version, _)| version).collect(),
            clear.last_version,
            max_versions,
            clear.created,
            clear.updated,
        )
        .ok()
        .ok_or_else(refused)?;
        Ok(Self { history, nonces })
    }

    /// Reads the row of `version`, which must be exactly the one listed here.
    pub(super) fn value(
        &self,
        connection: &Connection,
        keys: &Keys,
        path: &SecretPath,
        version: Version,
    ) -> Result<SealedValue, StoreError> {
        let clear = VersionRow { path: path.as_str(), version };
        let mut statement = connection.prepare_cached(
            "SELECT created, deleted, key_number, nonce, ciphertext
             FROM versions WHERE path = ?1 AND version = ?2",
        )?;
        let mut rows = statement.query(params![clear.path, version.number])?;
        let row = rows.next()?.ok_or_else(|| clear.tampered())?;
        let as_listed = row.get(0) == Ok(version.created) && row.get(1) == Ok(version.deleted);
        let cipher = Cipher::read(row, 2)
            .filter(|cipher| as_listed && self.nonce(version.number) == Some(cipher.nonce()));
        let sealed = cipher.ok_or_else(|| clear.tampered())?.detach(&clear, keys)?;
        Ok(SealedValue { version: version.number, sealed })
    }

    /// Writes the rows of `changed` again, with the times they have now. These are bound, so the
    /// values are encrypted anew.
    pub(super) fn restamp(
        &mut self,
        path: &SecretPath,
        before: &History,
        changed: &[i64],
        change: &mut Change<'_>,
    ) -> Result<(), StoreError> {
        if changed.is_empty() {
            return Ok(());
        }
        for number in changed {
            let (Some(old), Some(new)) = (before.version(*number), self.history.version(*number))
            else {
                return Err(StoreError::Bug);
            };
            let mut value = Zeroizing::new(Vec::new());
            self.value(change.connection, change.ring.keys(), path, *old)?
                .open_into(path, &mut value)?;
            let row = VersionRow { path: path.as_str(), version: *new };
            let nonce = seal(row, &value, change.ring)?.write(change.connection)?;
            let at = self.position(*number).ok_or(StoreError::Bug)?;
            let entry = self.nonces.get_mut(at).ok_or(StoreError::Bug)?;
            entry.1 = nonce;
        }
        self.write(path, change)
    }

    fn nonce(&self, number: i64) -> Option<&Nonce> {
        self.nonces.get(self.position(number)?).map(|(_number, nonce)| nonce)
    }

    fn position(&self, number: i64) -> Option<usize> {
        self.nonces.binary_search_by_key(&number, |(number, _nonce)| *number).ok()
    }

    pub(super) fn write(
        &self,
        path: &SecretPath,
        change: &mut Change<'_>,
    ) -> Result<(), StoreError> {
        let row = HeadRow {
            path: path.as_str(),
            last_version: self.history.last_version(),
            max_versions: i64::from(self.history.max_versions().get()),
            created: self.history.created(),
            updated: self.history.updated(),
        };
        let entries = encode(self.history.versions(), &self.nonces).ok_or(StoreError::Bug)?;
        seal(row, &entries, change.ring)?.write(change.connection)?;
        // Whatever changes a version of a path ends with this, so that nobody can forget it.
        change.effects.touched.push(path.as_str().to_owned());
        change.effects.head = Some(change.connection.last_insert_rowid());
        Ok(())
    }
}

/// The value of one version, encrypted, apart from the database.
#[derive(Debug)]
pub(super) struct SealedValue {
    version: i64,
    sealed: Detached,
}

impl SealedValue {
    /// Decrypts to the end of `out`, or refuses the row of that version of `path` by name.
    pub(super) fn open_into(&self, path: &SecretPath, out: &mut Vec<u8>) -> Result<(), StoreError> {
        self.sealed
            .open_into(out)
            .map_err(|_opaque| VersionRow::refused(path.as_str(), self.version))
    }

    /// Bytes of the ciphertext.
    pub(super) fn len(&self) -> usize {
        self.sealed.len()
    }

    /// The ciphertext.
    #[cfg(test)]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.sealed.as_bytes()
    }
}

/// Bytes of one version in the list of a path: number, created, whether deleted, deleted, nonce.
const ENTRY: usize = 8 + 8 + 1 + 8 + NONCE_LEN;

/// `None` when the nonces are not those of the versions, which is a bug.
pub(super) fn encode(versions: &[Version], nonces: &[(i64, Nonce)]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(versions.len() * ENTRY);
    if versions.len() != nonces.len() {
        return None;
    }
    for (version, (number, nonce)) in versions.iter().zip(nonces) {
        if version.number != *number {
            return None;
        }
        bytes.extend_from_slice(&version.number.to_be_bytes());
        bytes.extend_from_slice(&version.created.to_be_bytes());
        bytes.push(u8::from(version.deleted.is_some()));
        bytes.extend_from_slice(&version.deleted.unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(nonce);
    }
    Some(bytes)
}

pub(super) fn decode(bytes: &[u8]) -> Option<Vec<(Version, Nonce)>> {
    let (entries, []) = bytes.as_chunks::<ENTRY>() else { return None };
    let entry = |bytes: &[u8; ENTRY]| {
        let (number, bytes) = bytes.split_first_chunk()?;
        let (created, bytes) = bytes.split_first_chunk()?;
        let (is_deleted, bytes) = bytes.split_first()?;
        let (deleted, nonce) = bytes.split_first_chunk()?;
        let version = Version {
            number: i64::from_be_bytes(*number),
            created: i64::from_be_bytes(*created),
            deleted: (*is_deleted == 1).then(|| i64::from_be_bytes(*deleted)),
        };
        Some((version, *nonce.as_array()?))
    };
    entries.iter().map(entry).collect()
}

/// A row of `secrets`.
#[derive(Debug)]
struct HeadRow<'p> {
    path: &'p str,
    last_version: i64,
    max_versions: i64,
    created: UnixNanos,
    updated: UnixNanos,
}

impl<'p> HeadRow<'p> {
    fn read<'a>(row: &'a rusqlite::Row<'_>, path: &'p str) -> Option<(Self, Cipher<'a>)> {
        let clear = Self {
            path,
            last_version: row.get(0).ok()?,
            max_versions: row.get(1).ok()?,
            created: row.get(2).ok()?,
            updated: row.get(3).ok()?,
        };
        Some((clear, Cipher::read(row, 4)?))
    }

    fn refused(path: &str) -> StoreError {
        StoreError::Tampered { table: Self::TABLE, path: path.to_owned(), version: None }
    }
}

impl Row for HeadRow<'_> {
    const TABLE: &'static str = HEADS;
    const REPLACE: &'static str = "REPLACE INTO secrets
        (path, last_version, max_versions, created, updated, key_number, nonce, ciphertext)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Text(self.path));
        visit(Column::Number(self.last_version));
        visit(Column::Number(self.max_versions));
        visit(Column::Number(self.created));
        visit(Column::Number(self.updated));
    }

    fn tampered(&self) -> StoreError {
        Self::refused(self.path)
    }
}

/// A row of `versions`.
#[derive(Debug)]
pub(super) struct VersionRow<'p> {
    pub(super) path: &'p str,
    pub(super) version: Version,
}

impl Row for VersionRow<'_> {
    const TABLE: &'static str = "versions";
    const REPLACE: &'static str = "REPLACE INTO versions
        (path, version, created, deleted, key_number, nonce, ciphertext)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Text(self.path));
        visit(Column::Number(self.version.number));
        visit(Column::Number(self.version.created));
        visit(Column::Optional(self.version.deleted));
    }

    fn tampered(&self) -> StoreError {
        Self::refused(self.path, self.version.number)
    }
}

impl VersionRow<'_> {
    fn refused(path: &str, version: i64) -> StoreError {
        StoreError::Tampered { table: Self::TABLE, path: path.to_owned(), version: Some(version) }
    }
}
