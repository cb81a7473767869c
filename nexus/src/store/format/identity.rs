//! The one row of table `store`: the root key that the store belongs to and how it is split, the active data key, the policy
//! epoch, the nonces of the policy lists, and the times of an import and of the last export.

use spike_crypto::{Fingerprint, Quorum};
use spike_domain::UnixNanos;

use super::error::FormatError;
use super::keyring::Ring;
use super::keys::Keys;
use super::policy_list::PolicyLists;
use super::row::{Cipher, Column, Row, Sealed};

/// The content of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Identity {
    /// The fingerprint of the root key.
    pub(in crate::store) root_key: [u8; Fingerprint::LEN],
    /// The generation of the root key, from 1 on.
    pub(in crate::store) generation: u32,
    /// How the root key is split; `None` if that is unknown.
    pub(in crate::store) quorum: Option<Quorum>,
    pub(in crate::store) active_key: u32,
    pub(in crate::store) policy_epoch: u64,
    pub(in crate::store) created: UnixNanos,
    /// When a database of upstream was imported. Binds the row of `imports`.
    pub(in crate::store) imported: Option<UnixNanos>,
    /// When recovery shares were last handed out.
    pub(in crate::store) last_export: Option<UnixNanos>,
    /// The nonces of the policy lists. Encrypted; all other fields are clear columns.
    pub(in crate::store) policy_lists: PolicyLists,
}

impl Identity {
    /// The generation of the first root key.
    pub(in crate::store) const FIRST_GENERATION: u32 = 1;

    /// Accepts the row if it was not altered.
    pub(in crate::store) fn verified(
        self,
        cipher: &Cipher,
        keys: &Keys,
    ) -> Result<Self, FormatError> {
        let plaintext = cipher.open(&self, keys)?;
        let policy_lists = PolicyLists::decode(&plaintext).ok_or_else(Self::refused)?;
        Ok(Self { policy_lists, ..self })
    }

    /// The row to be written.
    pub(in crate::store) fn sealed(&self, ring: &mut Ring) -> Result<Sealed<Self>, FormatError> {
        ring.seal(self.clone(), &self.policy_lists.encode())
    }

    /// The error that refuses the row, also if it is missing.
    pub(in crate::store) fn refused() -> FormatError {
        FormatError::Tampered { table: Self::TABLE, path: String::new(), version: None }
    }
}

impl Row for Identity {
    const TABLE: &'static str = "store";
    const FORMAT: i64 = 2;

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Bytes(&self.root_key));
        visit(Column::Number(i64::from(self.generation)));
        visit(Column::Optional(self.quorum.map(|quorum| i64::from(quorum.shares()))));
        visit(Column::Optional(self.quorum.map(|quorum| i64::from(quorum.threshold()))));
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
