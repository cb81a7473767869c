//! The SQL of the tables. Policies are in `policy_rows`.
//!
//! Writing replaces an existing row. The caller knows that row, or it is invalid.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, Rows, params, params_from_iter};
use spike_crypto::{NONCE_LEN, Quorum};
use spike_domain::{SecretPath, UnixNanos, Version};

use crate::store::error::StoreError;
use crate::store::format::head::{HeadRow, VersionRow};
use crate::store::format::identity::Identity;
use crate::store::format::import::ImportRecord;
use crate::store::format::keyring::{KeyRow, StoredKey};
use crate::store::format::keys::Keys;
use crate::store::format::policy_list::PolicyLists;
use crate::store::format::row::{Cipher, Column, Row, Sealed};

/// A table, and the statement that writes one of its rows: the columns in the order of [`Row::columns`], then key number,
/// nonce and ciphertext.
pub(in crate::store) trait Table: Row {
    const REPLACE: &'static str;
}

impl Table for Identity {
    const REPLACE: &'static str = "REPLACE INTO store
        (id, root_key_fingerprint, generation, shares, threshold, active_key, policy_epoch,
         created, imported, last_export, key_number, nonce, ciphertext)
        VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
}

impl Table for KeyRow {
    const REPLACE: &'static str = "REPLACE INTO keyring
        (number, created, reserved, wrapped_nonce, wrapped, key_number, nonce, ciphertext)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
}

impl Table for HeadRow<'_> {
    const REPLACE: &'static str = "REPLACE INTO secrets
        (path, last_version, max_versions, created, updated, key_number, nonce, ciphertext)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
}

impl Table for VersionRow<'_> {
    const REPLACE: &'static str = "REPLACE INTO versions
        (path, version, created, deleted, key_number, nonce, ciphertext)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
}

impl Table for ImportRecord {
    const REPLACE: &'static str = "REPLACE INTO imports (id, file, bytes, modified, sha256,
        imported, secrets, versions, policies, refused, key_number, nonce, ciphertext)
        VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
}

/// Writes a row.
pub(in crate::store) fn write<R: Table>(
    connection: &Connection,
    row: &Sealed<R>,
) -> rusqlite::Result<()> {
    execute(connection, R::REPLACE, row)
}

/// Runs a statement whose parameters are the parts of a row to be written, in the order of [`Sealed::columns`].
pub(super) fn execute<R: Row>(
    connection: &Connection,
    sql: &str,
    row: &Sealed<R>,
) -> rusqlite::Result<()> {
    let mut values = Vec::with_capacity(12);
    row.columns(&mut |column| values.push(value(column)));
    connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
    Ok(())
}

fn value(column: Column<'_>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match column {
        Column::Text(text) => ValueRef::Text(text.as_bytes()),
        Column::Bytes(bytes) => ValueRef::Blob(bytes),
        Column::Number(number) => ValueRef::Integer(number),
        Column::Optional(number) => number.map_or(ValueRef::Null, ValueRef::Integer),
    })
}

/// Reads key number, nonce and ciphertext from column `first` on; `None` if they are not what any writer produces.
pub(super) fn cipher(row: &SqlRow<'_>, first: usize) -> Option<Cipher> {
    let key_number = row.get(first).ok()?;
    let nonce = row.get_ref(first + 1).ok()?.as_blob().ok()?;
    Cipher::new(key_number, nonce, row.get_ref(first + 2).ok()?.as_blob().ok()?)
}

const IDENTITY: &str = "SELECT root_key_fingerprint, generation, shares, threshold, active_key,
    policy_epoch, created, imported, last_export, key_number, nonce, ciphertext
    FROM store WHERE id = 1";

/// The row of the store, before there are keys to check it with.
pub(in crate::store) fn unverified_identity(
    connection: &Connection,
) -> Result<Identity, StoreError> {
    let read = connection.query_row(IDENTITY, [], |row| Ok(identity_columns(row))).optional()?;
    Ok(read.flatten().ok_or_else(Identity::refused)?)
}

