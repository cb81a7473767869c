//! Data keys: which exist, which one is active, and how many encryptions it has served.
//!
//! Readers share [`Keys`]; the writer alone holds the [`Ring`], counts encryptions and replaces
//! the active key. A key number is never given out twice, and rows name the key they are under,
//! so several keys live side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rusqlite::Connection;
use spike_crypto::{AssociatedData, DataKey, Encrypted, KeyringKey, NONCE_LEN, Nonce, RootKey};
use spike_domain::UnixNanos;

use super::StoreError;
use super::row::{Cipher, Column, Row, seal};

/// A data key is replaced before this many encryptions: half of what random 96-bit nonces
/// allow (SP 800-38D 8.3), which leaves room for one long transaction.
pub(super) const ENCRYPTIONS_PER_KEY: u64 = 1 << 31;

/// Encryptions are recorded ahead, in blocks of this size, so that after a crash the record is
/// too high rather than too low.
const BLOCK: u64 = 1 << 16;

/// Every data key by number, shared with the readers.
#[derive(Debug, Default)]
pub(super) struct Keys(ArcSwap<BTreeMap<u32, Arc<DataKey>>>);

impl Keys {
    pub(super) fn get(&self, number: u32) -> Option<Arc<DataKey>> {
        self.0.load().get(&number).map(Arc::clone)
    }

    fn insert(&self, number: u32, key: Arc<DataKey>) {
        let mut keys = BTreeMap::clone(&self.0.load());
        keys.insert(number, key);
        self.0.store(Arc::new(keys));
    }
}

/// The writer's side of the keyring.
#[derive(Debug)]
pub(super) struct Ring {
    wrapping: KeyringKey,
    keys: Arc<Keys>,
    active: Active,
    /// The key as last committed, to go back to.
    committed: Active,
    /// When the active key is replaced.
    limit: u64,
}

/// The key that encrypts.
#[derive(Debug, Clone)]
struct Active {
    number: u32,
    created: UnixNanos,
    key: Arc<DataKey>,
    /// Encryptions so far, never less than there were.
    used: u64,
    /// The record in the row, never less than `used` once a transaction is committed.
    reserved: u64,
}

impl Ring {
    /// Makes data key 1 and writes it.
    pub(super) fn create(
        connection: &Connection,
        root: &RootKey,
        limit: u64,
        now: UnixNanos,
    ) -> Result<Self, StoreError> {
        let key = Arc::new(DataKey::generate()?);
        let keys = Arc::new(Keys::default());
        keys.insert(1, Arc::clone(&key));
        let active = Active { number: 1, created: now, key, used: 0, reserved: BLOCK };
        let wrapping = KeyringKey::derive(root);
        let mut ring = Self { wrapping, keys, committed: active.clone(), active, limit };
        ring.write_active(connection)?;
        Ok(ring)
    }

    /// Unwraps every data key of a store; `active` is the number the store says is in use.
    ///
    /// `None` when not even one key opens, as under another root key.
    pub(super) fn load(
        connection: &Connection,
        root: &RootKey,
        active: u32,
        limit: u64,
    ) -> Result<Option<Self>, StoreError> {
        let wrapping = KeyringKey::derive(root);
        let keys = Arc::new(Keys::default());
        let Some(active) = unwrap_all(connection, &wrapping, &keys, active)? else {
            return Ok(None);
        };
        Ok(Some(Self { wrapping, keys, committed: active.clone(), active, limit }))
    }

    /// Takes over what is in the database, where it is not known whether the last commit was kept.
    pub(super) fn reload(
        &mut self,
        connection: &Connection,
        active: u32,
    ) -> Result<(), StoreError> {
        let mut stored = unwrap_all(connection, &self.wrapping, &self.keys, active)?
            .ok_or_else(|| tampered(active))?;
        if stored.number == self.active.number {
            // Encryptions of what was undone count too.
            stored.used = stored.used.max(self.active.used);
        }
        self.active = stored.clone();
        self.committed = stored;
        Ok(())
    }

    /// The number of the key that encrypts.
    pub(super) const fn active(&self) -> u32 {
        self.active.number
    }

    /// The keys, for readers.
    pub(super) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Encrypts under the active key and counts it.
    pub(super) fn encrypt(
        &mut self,
        plaintext: &[u8],
        aad: &AssociatedData,
    ) -> Result<Encrypted, StoreError> {
        self.active.used += 1;
        Ok(self.active.key.aead().encrypt(plaintext, aad)?)
    }

