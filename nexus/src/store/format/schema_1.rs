//! The layouts of schema 1 that differ in schema 2, for reading only: the row of the store, and the row of a path.

use spike_crypto::{Fingerprint, NONCE_LEN, Nonce};
use spike_domain::{UnixNanos, Version};

use super::error::FormatError;
use super::head::{Head, HeadRow};
use super::identity::Identity;
use super::keys::Keys;
use super::listed::Listed;
use super::policy_list::PolicyLists;
use super::row::{Cipher, Column, Row};

/// The row of table `store`.
#[derive(Debug)]
pub(in crate::store) struct IdentityRow {
    pub(in crate::store) root_key: [u8; Fingerprint::LEN],
    pub(in crate::store) active_key: u32,
    pub(in crate::store) policy_epoch: u64,
    pub(in crate::store) created: UnixNanos,
    pub(in crate::store) imported: Option<UnixNanos>,
    pub(in crate::store) last_export: Option<UnixNanos>,
}

impl IdentityRow {
    /// The content of the row, if it was not altered. Schema 1 did not record a quorum, and had only one generation.
    pub(in crate::store) fn verified(
        self,
        cipher: &Cipher,
        keys: &Keys,
    ) -> Result<Identity, FormatError> {
        cipher.open(&self, keys)?;
        Ok(Identity {
            root_key: self.root_key,
            generation: Identity::FIRST_GENERATION,
            quorum: None,
            active_key: self.active_key,
            policy_epoch: self.policy_epoch,
            created: self.created,
            imported: self.imported,
            last_export: self.last_export,
            policy_lists: PolicyLists::none(),
        })
    }
}

impl Row for IdentityRow {
    const TABLE: &'static str = Identity::TABLE;
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
        Identity::refused()
    }
}

/// The row of a path. Its columns are those of schema 2.
struct FirstHeadRow<'h, 'p>(&'h HeadRow<'p>);

impl Row for FirstHeadRow<'_, '_> {
    const TABLE: &'static str = HeadRow::TABLE;
    const FORMAT: i64 = 1;

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        self.0.columns(visit);
    }

    fn tampered(&self) -> FormatError {
        self.0.tampered()
    }
}

/// Decrypts the row of a path, or refuses it by name.
pub(in crate::store) fn open_head(
    row: &HeadRow<'_>,
    cipher: &Cipher,
    keys: &Keys,
) -> Result<Head, FormatError> {
    let plaintext = cipher.open(&FirstHeadRow(row), keys)?;
    let versions = decode(&plaintext).ok_or_else(|| row.tampered())?;
    Head::from_listed(row, Listed { change: 0, metadata: Vec::new(), versions })
}

/// Bytes of one version in the list of a path: number, created, whether deleted, deleted, nonce.
const ENTRY: usize = 8 + 8 + 1 + 8 + NONCE_LEN;

fn decode(bytes: &[u8]) -> Option<Vec<(Version, Nonce)>> {
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
