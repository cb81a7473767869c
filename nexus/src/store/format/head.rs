//! The row of a path and the rows of its versions.
//!
//! The row of a path holds, encrypted, the list of its versions with the nonce of each version's row. A version is read only if
//! it matches the list, so a row that was put back from an earlier copy of the file, a missing row and an added one are refused
//! like a changed one.

use std::num::NonZeroU32;

use spike_crypto::Nonce;
use spike_domain::{History, SecretPath, UnixNanos, Version};

use super::error::FormatError;
use super::keyring::Ring;
use super::keys::Keys;
use super::listed::Listed;
use super::row::{Cipher, Column, Detached, Row, Sealed};

/// The row of a path, decrypted.
#[derive(Debug)]
pub(in crate::store) struct Head {
    pub(in crate::store) history: History,
    /// The nonce of each version's row, by version, in the order of the history.
    pub(in crate::store) nonces: Vec<(i64, Nonce)>,
    /// The number of the last change; 0: not numbered.
    change: u64,
    /// Custom metadata, kept as it is.
    metadata: Vec<u8>,
}

impl Head {
    pub(in crate::store) const fn new(max_versions: NonZeroU32, now: UnixNanos) -> Self {
        Self::of(History::new(max_versions, now), Vec::new())
    }

    /// A head with the given row of each version of `history`.
    pub(in crate::store) const fn of(history: History, nonces: Vec<(i64, Nonce)>) -> Self {
        Self { history, nonces, change: 0, metadata: Vec::new() }
    }

    /// Decrypts the row of a path, or refuses it by name.
    pub(in crate::store) fn open(
        row: &HeadRow<'_>,
        cipher: &Cipher,
        keys: &Keys,
    ) -> Result<Self, FormatError> {
        let plaintext = cipher.open(row, keys)?;
        let listed = Listed::decode(&plaintext).ok_or_else(|| row.tampered())?;
        Self::from_listed(row, listed)
    }

    pub(super) fn from_listed(row: &HeadRow<'_>, listed: Listed) -> Result<Self, FormatError> {
        let refused = || row.tampered();
        let Listed { change, metadata, versions } = listed;
        let nonces = versions.iter().map(|(version, nonce)| (version.number, *nonce)).collect();
        let max_versions =
            u32::try_from(row.max_versions).ok().and_then(NonZeroU32::new).ok_or_else(refused)?;
        let history = History::from_parts(
            versions.into_iter().map(|(version, _)| version).collect(),
            row.last_version,
            max_versions,
            row.created,
            row.updated,
        )
        .ok()
        .ok_or_else(refused)?;
        Ok(Self { history, nonces, change, metadata })
    }

    /// Accepts a row of `version`, which must be exactly the listed one.
    pub(in crate::store) fn value(
        &self,
        path: &SecretPath,
        version: Version,
        stored: Option<(VersionRow<'_>, Cipher)>,
        keys: &Keys,
    ) -> Result<SealedValue, FormatError> {
        let listed = VersionRow { path: path.as_str(), version };
        let cipher = stored
            .filter(|(row, _cipher)| row.version == version)
            .map(|(_row, cipher)| cipher)
            .filter(|cipher| self.nonce(version.number) == Some(cipher.nonce()))
            .ok_or_else(|| listed.tampered())?;
        Ok(SealedValue { version: version.number, sealed: cipher.detach(&listed, keys)? })
    }

    /// Lists the row of a version, in place of an earlier one.
    pub(in crate::store) fn list(&mut self, number: i64, nonce: Nonce) {
        match self.nonces.binary_search_by_key(&number, |(number, _nonce)| *number) {
            Ok(at) => {
                if let Some(entry) = self.nonces.get_mut(at) {
                    entry.1 = nonce;
                }
            }
            Err(at) => self.nonces.insert(at, (number, nonce)),
        }
    }

    /// Removes an erased version from the list.
    pub(in crate::store) fn unlist(&mut self, number: i64) {
        self.nonces.retain(|(listed, _nonce)| *listed != number);
    }

    /// The row to be written.
    pub(in crate::store) fn sealed<'p>(
        &self,
        path: &'p SecretPath,
        ring: &mut Ring,
    ) -> Result<Sealed<HeadRow<'p>>, FormatError> {
        let row = HeadRow {
            path: path.as_str(),
            last_version: self.history.last_version(),
            max_versions: i64::from(self.history.max_versions().get()),
            created: self.history.created(),
            updated: self.history.updated(),
        };
        let plaintext = self.listed().and_then(|listed| listed.encode()).ok_or(FormatError::Bug)?;
        ring.seal(row, &plaintext)
    }

    /// `None` if the nonces do not match the versions, which is a bug.
    fn listed(&self) -> Option<Listed> {
        let versions = self.history.versions();
        let same = versions.len() == self.nonces.len()
            && versions
                .iter()
                .zip(&self.nonces)
                .all(|(version, (number, _))| version.number == *number);
        let listed =
            versions.iter().zip(&self.nonces).map(|(version, (_, nonce))| (*version, *nonce));
        same.then(|| Listed {
            change: self.change,
            metadata: self.metadata.clone(),
            versions: listed.collect(),
        })
    }

    fn nonce(&self, number: i64) -> Option<&Nonce> {
        let at = self.nonces.binary_search_by_key(&number, |(number, _nonce)| *number).ok()?;
        self.nonces.get(at).map(|(_number, nonce)| nonce)
    }
}

