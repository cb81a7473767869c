//! The lists of existing policies. With them, a policy row that was removed, added or put back from an earlier copy of the file
//! is refused by name, like one that was changed.
//!
//! The names of all policies, each with the nonce of its row, are kept encrypted in 256 lists. The first byte of the SHA-256 of
//! a name selects the list, so a change of a policy rewrites one short list, however many policies there are. The row of the
//! store holds, encrypted beside the policy epoch, the nonce of every list.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use spike_crypto::{NONCE_LEN, Nonce};

use super::error::FormatError;
use super::keyring::Ring;
use super::keys::Keys;
use super::policy::{PolicyRow, StoredPolicy};
use super::row::{Cipher, Column, Row, Sealed};

/// How many lists there are.
const LISTS: usize = 256;

/// The nonce of each list's row. A list that was never written has zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct PolicyLists(Arc<[Nonce; LISTS]>);

impl PolicyLists {
    /// The lists of a store without policies.
    pub(in crate::store) fn none() -> Self {
        Self(Arc::new([[0; NONCE_LEN]; LISTS]))
    }

    /// Takes over the row of a list that was written.
    pub(in crate::store) fn set(&mut self, number: u8, nonce: Nonce) {
        if let Some(entry) = Arc::make_mut(&mut self.0).get_mut(usize::from(number)) {
            *entry = nonce;
        }
    }

    /// The numbers of the lists that were ever written.
    pub(in crate::store) fn written(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|number| self.nonce(*number).is_some())
    }

    fn nonce(&self, number: u8) -> Option<&Nonce> {
        self.0.get(usize::from(number)).filter(|nonce| **nonce != [0; NONCE_LEN])
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.0.as_flattened().to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (nonces, []) = bytes.as_chunks::<NONCE_LEN>() else { return None };
        Some(Self(Arc::new(*nonces.as_array()?)))
    }
}

/// One list: the names in it, each with the nonce of the policy's row.
#[derive(Debug)]
pub(in crate::store) struct PolicyList {
    number: u8,
    rows: BTreeMap<String, Nonce>,
}

impl PolicyList {
    /// The number of the list that a name belongs to.
    pub(in crate::store) fn number_of(name: &str) -> u8 {
        Sha256::digest(name.as_bytes()).first().copied().unwrap_or_default()
    }

    /// A list without names.
    pub(in crate::store) const fn empty(number: u8) -> Self {
        Self { number, rows: BTreeMap::new() }
    }

    /// Accepts the row of a list, which must be exactly the one that the store names.
    pub(in crate::store) fn open(
        number: u8,
        stored: Option<Cipher>,
        lists: &PolicyLists,
        keys: &Keys,
    ) -> Result<Self, FormatError> {
        let Some(nonce) = lists.nonce(number) else { return Ok(Self::empty(number)) };
        let row = PolicyListRow { number };
        let cipher = stored.filter(|cipher| cipher.nonce() == nonce);
        let plaintext = cipher.ok_or_else(|| row.tampered())?.open(&row, keys)?;
        let rows = decode(&plaintext).ok_or_else(|| row.tampered())?;
        Ok(Self { number, rows })
    }

    /// The row to be written.
    pub(in crate::store) fn sealed(
        &self,
        ring: &mut Ring,
    ) -> Result<Sealed<PolicyListRow>, FormatError> {
        let plaintext = encode(&self.rows).ok_or(FormatError::Bug)?;
        ring.seal(PolicyListRow { number: self.number }, &plaintext)
    }

    /// The number of this list.
    pub(in crate::store) const fn number(&self) -> u8 {
        self.number
    }

    /// Lists the row of a policy that was written.
    pub(in crate::store) fn insert(&mut self, name: &str, nonce: Nonce) {
        self.rows.insert(name.to_owned(), nonce);
    }

    /// Removes a policy from the list. `false`: it is not listed.
    pub(in crate::store) fn remove(&mut self, name: &str) -> bool {
        self.rows.remove(name).is_some()
    }