/// The row of the store, if it was not altered.
pub(in crate::store) fn identity(
    connection: &Connection,
    keys: &Keys,
) -> Result<Identity, StoreError> {
    let read = connection
        .prepare_cached(IDENTITY)?
        .query_row([], |row| Ok(identity_columns(row).zip(cipher(row, 9))));
    let (identity, cipher) = read.optional()?.flatten().ok_or_else(Identity::refused)?;
    Ok(identity.verified(&cipher, keys)?)
}

fn identity_columns(row: &SqlRow<'_>) -> Option<Identity> {
    let quorum = match (row.get(2).ok()?, row.get(3).ok()?) {
        (Some(shares), Some(threshold)) => Some(Quorum::new(shares, threshold).ok()?),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return None,
    };
    Some(Identity {
        root_key: *row.get_ref(0).ok()?.as_blob().ok()?.as_array()?,
        generation: row.get(1).ok()?,
        quorum,
        active_key: row.get(4).ok()?,
        policy_epoch: row.get::<_, i64>(5).ok()?.cast_unsigned(),
        created: row.get(6).ok()?,
        imported: row.get(7).ok()?,
        last_export: row.get(8).ok()?,
        // Encrypted.
        policy_lists: PolicyLists::none(),
    })
}

/// The rows of the keyring, by number.
pub(in crate::store) fn keyring(connection: &Connection) -> Result<Vec<StoredKey>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT number, created, reserved, wrapped_nonce, wrapped, key_number, nonce, ciphertext
         FROM keyring ORDER BY number",
    )?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let number: u32 = row.get(0)?;
        keys.push((number, key_columns(number, row).zip(cipher(row, 5))));
    }
    Ok(keys)
}

fn key_columns(number: u32, row: &SqlRow<'_>) -> Option<KeyRow> {
    Some(KeyRow {
        number,
        created: row.get(1).ok()?,
        reserved: u64::try_from(row.get::<_, i64>(2).ok()?).ok()?,
        wrapped_nonce: *row.get_ref(3).ok()?.as_blob().ok()?.as_array::<NONCE_LEN>()?,
        wrapped: row.get(4).ok()?,
    })
}

/// Passes the row of a path to `then`, which sees the same snapshot, because SQLite keeps the snapshot while this statement is
/// open. `None`: neither that row nor a row of a version exists.
pub(in crate::store) fn with_head<'p, T>(
    connection: &Connection,
    path: &'p SecretPath,
    then: impl FnOnce(Option<(HeadRow<'p>, Cipher)>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let path = path.as_str();
    let mut statement = connection.prepare_cached(
        "SELECT last_version, max_versions, created, updated, key_number, nonce, ciphertext
         FROM secrets WHERE path = ?1",
    )?;
    let mut rows = statement.query([path])?;
    if let Some(row) = rows.next()? {
        let read = head_columns(path, row).zip(cipher(row, 4));
        return then(Some(read.ok_or_else(|| HeadRow::refused(path))?));
    }
    // Versions without the row of their path: that row was removed. One statement, so one snapshot.
    let orphaned: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM versions WHERE path = ?1)
                AND NOT EXISTS (SELECT 1 FROM secrets WHERE path = ?1)",
        )?
        .query_row([path], |row| row.get(0))?;
    if orphaned { Err(HeadRow::refused(path).into()) } else { then(None) }
}

pub(super) fn head_columns<'p>(path: &'p str, row: &SqlRow<'_>) -> Option<HeadRow<'p>> {
    Some(HeadRow {
        path,
        last_version: row.get(0).ok()?,
        max_versions: row.get(1).ok()?,
        created: row.get(2).ok()?,
        updated: row.get(3).ok()?,
    })
}

/// The row of a version. `None`: there is none, or its columns are not what any writer produces.
pub(in crate::store) fn version<'p>(
    connection: &Connection,
    path: &'p SecretPath,
    number: i64,
) -> Result<Option<(VersionRow<'p>, Cipher)>, StoreError> {
    match version_up_to(connection, path, number, usize::MAX)? {
        Some(StoredVersion::Row(row, cipher)) => Ok(Some((row, cipher))),
        Some(StoredVersion::Longer(_)) | None => Ok(None),
    }
}

