//! The rows of policies. This file keeps the text of patterns and permissions without interpreting it.

use serde::{Deserialize, Serialize};
use spike_domain::UnixNanos;

use super::error::FormatError;
use super::keyring::Ring;
use super::keys::Keys;
use super::row::{Cipher, Column, Row, Sealed};

/// The content of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// The pattern of SPIFFE IDs.
    pub spiffe_id_pattern: String,
    /// The pattern of paths.
    pub path_pattern: String,
    /// The permissions, in the given order.
    pub permissions: Vec<String>,
}

/// A stored policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Its name, which identifies it.
    pub name: String,
    /// Its content.
    pub text: PolicyText,
    /// When the name was first put.
    pub created: UnixNanos,
    /// When it was last put.
    pub updated: UnixNanos,
}

impl StoredPolicy {
    /// Decrypts the row of a policy, or refuses it by name.
    pub(in crate::store) fn open(
        row: &PolicyRow<'_>,
        cipher: &Cipher,
        keys: &Keys,
    ) -> Result<Self, FormatError> {
        let plaintext = cipher.open(row, keys)?;
        let text = serde_json::from_slice(&plaintext).ok().ok_or_else(|| row.tampered())?;
        let PolicyRow { name, created, updated } = *row;
        Ok(Self { name: name.to_owned(), text, created, updated })
    }

    /// The row to be written.
    pub(in crate::store) fn sealed(
        &self,
        ring: &mut Ring,
    ) -> Result<Sealed<PolicyRow<'_>>, FormatError> {
        let plaintext = serde_json::to_vec(&self.text).ok().ok_or(FormatError::Bug)?;
        let row = PolicyRow { name: &self.name, created: self.created, updated: self.updated };
        ring.seal(row, &plaintext)
    }
}

/// A row of `policies`.
#[derive(Debug)]
pub(in crate::store) struct PolicyRow<'n> {
    pub(in crate::store) name: &'n str,
    pub(in crate::store) created: UnixNanos,
    pub(in crate::store) updated: UnixNanos,
}

impl PolicyRow<'_> {
    /// The error that refuses the row of a policy, also if it is missing.
    pub(in crate::store) fn refused(name: &str) -> FormatError {
        FormatError::Tampered { table: Self::TABLE, path: name.to_owned(), version: None }
    }
}

impl Row for PolicyRow<'_> {
    const TABLE: &'static str = "policies";
    const FORMAT: i64 = 1;

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Text(self.name));
        visit(Column::Number(self.created));
        visit(Column::Number(self.updated));
    }

    fn tampered(&self) -> FormatError {
        Self::refused(self.name)
    }
}
