//! The record of an import: the one row of table `imports`.
//!
//! The row of table `store` contains its time, so the record can be neither removed nor exchanged.

use spike_domain::UnixNanos;

use super::error::FormatError;
use super::identity::Identity;
use super::keyring::Ring;
use super::keys::Keys;
use super::row::{Cipher, Column, Row, Sealed};

/// The imported database of upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRecord {
    /// The name of the file.
    pub file: String,
    /// Its size in bytes, including the log beside it.
    pub bytes: u64,
    /// When it was last modified.
    pub modified: UnixNanos,
    /// SHA-256 of the file, followed by the log beside it if there was one.
    pub sha256: [u8; 32],
    /// When it was imported.
    pub imported: UnixNanos,
    /// Imported paths.
    pub secrets: u64,
    /// Imported versions.
    pub versions: u64,
    /// Imported policies.
    pub policies: u64,
    /// Rows that were left out.
    pub refused: u64,
}

impl ImportRecord {
    /// The SHA-256 in hexadecimal digits.
    pub fn digest(&self) -> String {
        base16ct::lower::encode_string(&self.sha256)
    }

    /// Checks the row against the row of the store.
    pub(in crate::store) fn verified(
        found: Option<(Self, Cipher)>,
        identity: &Identity,
        keys: &Keys,
    ) -> Result<Option<Self>, FormatError> {
        match (identity.imported, found) {
            (None, None) => Ok(None),
            (Some(imported), Some((record, cipher))) if record.imported == imported => {
                cipher.open(&record, keys)?;
                Ok(Some(record))
            }
            (None, Some(_)) | (Some(_), None | Some(_)) => Err(Self::refused()),
        }
    }

    /// The error that refuses the row, also if it is missing.
    pub(in crate::store) fn refused() -> FormatError {
        FormatError::Tampered { table: Self::TABLE, path: String::new(), version: None }
    }

    /// The row to be written.
    pub(in crate::store) fn sealed(self, ring: &mut Ring) -> Result<Sealed<Self>, FormatError> {
        ring.seal(self, &[])
    }
}

impl Row for ImportRecord {
    const TABLE: &'static str = "imports";
    const FORMAT: i64 = 1;

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

    fn tampered(&self) -> FormatError {
        Self::refused()
    }
}