/// The encrypted value of one version, independent of the database.
#[derive(Debug)]
pub(in crate::store) struct SealedValue {
    version: i64,
    sealed: Detached,
}

impl SealedValue {
    /// Decrypts and appends to `out`, or refuses the row of that version of `path` by name.
    pub(in crate::store) fn open_into(
        &self,
        path: &SecretPath,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        self.sealed
            .open_into(out)
            .map_err(|_opaque| VersionRow::refused(path.as_str(), self.version))
    }

    /// Decrypts into `out`, which must be as long as the value, or refuses the row of that version of `path` by name.
    pub(in crate::store) fn open_to(
        &self,
        path: &SecretPath,
        out: &mut [u8],
    ) -> Result<(), FormatError> {
        self.sealed.open_to(out).map_err(|_opaque| VersionRow::refused(path.as_str(), self.version))
    }

    /// The size of the ciphertext, in bytes.
    pub(in crate::store) fn len(&self) -> usize {
        self.sealed.len()
    }

    /// The ciphertext.
    #[cfg(test)]
    pub(in crate::store) fn as_bytes(&self) -> &[u8] {
        self.sealed.as_bytes()
    }
}

/// A row of `secrets`.
#[derive(Debug)]
pub(in crate::store) struct HeadRow<'p> {
    pub(in crate::store) path: &'p str,
    pub(in crate::store) last_version: i64,
    pub(in crate::store) max_versions: i64,
    pub(in crate::store) created: UnixNanos,
    pub(in crate::store) updated: UnixNanos,
}

impl HeadRow<'_> {
    /// The error that refuses the row of a path, also if it is missing.
    pub(in crate::store) fn refused(path: &str) -> FormatError {
        FormatError::Tampered { table: Self::TABLE, path: path.to_owned(), version: None }
    }
}

impl Row for HeadRow<'_> {
    const TABLE: &'static str = "secrets";
    const FORMAT: i64 = 2;

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Text(self.path));
        visit(Column::Number(self.last_version));
        visit(Column::Number(self.max_versions));
        visit(Column::Number(self.created));
        visit(Column::Number(self.updated));
    }

    fn tampered(&self) -> FormatError {
        Self::refused(self.path)
    }
}

/// A row of `versions`.
#[derive(Debug)]
pub(in crate::store) struct VersionRow<'p> {
    pub(in crate::store) path: &'p str,
    pub(in crate::store) version: Version,
}

impl<'p> VersionRow<'p> {
    /// The row to be written for a value.
    pub(in crate::store) fn sealed(
        path: &'p SecretPath,
        version: Version,
        value: &[u8],
        ring: &mut Ring,
    ) -> Result<Sealed<Self>, FormatError> {
        ring.seal(Self { path: path.as_str(), version }, value)
    }

    fn refused(path: &str, version: i64) -> FormatError {
        FormatError::Tampered { table: Self::TABLE, path: path.to_owned(), version: Some(version) }
    }
}

impl Row for VersionRow<'_> {
    const TABLE: &'static str = "versions";
    const FORMAT: i64 = 1;

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Text(self.path));
        visit(Column::Number(self.version.number));
        visit(Column::Number(self.version.created));
        visit(Column::Optional(self.version.deleted));
    }

    fn tampered(&self) -> FormatError {
        Self::refused(self.path, self.version.number)
    }
}