    /// Accepts the row of a policy. It must be exactly the listed one; a listed policy must have a row.
    pub(in crate::store) fn policy(
        &self,
        name: &str,
        stored: Option<(PolicyRow<'_>, Cipher)>,
        keys: &Keys,
    ) -> Result<Option<StoredPolicy>, FormatError> {
        match (self.rows.get(name), stored) {
            (None, None) => Ok(None),
            (Some(nonce), Some((row, cipher))) if cipher.nonce() == nonce => {
                StoredPolicy::open(&row, &cipher, keys).map(Some)
            }
            (None, Some(_)) | (Some(_), None | Some(_)) => Err(PolicyRow::refused(name)),
        }
    }
}

/// The policies of all lists, to compare all rows with. Each is removed when its row is read.
#[derive(Debug, Default)]
pub(in crate::store) struct ListedPolicies(BTreeMap<String, Nonce>);

impl ListedPolicies {
    /// Adds the policies of a list.
    pub(in crate::store) fn add(&mut self, list: PolicyList) {
        self.0.extend(list.rows);
    }

    /// Accepts the row of a policy. `stored`: `None` if its columns are not what any writer produces.
    pub(in crate::store) fn policy(
        &mut self,
        name: &str,
        stored: Option<(PolicyRow<'_>, Cipher)>,
        keys: &Keys,
    ) -> Result<StoredPolicy, FormatError> {
        let nonce = self.0.remove(name);
        let (row, cipher) = stored
            .filter(|(_row, cipher)| nonce.as_ref() == Some(cipher.nonce()))
            .ok_or_else(|| PolicyRow::refused(name))?;
        StoredPolicy::open(&row, &cipher, keys)
    }

    /// The errors for the listed policies without a row.
    pub(in crate::store) fn missing(&self) -> impl Iterator<Item = FormatError> {
        self.0.keys().map(|name| PolicyRow::refused(name))
    }
}

/// Encodes, for each name, its length, the name, and the nonce. `None` for a name of more than 4 GiB.
fn encode(rows: &BTreeMap<String, Nonce>) -> Option<Vec<u8>> {
    let bytes = rows.keys().map(|name| 4 + name.len() + NONCE_LEN).sum();
    let mut encoded = Vec::with_capacity(bytes);
    for (name, nonce) in rows {
        encoded.extend_from_slice(&u32::try_from(name.len()).ok()?.to_be_bytes());
        encoded.extend_from_slice(name.as_bytes());
        encoded.extend_from_slice(nonce);
    }
    Some(encoded)
}

fn decode(mut bytes: &[u8]) -> Option<BTreeMap<String, Nonce>> {
    let mut rows = BTreeMap::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (name, rest) = rest.split_at_checked(length)?;
        let (nonce, rest) = rest.split_first_chunk()?;
        rows.insert(str::from_utf8(name).ok()?.to_owned(), *nonce);
        bytes = rest;
    }
    Some(rows)
}

/// A row of `policy_lists`.
#[derive(Debug)]
pub(in crate::store) struct PolicyListRow {
    number: u8,
}

impl Row for PolicyListRow {
    const TABLE: &'static str = "policy_lists";
    const FORMAT: i64 = 1;

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Number(i64::from(self.number)));
    }

    fn tampered(&self) -> FormatError {
        let version = Some(i64::from(self.number));
        FormatError::Tampered { table: Self::TABLE, path: String::new(), version }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_list_comes_back_as_it_was_written(
            rows in proptest::collection::btree_map(".{0,12}", any::<[u8; 12]>(), 0..9),
        ) {
            let bytes = encode(&rows).unwrap();
            prop_assert_eq!(decode(&bytes), Some(rows));
            for cut in 1..bytes.len().min(12) {
                prop_assert_ne!(decode(&bytes[..bytes.len() - cut]), decode(&bytes));
            }
        }

        #[test]
        fn no_bytes_make_a_list_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes);
            PolicyLists::decode(&bytes);
        }
    }

    #[test]
    fn the_nonces_of_all_lists_come_back_and_those_of_none_are_none() {
        let mut lists = PolicyLists::none();
        assert_eq!(lists.written().count(), 0);
        lists.set(7, [1; 12]);
        lists.set(255, [2; 12]);
        let back = PolicyLists::decode(&lists.encode()).unwrap();
        assert_eq!(back, lists);
        assert_eq!(back.written().collect::<Vec<_>>(), [7, 255]);
    }
}