/// What was found of a version.
pub(in crate::store) enum StoredVersion<'p> {
    /// Its row.
    Row(VersionRow<'p>, Cipher),
    /// Its ciphertext has this many bytes, which are too many, and was not read.
    Longer(usize),
}

/// As [`version`], without a ciphertext above `most` bytes: of that SQLite reads only the length.
pub(in crate::store) fn version_up_to<'p>(
    connection: &Connection,
    path: &'p SecretPath,
    number: i64,
    most: usize,
) -> Result<Option<StoredVersion<'p>>, StoreError> {
    let path = path.as_str();
    let bound = i64::try_from(most).unwrap_or(i64::MAX);
    let read = connection
        .prepare_cached(
            "SELECT created, deleted, key_number, nonce,
                CASE WHEN length(ciphertext) <= ?3 THEN ciphertext END, length(ciphertext)
             FROM versions WHERE path = ?1 AND version = ?2",
        )?
        .query_row(params![path, number, bound], |row| {
            if let Ok(Some(length)) = row.get::<_, Option<i64>>(5)
                && length > bound
            {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                return Ok(Some(StoredVersion::Longer(length)));
            }
            let (Ok(created), Ok(deleted)) = (row.get(0), row.get(1)) else { return Ok(None) };
            let version = Version { number, created, deleted };
            let found = |cipher| StoredVersion::Row(VersionRow { path, version }, cipher);
            Ok(cipher(row, 2).map(found))
        });
    Ok(read.optional()?.flatten())
}

/// Erases the row of a version.
pub(in crate::store) fn erase_version(
    connection: &Connection,
    path: &SecretPath,
    number: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM versions WHERE path = ?1 AND version = ?2")?
        .execute(params![path.as_str(), number])?;
    Ok(())
}

/// Writes the record of an import.
fn import(connection: &Connection) -> Result<Option<(ImportRecord, Cipher)>, StoreError> {
    let sql = "SELECT file, bytes, modified, sha256, imported, secrets, versions, policies,
        refused, key_number, nonce, ciphertext FROM imports WHERE id = 1";
    let read = connection
        .query_row(sql, [], |row| Ok(import_columns(row).zip(cipher(row, 9))))
        .optional()?;
    match read {
        Some(row) => Ok(Some(row.ok_or_else(ImportRecord::refused)?)),
        None => Ok(None),
    }
}

/// The record of an import, if it was not altered.
pub(in crate::store) fn verified_import(
    connection: &Connection,
    keys: &Keys,
    identity: &Identity,
) -> Result<Option<ImportRecord>, StoreError> {
    Ok(ImportRecord::verified(import(connection)?, identity, keys)?)
}

fn import_columns(row: &SqlRow<'_>) -> Option<ImportRecord> {
    let count = |column| row.get::<_, i64>(column).ok().map(i64::cast_unsigned);
    Some(ImportRecord {
        file: row.get(0).ok()?,
        bytes: count(1)?,
        modified: row.get::<_, UnixNanos>(2).ok()?,
        sha256: *row.get_ref(3).ok()?.as_blob().ok()?.as_array()?,
        imported: row.get(4).ok()?,
        secrets: count(5)?,
        versions: count(6)?,
        policies: count(7)?,
        refused: count(8)?,
    })
}

/// Whether there is neither a secret nor a policy.
pub(in crate::store) fn holds_nothing(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM secrets) AND NOT EXISTS (SELECT 1 FROM versions)
        AND NOT EXISTS (SELECT 1 FROM policies)";
    connection.query_row(sql, [], |row| row.get(0))
}

/// The names in the first column. A name that is no text was not written by this program, and must not prevent the list of the
/// others.
pub(in crate::store) fn names(mut rows: Rows<'_>, table: &str) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        match row.get_ref(0)?.as_str() {
            Ok(name) => names.push(name.to_owned()),
            Err(_not_text) => {
                tracing::warn!(table, "a name is no text and is left out of the list");
            }
        }
    }
    Ok(names)
}
