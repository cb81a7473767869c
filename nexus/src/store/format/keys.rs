//! The data keys in memory: all of them for reading, and the active one for writing.
//!
//! The number of a key is never reused, and rows name their key, so several keys are in use at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use spike_crypto::{AssociatedData, DataKey, Encrypted, RandomError};

use spike_domain::UnixNanos;

/// Every data key by number, shared with the readers.
#[derive(Debug, Default)]
pub(in crate::store) struct Keys(ArcSwap<BTreeMap<u32, Arc<DataKey>>>);

impl Keys {
    pub(in crate::store) fn get(&self, number: u32) -> Option<Arc<DataKey>> {
        self.0.load().get(&number).map(Arc::clone)
    }

    pub(super) fn insert(&self, number: u32, key: Arc<DataKey>) {
        let mut keys = BTreeMap::clone(&self.0.load());
        keys.insert(number, key);
        self.0.store(Arc::new(keys));
    }
}

/// The active key.
#[derive(Debug, Clone)]
pub(in crate::store) struct ActiveKey {
    pub(super) number: u32,
    pub(super) created: UnixNanos,
    pub(super) key: Arc<DataKey>,
    /// The number of encryptions, never too low.
    pub(super) used: u64,
    /// The number in the row, at least `used` once a transaction is committed.
    pub(super) reserved: u64,
}

impl ActiveKey {
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// Encrypts and counts it.
    pub(super) fn encrypt(
        &mut self,
        plaintext: &[u8],
        aad: &AssociatedData,
    ) -> Result<Encrypted, RandomError> {
        self.used += 1;
        self.key.aead().encrypt(plaintext, aad)
    }
}
