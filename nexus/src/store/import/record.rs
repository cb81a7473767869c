//! What a store remembers of its import: the one row of table `imports`.
//!
//! The row of table `store` names its time, so that it can be neither removed nor exchanged.

use rusqlite::{Connection, OptionalExtension};
use spike_domain::UnixNanos;

use crate::store::StoreError;
use crate::store::identity::Identity;
use crate::store::keyring::Keys;
use crate::store::row::{Cipher, Column, Row};

/// The database of upstream that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRecord {
    /// The name of the file.
    pub file: String,
    /// Its size, with the log beside it.
    pub bytes: u64,
    /// When it was last written to.
    pub modified: UnixNanos,
    /// SHA-256 of the file, followed by the log beside it if there was one.
    pub sha256: [u8; 32],
    /// When it was taken in.
    pub imported: UnixNanos,
    /// Paths that came in.
    pub secrets: u64,
    /// Versions that came in.
    pub versions: u64,
    /// Policies that came in.
    pub policies: u64,
    /// Rows that were left out.
    pub refused: u64,
}

impl ImportRecord {
    /// The SHA-256 in hexadecimal digits.
    pub fn digest(&self) -> String {
        base16ct::lower::encode_string(&self.sha256)
    }

    /// The record of this store, checked. `None`: nothing was ever imported.
    pub(in crate::store) fn find(
        connection: &Connection,
        keys: &Keys,
        identity: &Identity,
    ) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT file, bytes, modified, sha256, imported, secrets, versions, policies,
            refused, key_number, nonce, ciphertext FROM imports WHERE id = 1";
        let found = connection
            .query_row(sql, [], |row| {
                let read = Self::read(row).zip(Cipher::read(row, 9));
                Ok(read.and_then(|(record, cipher)| {
                    cipher.open(&record, keys).ok().map(|_empty| record)
                }))
            })
            .optional()?;
        match (identity.imported, found) {
            (None, None) => Ok(None),
            (Some(imported), Some(Some(record))) if record.imported == imported => Ok(Some(record)),
            (None, Some(_)) | (Some(_), None | Some(_)) => Err(tampered()),
        }
    }

    fn read(row: &rusqlite::Row<'_>) -> Option<Self> {
        let count = |column| row.get::<_, i64>(column).ok().map(i64::cast_unsigned);
        Some(Self {
            file: row.get(0).ok()?,
            bytes: count(1)?,
            modified: row.get(2).ok()?,
            sha256: *row.get_ref(3).ok()?.as_blob().ok()?.as_array()?,
            imported: row.get(4).ok()?,
            secrets: count(5)?,
            versions: count(6)?,
            policies: count(7)?,
            refused: count(8)?,
        })
    }
}

impl Row for ImportRecord {
    const TABLE: &'static str = "imports";
    const REPLACE: &'static str = "REPLACE INTO imports (id, file, bytes, modified, sha256,
        imported, secrets, versions, policies, refused, key_number, nonce, ciphertext)
        VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Text(&self.file));
        visit(Column::Number(self.bytes.cast_signed()));
        visit(Column::Number(self.modified));
        visit(Column::Bytes(&self.sha256));
        visit(Column::Number(self.imported));
        visit(Column::Number(self.secrets.cast_signed()));
        visit(Column::Number(self.versions.cast_signed()));
        visit(Column::Number(self.policies.cast_signed()));
        visit(Column::Number(self.refused.cast_signed()));
    }

    fn tampered(&self) -> StoreError {
        tampered()
    }
}

fn tampered() -> StoreError {
    StoreError::Tampered { table: ImportRecord::TABLE, path: String::new(), version: None }
}
