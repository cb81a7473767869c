//! The keyring: the rows of the data keys, the active key, and the number of encryptions under it.
//!
//! Readers share [`Keys`]. The writer owns the [`Ring`], counts encryptions and replaces the active key.

use std::sync::Arc;

use spike_crypto::{DataKey, KeyringKey, Nonce, RootKey};
use spike_domain::UnixNanos;

use super::error::FormatError;
use super::keys::{ActiveKey, Keys};
use super::row::{Cipher, Column, Row, Sealed, seal};

/// A data key is replaced before this many encryptions: half of the limit for random 96-bit nonces (SP 800-38D 8.3), so that
/// one long transaction does not exceed it.
pub(in crate::store) const ENCRYPTIONS_PER_KEY: u64 = 1 << 31;

/// Encryptions are recorded in advance, in blocks of this size, so that after a crash the recorded number is too high rather
/// than too low.
const BLOCK: u64 = 1 << 16;

/// How much the active data key is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// The number of the key.
    pub number: u32,
    /// Encryptions under it. After a restart the number is too high rather than too low.
    pub encryptions: u64,
    /// The number of encryptions at which the next write replaces it.
    pub limit: u64,
}

/// The writer's side of the keyring.
#[derive(Debug)]
pub(in crate::store) struct Ring {
    wrapping: KeyringKey,
    keys: Arc<Keys>,
    active: ActiveKey,
    /// The key as last committed, for a rollback.
    committed: ActiveKey,
    /// When the active key is replaced.
    limit: u64,
}

/// A row of table `keyring`. `None`: its columns are not what any writer produces.
pub(in crate::store) type StoredKey = (u32, Option<(KeyRow, Cipher)>);

impl Ring {
    /// Makes data key 1, and the row to be written for it.
    pub(in crate::store) fn create(
        root: &RootKey,
        limit: u64,
        now: UnixNanos,
    ) -> Result<(Self, Sealed<KeyRow>), FormatError> {
        let key = Arc::new(DataKey::generate()?);
        let keys = Arc::new(Keys::default());
        keys.insert(1, Arc::clone(&key));
        let active = ActiveKey { number: 1, created: now, key, used: 0, reserved: BLOCK };
        let wrapping = KeyringKey::derive(root);
        let mut ring = Self { wrapping, keys, committed: active.clone(), active, limit };
        let row = ring.sealed_active()?;
        Ok((ring, row))
    }

    /// Unwraps every data key of a store; `active` is the number of the active key in the row of the store.
    ///
    /// `None` if not a single key can be unwrapped, as under another root key.
    pub(in crate::store) fn load(
        rows: Vec<StoredKey>,
        root: &RootKey,
        active: u32,
        limit: u64,
    ) -> Result<Option<Self>, FormatError> {
        let wrapping = KeyringKey::derive(root);
        let keys = Arc::new(Keys::default());
        let Some(active) = unwrap_all(rows, &wrapping, &keys, active)? else {
            return Ok(None);
        };
        Ok(Some(Self { wrapping, keys, committed: active.clone(), active, limit }))
    }

    /// Takes over the state of the database, after a commit with unknown outcome.
    pub(in crate::store) fn reload(
        &mut self,
        rows: Vec<StoredKey>,
        active: u32,
    ) -> Result<(), FormatError> {
        let mut stored = unwrap_all(rows, &self.wrapping, &self.keys, active)?
            .ok_or_else(|| tampered(active))?;
        if stored.number == self.active.number {
            // Encryptions in a rolled-back transaction count too.
            stored.used = stored.used.max(self.active.used);
        }
        self.active = stored.clone();
        self.committed = stored;
        Ok(())
    }

    /// The number of the active key.
    pub(in crate::store) const fn active(&self) -> u32 {
        self.active.number()
    }

    /// How much the active key is used.
    pub(in crate::store) const fn usage(&self) -> KeyUse {
        KeyUse { number: self.active.number(), encryptions: self.active.used, limit: self.limit }
    }

    /// The keys, for readers.
    pub(in crate::store) const fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Encrypts `plaintext` under the active key, bound to the columns of `row`, and counts it.
    pub(in crate::store) fn seal<R: Row>(
        &mut self,
        row: R,
        plaintext: &[u8],
    ) -> Result<Sealed<R>, FormatError> {
        seal(row, plaintext, &mut self.active)
    }

