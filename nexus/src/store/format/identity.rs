//! The one row of table `store`: which root key the store belongs to, which data key is active,
//! the policy epoch, and when an import and the last export took place.

use spike_crypto::Fingerprint;

use super::error::FormatError;
use super::keyring::Ring;
use super::keys::Keys;
use super::row::{Cipher, Column, Row, Sealed};
use crate::secret::UnixNanos;

/// What the row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Identity {
    /// The fingerprint of the root key.
    pub(in crate::store) root_key: [u8; Fingerprint::LEN],
    pub(in crate::store) active_key: u32,
    pub(in crate::store) policy_epoch: u64,
    pub(in crate::store) created: UnixNanos,
    /// When a database of upstream was taken in: binds the row of `imports`.
    pub(in crate::store) imported: Option<UnixNanos>,
    /// When recovery shares were last handed out.
    pub(in crate::store) last_export: Option<UnixNanos>,
}

impl Identity {
    /// Accepts the row as it was read, if it is as it was written.
    pub(in crate::store) fn verified(
        self,
        cipher: &Cipher,
        keys: &Keys,
    ) -> Result<Self, FormatError> {
        cipher.open(&self, keys)?;
        Ok(self)
    }

    /// The row to be written.
    pub(in crate::store) fn sealed(self, ring: &mut Ring) -> Result<Sealed<Self>, FormatError> {
        ring.seal(self, &[])
    }

    /// The refusal of the row, also where there is none.
    pub(in crate::store) fn refused() -> FormatError {
        FormatError::Tampered { table: Self::TABLE, path: String::new(), version: None }
    }
}

impl Row for Identity {
    const TABLE: &'static str = "store";
    const FORMAT: i64 = 1;

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Bytes(&self.root_key));
        visit(Column::Number(i64::from(self.active_key)));
        visit(Column::Number(self.policy_epoch.cast_signed()));
        visit(Column::Number(self.created));
        visit(Column::Optional(self.imported));
        visit(Column::Optional(self.last_export));
    }

    fn tampered(&self) -> FormatError {
        Self::refused()
    }
}
