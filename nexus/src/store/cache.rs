//! The current values that were read last, as they lie in the file: encrypted.
//!
//! A hit costs a look into a map and one decryption. SQLite would add a search in four B-trees,
//! under locks that all its connections share. No plaintext is kept, and a kept value is opened
//! as one from the file is: under its data key, bound to its path, version and times.
//!
//! **Freshness.** Nobody is answered from here what SQLite would no longer answer. Before the
//! writer commits, it takes the paths it has changed out, and until the commit has returned
//! nobody can put them back ([`ValueCache::changing`]); a value that was read before the commit
//! and comes after it is turned away by its [`Ticket`].

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LinkedHashMap;

use super::format::head::SealedValue;

/// Paths are spread over so many maps, each with a lock of its own.
const SHARDS: usize = 16;

/// What an entry takes besides ciphertext and paths, about: what it is bound to, pointers, and allocations.
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
    /// The one that was used last is the last.
    values: LinkedHashMap<Box<str>, Arc<SealedValue>>,
    bytes: usize,
    /// Odd while a commit is under way that changes a path of this shard.
    epoch: u64,
    hits: u64,
    misses: u64,
}

/// What is there for a path.
#[derive(Debug)]
pub(super) enum Found {
    Value(Arc<SealedValue>),
    /// Nothing. Whoever reads the value now may bring it with the ticket.
    Nothing(Ticket),
}

/// From before a snapshot was taken: tells whether what was read from it is still current.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    shard: usize,
    epoch: u64,
}

/// How much the cache was of use, and how much it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Reads that were answered without SQLite.
    pub hits: u64,
    /// Reads of a current value that were not.
    pub misses: u64,
    /// Values that are held.
    pub values: u64,
    /// What they take, in bytes, about.
    pub bytes: u64,
}

impl ValueCache {
    /// Holds up to `bytes`; 0 is no cache.
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

    /// Keeps a value that was read after its ticket was given, and makes room for it.
    pub(super) fn keep(&self, ticket: Ticket, path: &str, value: Arc<SealedValue>) {
        let bytes = weight(path, &value);
        // One that would push out most of the others is not worth it.
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

    /// Takes `paths` out. They stay out until the guard is dropped, which must not be before the
    /// commit that changes them has returned.
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

    /// Lets go of everything, and of what is being read at this moment.
    pub(super) fn forget(&self) {
        for number in 0..SHARDS {
            let mut shard = self.lock(number);
            shard.values.clear();
            shard.bytes = 0;
            // Still as odd or even as before.
            shard.epoch += 2;
        }
    }

    /// Lets go of everything; nothing is kept from now on.
    pub(super) fn close(&self) {
        for number in 0..SHARDS {
            let mut shard = self.lock(number);
            shard.values.clear();
            shard.bytes = 0;
            // Odd for ever.
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
