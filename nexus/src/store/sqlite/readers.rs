//! The connections for reading.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use spike_daemon::{disk_work::on_this_thread, process::chain};
use spike_mtls::clock;

use super::place::Place;
use crate::store::condition::Condition;
use crate::store::error::StoreError;

/// A shared connection; `None` once the store is closed.
pub(in crate::store) type Slot = Arc<Mutex<Option<Connection>>>;

/// Locks a slot. After a panic, the statements of its connection have been reset.
pub(in crate::store) fn lock(slot: &Slot) -> MutexGuard<'_, Option<Connection>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fixed set of connections. In memory it is one slot, that of the writer.
#[derive(Debug)]
pub(in crate::store) struct Readers {
    slots: Vec<Slot>,
    /// No disk holds a read up.
    is_in_memory: bool,
    /// Where to wait if all are busy.
    next: AtomicUsize,
    condition: Arc<Condition>,
    place: Arc<Place>,
}

impl Readers {
    /// Those of a file.
    pub(in crate::store) const fn new(
        slots: Vec<Slot>,
        condition: Arc<Condition>,
        place: Arc<Place>,
    ) -> Self {
        Self { slots, is_in_memory: false, next: AtomicUsize::new(0), condition, place }
    }

    /// The one of a database in memory.
    pub(in crate::store) fn in_memory(slot: Slot, condition: Arc<Condition>) -> Self {
        Self { is_in_memory: true, ..Self::new(vec![slot], condition, Arc::default()) }
    }

    /// Runs `query` on a free connection, preferably the first one, which has most in its page cache.
    ///
    /// # Errors
    /// [`StoreError::Elsewhere`] on a thread that serves requests, and that the disk might hold up.
    pub(in crate::store) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_in_memory {
            return self.read_here(query);
        }
        on_this_thread(|| self.read_here(query)).unwrap_or(Err(StoreError::Elsewhere))
    }

    fn read_here<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let free = self.slots.iter().find_map(|slot| slot.try_lock().ok());
        let guard = free.or_else(|| self.turn().map(lock)).ok_or(StoreError::Closed)?;
        let result = query(guard.as_ref().ok_or(StoreError::Closed)?);
        // Another database has older values, and its rows may be right in themselves.
        let result = self.place.after_read().and(result);
        match &result {
            Err(error) if error.is_of_a_damaged_file() => {
                self.condition.found_damage(&chain(error), clock::unix_nanos());
            }
            Err(error @ (StoreError::Sqlite(_) | StoreError::DatabaseChanged { .. })) => {
                self.condition.cannot_read(chain(error), clock::unix_nanos());
            }
            // A row that is refused was read successfully.
            Ok(_) | Err(StoreError::Tampered { .. }) => self.condition.can_read(),
            Err(_of_another_kind) => {}
        }
        result
    }

    /// Closes every connection, waiting for the reads under way.
    pub(in crate::store) fn close(&self) {
        for slot in &self.slots {
            drop(lock(slot).take());
        }
    }

    /// The slot to wait for, in rotation.
    fn turn(&self) -> Option<&Slot> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.slots.get(turn % self.slots.len().max(1))
    }
}