    /// Makes and activates the next key when this one has served its time. The caller records
    /// the new number in the `store` row within the same transaction.
    pub(super) fn replace_if_worn(
        &mut self,
        connection: &Connection,
        now: UnixNanos,
    ) -> Result<(), StoreError> {
        if self.active.used < self.limit {
            return Ok(());
        }
        // An attempt that was rolled back leaves its number free; nothing was kept under it.
        let number = self.active.number.checked_add(1).ok_or(StoreError::Bug)?;
        let key = Arc::new(DataKey::generate()?);
        self.keys.insert(number, Arc::clone(&key));
        self.active = Active { number, created: now, key, used: 0, reserved: BLOCK };
        self.write_active(connection)
    }

    /// Called before every commit: the record must be ahead of the encryptions.
    pub(super) fn record(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.active.reserved.saturating_sub(self.active.used) >= BLOCK / 2 {
            return Ok(());
        }
        self.active.reserved = self.active.used.saturating_add(BLOCK);
        self.write_active(connection)
    }

    /// What was written since the last commit is kept.
    pub(super) fn committed(&mut self) {
        self.committed = self.active.clone();
    }

    /// What was written since the last commit is gone; the encryptions still count.
    pub(super) fn rolled_back(&mut self) {
        if self.active.number == self.committed.number {
            self.committed.used = self.active.used;
        }
        self.active = self.committed.clone();
    }

    fn write_active(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let Active { number, created, reserved, .. } = self.active;
        let wrapped = self.wrapping.wrap(number, &self.active.key)?;
        let row = KeyRow {
            number,
            created,
            reserved,
            wrapped_nonce: wrapped.nonce,
            wrapped: wrapped.ciphertext,
        };
        seal(row, &[], self)?.write(connection)?;
        Ok(())
    }
}

/// Unwraps every data key into `keys` and gives back the one that is `active`; `None` when not even one opens.
fn unwrap_all(
    connection: &Connection,
    wrapping: &KeyringKey,
    keys: &Keys,
    active: u32,
) -> Result<Option<Active>, StoreError> {
    let mut refused = None;
    let mut found = None;
    let mut opened = false;
    let mut statement = connection.prepare(
        "SELECT number, created, reserved, wrapped_nonce, wrapped, key_number, nonce, ciphertext
         FROM keyring ORDER BY number",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: u32 = row.get(0)?;
        match KeyRow::read(number, row, wrapping) {
            Some((stored, key, cipher)) => {
                let key = Arc::new(key);
                keys.insert(number, Arc::clone(&key));
                opened = true;
                if number == active {
                    // Whatever was reserved may have been used before a crash.
                    let KeyRow { created, reserved, .. } = stored;
                    found = Some(Active { number, created, key, used: reserved, reserved });
                }
                let own = cipher.key_number() == number;
                if !own || cipher.open(&stored, keys).is_err() {
                    return Err(stored.tampered());
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
struct KeyRow {
    number: u32,
    created: UnixNanos,
    reserved: u64,
    wrapped_nonce: Nonce,
    wrapped: Vec<u8>,
}

impl KeyRow {
    /// `None` when the key does not unwrap.
    fn read<'a>(
        number: u32,
        row: &'a rusqlite::Row<'_>,
        wrapping: &KeyringKey,
    ) -> Option<(Self, DataKey, Cipher<'a>)> {
        let wrapped_nonce = *row.get_ref(3).ok()?.as_blob().ok()?.as_array::<NONCE_LEN>()?;
        let wrapped: Vec<u8> = row.get(4).ok()?;
        let key = wrapping.unwrap(number, &wrapped_nonce, &wrapped).ok()?;
        let stored = Self {
            number,
            created: row.get(1).ok()?,
            reserved: u64::try_from(row.get::<_, i64>(2).ok()?).ok()?,
            wrapped_nonce,
            wrapped,
        };
        Some((stored, key, Cipher::read(row, 5)?))
    }
}

impl Row for KeyRow {
    const TABLE: &'static str = "keyring";
    const REPLACE: &'static str = "REPLACE INTO keyring
        (number, created, reserved, wrapped_nonce, wrapped, key_number, nonce, ciphertext)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Number(i64::from(self.number)));
        visit(Column::Number(self.created));
        visit(Column::Number(self.reserved.cast_signed()));
        visit(Column::Bytes(&self.wrapped_nonce));
        visit(Column::Bytes(&self.wrapped));
    }

    fn tampered(&self) -> StoreError {
        tampered(self.number)
    }
}

fn tampered(number: u32) -> StoreError {
    StoreError::Tampered {
        table: KeyRow::TABLE,
        path: String::new(),
        version: Some(i64::from(number)),
    }
}
