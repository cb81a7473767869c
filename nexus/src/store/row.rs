//! Rows: what is stored in clear, what is encrypted, and how the one is bound to the other.
//!
//! The only way to write a table. A [`Row`] lists its clear columns once; the statement's
//! parameters and the associated data are both made from that list, so a column that is stored is
//! a column that is bound, and a row that was moved, renumbered, re-dated, swapped or put under
//! another key is refused when it is read.

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Rows, params_from_iter};
use spike_crypto::{AssociatedData, DataKey, DecryptError, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use super::StoreError;
use super::keyring::{Keys, Ring};

/// Bound into every row, beside the table and its columns.
const FORMAT: i64 = 1;

/// One clear column of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Number(i64),
    Optional(Option<i64>),
}

/// The clear columns of one row of one table.
pub(super) trait Row {
    /// The name of the table.
    const TABLE: &'static str;
    /// Writes the row: the columns in the order of [`columns`](Self::columns), then key number,
    /// nonce and ciphertext. Replaces: what is there beforehand is known to the caller, or junk.
    const REPLACE: &'static str;

    /// Shows every clear column, in a fixed order.
    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>));

    /// The refusal that names this row.
    fn tampered(&self) -> StoreError;

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
        add(Column::Number(FORMAT));
        self.columns(&mut add);
        add(Column::Number(i64::from(key_number)));
        bound.unwrap_or_else(AssociatedData::none)
    }
}

/// A row that is encrypted and bound, ready to be written. Made only by [`seal`].
#[derive(Debug)]
pub(super) struct Sealed<R> {
    row: R,
    key_number: u32,
    nonce: Nonce,
    ciphertext: Vec<u8>,
}

/// Encrypts `plaintext` under the active data key and a fresh nonce, bound to the columns of `row`.
pub(super) fn seal<R: Row>(
    row: R,
    plaintext: &[u8],
    ring: &mut Ring,
) -> Result<Sealed<R>, StoreError> {
    let key_number = ring.active();
    let encrypted = ring.encrypt(plaintext, &row.binding(key_number))?;
    Ok(Sealed { row, key_number, nonce: encrypted.nonce, ciphertext: encrypted.ciphertext })
}

impl<R: Row> Sealed<R> {
    /// Writes the row and returns its nonce, which no other row ever has.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<Nonce> {
        let mut values = Vec::with_capacity(8);
        self.row.columns(&mut |column| values.push(column.value()));
        values.push(Column::Number(i64::from(self.key_number)).value());
        values.push(Column::Bytes(&self.nonce).value());
        values.push(Column::Bytes(&self.ciphertext).value());
        connection.prepare_cached(R::REPLACE)?.execute(params_from_iter(values))?;
        Ok(self.nonce)
    }
}

/// The encrypted end of a row that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cipher<'a> {
    key_number: u32,
    nonce: &'a Nonce,
    ciphertext: &'a [u8],
}

impl<'a> Cipher<'a> {
    /// Takes key number, nonce and ciphertext from column `first` on; `None` when they are not
    /// what any writer leaves there.
    pub(super) fn read(row: &'a rusqlite::Row<'_>, first: usize) -> Option<Self> {
        let key_number = row.get(first).ok()?;
        let nonce = row.get_ref(first + 1).ok()?.as_blob().ok()?.as_array::<NONCE_LEN>()?;
        let ciphertext = row.get_ref(first + 2).ok()?.as_blob().ok()?;
        Some(Self { key_number, nonce, ciphertext })
    }

    /// The nonce of the row.
    pub(super) const fn nonce(&self) -> &'a Nonce {
        self.nonce
    }

    /// The number of the key the row was written under.
    pub(super) const fn key_number(&self) -> u32 {
        self.key_number
    }

    /// Decrypts, or refuses the row by name.
    pub(super) fn open<R: Row>(
        &self,
        row: &R,
        keys: &Keys,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        keys.get(self.key_number)
            .and_then(|key| {
                key.aead().decrypt(self.nonce, self.ciphertext, &row.binding(self.key_number)).ok()
            })
            .ok_or_else(|| row.tampered())
    }

    /// Copies what is needed to open it later; refuses the row by name where there is no such key.
    pub(super) fn detach<R: Row>(&self, row: &R, keys: &Keys) -> Result<Detached, StoreError> {
        Ok(Detached {
            key: keys.get(self.key_number).ok_or_else(|| row.tampered())?,
            nonce: *self.nonce,
            ciphertext: self.ciphertext.into(),
            bound: row.binding(self.key_number),
        })
    }
}

/// The encrypted end of a row, apart from it: can be opened without the database.
#[derive(Debug)]
pub(super) struct Detached {
    key: Arc<DataKey>,
    nonce: Nonce,
    ciphertext: Box<[u8]>,
    bound: AssociatedData,
}

impl Detached {
    /// Decrypts to the end of `out`.
    pub(super) fn open_into(&self, out: &mut Vec<u8>) -> Result<(), DecryptError> {
        self.key.aead().decrypt_into(&self.nonce, &self.ciphertext, &self.bound, out)
    }

    /// Bytes of the ciphertext.
    pub(super) fn len(&self) -> usize {
        self.ciphertext.len()
    }

    /// The ciphertext.
    #[cfg(test)]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.ciphertext
    }
}

/// The names in the first column, which is all that a list of names reads. A name that is no text
/// was put there by somebody else; it must not keep the others from being listed.
pub(super) fn names(mut rows: Rows<'_>, table: &str) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        match row.get_ref(0)?.as_str() {
            Ok(name) => names.push(name.to_owned()),
            Err(_not_text) => {
                tracing::warn!(table, "a name is no text and is left out of the list");
            }
        }
    }
    Ok(names)
}

impl<'a> Column<'a> {
    fn value(self) -> ToSqlOutput<'a> {
        ToSqlOutput::Borrowed(match self {
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Number(number) => ValueRef::Integer(number),
            Self::Optional(number) => number.map_or(ValueRef::Null, ValueRef::Integer),
        })
    }
}
