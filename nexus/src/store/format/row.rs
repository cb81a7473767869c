//! Rows: the clear columns, the encrypted part, and how they are bound to each other.
//!
//! A [`Row`] lists its clear columns once. The columns that an engine writes and the associated data are both made from that
//! list. So every stored column is bound, and a row that was moved, renumbered, re-dated, swapped or put under another key is
//! refused when it is read.

use std::sync::Arc;

use spike_crypto::{AssociatedData, DataKey, DecryptError, Nonce};
use zeroize::Zeroizing;

use super::error::FormatError;
use super::keys::{ActiveKey, Keys};

/// One clear column of a row.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Column<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Number(i64),
    Optional(Option<i64>),
}

/// The clear columns of one row of one table.
pub(in crate::store) trait Row {
    /// The name of the table.
    const TABLE: &'static str;
    /// The number of this layout of the row. It is bound, so a row of an older layout cannot be taken for one of this layout.
    const FORMAT: i64;

    /// Passes every clear column, in a fixed order.
    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>));

    /// The error that refuses this row by name.
    fn tampered(&self) -> FormatError;

    /// Everything the ciphertext is bound to.
    fn binding(&self, key_number: u32) -> AssociatedData {
        let mut bound = Some(AssociatedData::new("spike/v2/store").bytes(Self::TABLE.as_bytes()));
        let mut add = |column: Column<'_>| {
            bound = bound.take().map(|aad| match column {
                Column::Text(text) => aad.bytes(text.as_bytes()),
                Column::Bytes(bytes) => aad.bytes(bytes),
                Column::Number(number) => aad.number(number),
                Column::Optional(number) => aad.optional_number(number),
            });
        };
        add(Column::Number(Self::FORMAT));
        self.columns(&mut add);
        add(Column::Number(i64::from(key_number)));
        bound.unwrap_or_else(AssociatedData::none)
    }
}

/// A row that is encrypted and bound, ready to be written. Made only by [`seal`].
#[derive(Debug)]
pub(in crate::store) struct Sealed<R> {
    row: R,
    key_number: u32,
    nonce: Nonce,
    ciphertext: Vec<u8>,
}

/// Encrypts `plaintext` under the active data key and a fresh nonce, bound to the columns of `row`.
pub(super) fn seal<R: Row>(
    row: R,
    plaintext: &[u8],
    key: &mut ActiveKey,
) -> Result<Sealed<R>, FormatError> {
    let key_number = key.number();
    let encrypted = key.encrypt(plaintext, &row.binding(key_number))?;
    Ok(Sealed { row, key_number, nonce: encrypted.nonce, ciphertext: encrypted.ciphertext })
}

impl<R: Row> Sealed<R> {
    /// Passes everything to be written: the clear columns, then key number, nonce and ciphertext.
    pub(in crate::store) fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        self.row.columns(visit);
        visit(Column::Number(i64::from(self.key_number)));
        visit(Column::Bytes(&self.nonce));
        visit(Column::Bytes(&self.ciphertext));
    }

    /// The nonce, which is unique among all rows.
    pub(in crate::store) const fn nonce(&self) -> Nonce {
        self.nonce
    }
}

/// The encrypted part of a row that was read.
#[derive(Debug)]
pub(in crate::store) struct Cipher {
    key_number: u32,
    nonce: Nonce,
    ciphertext: Box<[u8]>,
}

impl Cipher {
    /// `None` if the nonce has a wrong length.
    pub(in crate::store) fn new(key_number: u32, nonce: &[u8], ciphertext: &[u8]) -> Option<Self> {
        Some(Self { key_number, nonce: *nonce.as_array()?, ciphertext: ciphertext.into() })
    }

    /// The nonce of the row.
    pub(in crate::store) const fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// The size of the ciphertext, in bytes.
    pub(in crate::store) fn len(&self) -> usize {
        self.ciphertext.len()
    }

    /// The number of the data key of the row.
    pub(super) const fn key_number(&self) -> u32 {
        self.key_number
    }

    /// Decrypts, or refuses the row by name.
    pub(in crate::store) fn open<R: Row>(
        &self,
        row: &R,
        keys: &Keys,
    ) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        keys.get(self.key_number)
            .and_then(|key| {
                let bound = row.binding(self.key_number);
                key.aead().decrypt(&self.nonce, &self.ciphertext, &bound).ok()
            })
            .ok_or_else(|| row.tampered())
    }

    /// Makes a value that can be decrypted later; refuses the row by name if its key does not exist.
    pub(super) fn detach<R: Row>(self, row: &R, keys: &Keys) -> Result<Detached, FormatError> {
        Ok(Detached {
            key: keys.get(self.key_number).ok_or_else(|| row.tampered())?,
            nonce: self.nonce,
            ciphertext: self.ciphertext,
            bound: row.binding(self.key_number),
        })
    }
}

/// The encrypted part of a row, which can be decrypted without the database.
#[derive(Debug)]
pub(super) struct Detached {
    key: Arc<DataKey>,
    nonce: Nonce,
    ciphertext: Box<[u8]>,
    bound: AssociatedData,
}

impl Detached {
    /// Decrypts and appends to `out`.
    pub(super) fn open_into(&self, out: &mut Vec<u8>) -> Result<(), DecryptError> {
        self.key.aead().decrypt_into(&self.nonce, &self.ciphertext, &self.bound, out)
    }

    /// Decrypts into `out`, which must be as long as the plaintext.
    pub(super) fn open_to(&self, out: &mut [u8]) -> Result<(), DecryptError> {
        self.key.aead().decrypt_to(&self.nonce, &self.ciphertext, &self.bound, out)
    }

    /// The size of the ciphertext, in bytes.
    pub(super) fn len(&self) -> usize {
        self.ciphertext.len()
    }

    /// The ciphertext.
    #[cfg(test)]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.ciphertext
    }
}