    /// Makes and activates the next key if this one has reached its limit, and returns the row to be written. The caller
    /// records the new number in the row of the store within the same transaction.
    pub(in crate::store) fn replace_if_worn(
        &mut self,
        now: UnixNanos,
    ) -> Result<Option<Sealed<KeyRow>>, FormatError> {
        if self.active.used < self.limit {
            return Ok(None);
        }
        // A rolled-back attempt leaves its number unused; nothing was kept under it.
        let number = self.active.number.checked_add(1).ok_or(FormatError::Bug)?;
        let key = Arc::new(DataKey::generate()?);
        self.keys.insert(number, Arc::clone(&key));
        self.active = ActiveKey { number, created: now, key, used: 0, reserved: BLOCK };
        self.sealed_active().map(Some)
    }

    /// Called before every commit, so that the record stays ahead of the encryptions. Returns the row to be written.
    pub(in crate::store) fn record(&mut self) -> Result<Option<Sealed<KeyRow>>, FormatError> {
        if self.active.reserved.saturating_sub(self.active.used) >= BLOCK / 2 {
            return Ok(None);
        }
        self.active.reserved = self.active.used.saturating_add(BLOCK);
        self.sealed_active().map(Some)
    }

    /// The transaction was committed.
    pub(in crate::store) fn committed(&mut self) {
        self.committed = self.active.clone();
    }

    /// The transaction was rolled back; its encryptions still count.
    pub(in crate::store) fn rolled_back(&mut self) {
        if self.active.number == self.committed.number {
            self.committed.used = self.active.used;
        }
        self.active = self.committed.clone();
    }

    fn sealed_active(&mut self) -> Result<Sealed<KeyRow>, FormatError> {
        let ActiveKey { number, created, reserved, .. } = self.active;
        let wrapped = self.wrapping.wrap(number, &self.active.key)?;
        let row = KeyRow {
            number,
            created,
            reserved,
            wrapped_nonce: wrapped.nonce,
            wrapped: wrapped.ciphertext,
        };
        self.seal(row, &[])
    }
}

/// Unwraps every data key into `keys` and returns the one that is `active`; `None` if not a single one can be unwrapped.
fn unwrap_all(
    rows: Vec<StoredKey>,
    wrapping: &KeyringKey,
    keys: &Keys,
    active: u32,
) -> Result<Option<ActiveKey>, FormatError> {
    let mut refused = None;
    let mut found = None;
    let mut opened = false;
    for (number, row) in rows {
        let unwrapped = row.and_then(|(row, cipher)| {
            let key = wrapping.unwrap(number, &row.wrapped_nonce, &row.wrapped).ok()?;
            Some((row, key, cipher))
        });
        match unwrapped {
            Some((row, key, cipher)) => {
                let key = Arc::new(key);
                keys.insert(number, Arc::clone(&key));
                opened = true;
                let own = cipher.key_number() == number;
                if !own || cipher.open(&row, keys).is_err() {
                    return Err(row.tampered());
                }
                if number == active {
                    // All recorded encryptions may have been used before a crash.
                    let KeyRow { created, reserved, .. } = row;
                    found = Some(ActiveKey { number, created, key, used: reserved, reserved });
                }
            }
            None => refused = Some(tampered(number)),
        }
    }
    match (refused, opened) {
        (_, false) => Ok(None),
        (Some(refusal), true) => Err(refusal),
        (None, true) => found.map(Some).ok_or_else(|| tampered(active)),
    }
}

/// A row of `keyring`.
#[derive(Debug)]
pub(in crate::store) struct KeyRow {
    pub(in crate::store) number: u32,
    pub(in crate::store) created: UnixNanos,
    pub(in crate::store) reserved: u64,
    pub(in crate::store) wrapped_nonce: Nonce,
    pub(in crate::store) wrapped: Vec<u8>,
}

impl Row for KeyRow {
    const TABLE: &'static str = "keyring";
    const FORMAT: i64 = 1;

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Number(i64::from(self.number)));
        visit(Column::Number(self.created));
        visit(Column::Number(self.reserved.cast_signed()));
        visit(Column::Bytes(&self.wrapped_nonce));
        visit(Column::Bytes(&self.wrapped));
    }

    fn tampered(&self) -> FormatError {
        tampered(self.number)
    }
}

fn tampered(number: u32) -> FormatError {
    let version = Some(i64::from(number));
    FormatError::Tampered { table: KeyRow::TABLE, path: String::new(), version }
}
