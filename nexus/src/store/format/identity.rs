//! The one row of table `store`: which root key the store belongs to and how it is split, which data key is active, the
//! policy epoch, which policies there are, and when an import and the last export took place.

use spike_crypto::{Fingerprint, Quorum};
use spike_domain::UnixNanos;

use super::error::FormatError;
use super::keyring::Ring;
use super::keys::Keys;
use super::policy_list::PolicyLists;
use super::row::{Cipher, Column, Row, Sealed};

/// What the row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Identity {
    /// The fingerprint of the root key.
    pub(in crate::store) root_key: [u8; Fingerprint::LEN],
    /// Which root key of this store it is, from 1 on.
    pub(in crate::store) generation: u32,
    /// How the root key is split; `None` where that is not known.
    pub(in crate::store) quorum: Option<Quorum>,
    pub(in crate::store) active_key: u32,
    pub(in crate::store) policy_epoch: u64,
    pub(in crate::store) created: UnixNanos,
    /// When a database of upstream was taken in: binds the row of `imports`.
    pub(in crate::store) imported: Option<UnixNanos>,
    /// When recovery shares were last handed out.
    pub(in crate::store) last_export: Option<UnixNanos>,
    /// Which policies there are. Encrypted; all other fields are clear columns.
    pub(in crate::store) policy_lists: PolicyLists,
}

impl Identity {
    /// The generation of the first root key.
    pub(in crate::store) const FIRST_GENERATION: u32 = 1;

    /// Accepts the row as it was read, if it is as it was written.
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

    /// The refusal of the row, also where there is none.
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
