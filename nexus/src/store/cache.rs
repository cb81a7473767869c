//! The cache of current values that were read recently, encrypted as in the file.
//!
//! A hit costs one lookup in a map and one decryption. SQLite would add searches in four B-trees, under locks that all its
//! connections share. No plaintext is kept, and a cached value is decrypted as one from the file is: with its data key, bound
//! to its path, version and times.
//!
//! **Freshness.** The cache never answers what SQLite would no longer answer. Before a commit, the writer removes the changed
//! paths, and until the commit returns no one can add them ([`ValueCache::changing`]). A value that was read before the commit
//! carries an old [`Ticket`], so the cache rejects it.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LinkedHashMap;

use super::format::head::SealedValue;

/// Paths are spread over this many maps, each with its own lock.
const SHARDS: usize = 16;

/// The approximate size of an entry besides ciphertext and paths: bound fields, pointers, and allocations.
const OVERHEAD: usize = 448;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct ValueCache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    /// The most bytes in one shard.
    budget: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// The most recently used entry is the last.
    values: LinkedHashMap<Box<str>, Arc<SealedValue>>,
    bytes: usize,
    /// Odd while a commit that changes a path of this shard is under way.
    epoch: u64,
    hits: u64,
    misses: u64,
}

/// The result of a lookup.
#[derive(Debug)]
pub(super) enum Found {
    Value(Arc<SealedValue>),
    /// No value. The reader of the value may add it with the ticket.
    Nothing(Ticket),
}

/// Given out before a snapshot is taken. It shows whether a value that was read from the snapshot is still current.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    shard: usize,
    epoch: u64,
}

/// The use and the size of the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Reads that were answered without SQLite.
    pub hits: u64,
    /// Reads of a current value that needed SQLite.
    pub misses: u64,
    /// Cached values.
    pub values: u64,
    /// Their approximate size, in bytes.
    pub bytes: u64,
}

impl ValueCache {
    /// A cache of up to `bytes`; 0 switches it off.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            budget: bytes / SHARDS,
        }
    }

    pub(super) fn find(&self, path: &str) -> Found {
        let number = self.number(path);
        let mut shard = self.lock(number);
        if let Some(value) = shard.values.to_back(path) {
            let value = Arc::clone(value);
            shard.hits += 1;
            return Found::Value(value);
        }
        shard.misses += 1;
        Found::Nothing(Ticket { shard: number, epoch: shard.epoch })
    }

    /// Adds a value that was read after its ticket was given, and evicts others if necessary.
    pub(super) fn keep(&self, ticket: Ticket, path: &str, value: Arc<SealedValue>) {
        let bytes = weight(path, &value);
        // A value that would evict most of the others is not cached.
        if bytes > self.budget / 4 {
            return;
        }
        let mut shard = self.lock(ticket.shard);
        let committing = shard.epoch % 2 == 1;
        if committing || shard.epoch != ticket.epoch {
            return;
        }
        shard.bytes += bytes;
        if let Some(before) = shard.values.insert(path.into(), value) {
            shard.bytes -= weight(path, &before);
        }
        while shard.bytes > self.budget
            && let Some((path, value)) = shard.values.pop_front()
        {
            shard.bytes -= weight(&path, &value);
        }
    }

    /// Removes `paths`. No one can add them until the guard is dropped, which must be after the commit that changes them has
    /// returned.
    #[must_use]
    pub(super) fn changing(&self, paths: &[String]) -> Changing<'_> {
        let mut shards = [false; SHARDS];
        for path in paths {
            let number = self.number(path);
            let mut shard = self.lock(number);
            if let Some(touched) = shards.get_mut(number)
                && !std::mem::replace(touched, true)
            {
                shard.epoch += 1;
            }
            if let Some(value) = shard.values.remove(path.as_str()) {
                shard.bytes -= weight(path, &value);
            }
        }
        Changing { cache: self, shards }
    }

    /// Removes everything, and invalidates every read under way.
    pub(super) fn forget(&self) {
        for number in 0..SHARDS {
            let mut shard = self.lock(number);
            shard.values.clear();
            shard.bytes = 0;
            // Its parity does not change.
            shard.epoch += 2;
        }
    }

    /// Removes everything. Nothing is cached from now on.
    pub(super) fn close(&self) {
        for number in 0..SHARDS {
            let mut shard = self.lock(number);
            shard.values.clear();
            shard.bytes = 0;
            // It stays odd.
            shard.epoch |= 1;
        }
    }

    pub(super) fn stats(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        for number in 0..SHARDS {
            let shard = self.lock(number);
            stats.hits += shard.hits;
            stats.misses += shard.misses;
            stats.values += shard.values.len() as u64;
            stats.bytes += shard.bytes as u64;
        }
        stats
    }

    fn number(&self, path: &str) -> usize {
        // The remainder is below 16.
        usize::try_from(self.hasher.hash_one(path) % SHARDS as u64).unwrap_or_default()
    }

    #[expect(clippy::indexing_slicing, reason = "number() and 0..SHARDS stay below SHARDS")]
    fn lock(&self, number: usize) -> MutexGuard<'_, Shard> {
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A commit under way.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    cache: &'a ValueCache,
    shards: [bool; SHARDS],
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        for (number, _) in self.shards.iter().enumerate().filter(|(_, touched)| **touched) {
            self.cache.lock(number).epoch += 1;
        }
    }
}

fn weight(path: &str, value: &SealedValue) -> usize {
    // The path is the key of the map, and part of what the value is bound to.
    OVERHEAD + 2 * path.len() + value.len()
}

#[cfg(test)]
mod tests;
