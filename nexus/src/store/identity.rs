//! The one row of table `store`: which root key the store belongs to, which data key is active,
//! the policy epoch, and when an import and the last export took place.

use rusqlite::{Connection, OptionalExtension};
use spike_crypto::Fingerprint;
use spike_domain::UnixNanos;

use super::StoreError;
use super::keyring::{Keys, Ring};
use super::row::{Cipher, Column, Row, seal};

const SELECT: &str = "SELECT root_key_fingerprint, active_key, policy_epoch, created,
    imported, last_export, key_number, nonce, ciphertext FROM store WHERE id = 1";

/// What the row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// The fingerprint of the root key.
    pub(super) root_key: [u8; Fingerprint::LEN],
    pub(super) active_key: u32,
    pub(super) policy_epoch: u64,
    pub(super) created: UnixNanos,
    /// When a database of upstream was taken in: binds the row of `imports`.
    pub(super) imported: Option<UnixNanos>,
    /// When recovery shares were last handed out.
    pub(super) last_export: Option<UnixNanos>,
}

impl Identity {
    /// Reads the row before there are keys to check it with.
    pub(super) fn unverified(connection: &Connection) -> Result<Self, StoreError> {
        let read = connection.query_row(SELECT, [], |row| Ok(Self::read(row))).optional()?;
        read.flatten().ok_or_else(tampered)
    }

    /// Reads the row and checks that it is as it was written.
    pub(super) fn verified(connection: &Connection, keys: &Keys) -> Result<Self, StoreError> {
        let read = connection.prepare_cached(SELECT)?.query_row([], |row| {
            Ok(Self::read(row)
                .zip(Cipher::read(row, 6))
                .map(|(identity, cipher)| cipher.open(&identity, keys).map(|_empty| identity)))
        });
        read.optional()?.flatten().ok_or_else(tampered)?
    }

    /// Writes the row.
    pub(super) fn write(self, connection: &Connection, ring: &mut Ring) -> Result<(), StoreError> {
        seal(self, &[], ring)?.write(connection)?;
        Ok(())
    }

    fn read(row: &rusqlite::Row<'_>) -> Option<Self> {
        Some(Self {
            root_key: *row.get_ref(0).ok()?.as_blob().ok()?.as_array()?,
            active_key: row.get(1).ok()?,
            policy_epoch: row.get::<_, i64>(2).ok()?.cast_unsigned(),
            created: row.get(3).ok()?,
            imported: row.get(4).ok()?,
            last_export: row.get(5).ok()?,
        })
    }
}

impl Row for Identity {
    const TABLE: &'static str = "store";
    const REPLACE: &'static str = "REPLACE INTO store
        (id, root_key_fingerprint, active_key, policy_epoch, created, imported, last_export,
         key_number, nonce, ciphertext)
        VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Bytes(&self.root_key));
        visit(Column::Number(i64::from(self.active_key)));
        visit(Column::Number(self.policy_epoch.cast_signed()));
        visit(Column::Number(self.created));
        visit(Column::Optional(self.imported));
        visit(Column::Optional(self.last_export));
    }

    fn tampered(&self) -> StoreError {
        tampered()
    }
}

fn tampered() -> StoreError {
    StoreError::Tampered { table: Identity::TABLE, path: String::new(), version: None }
}
