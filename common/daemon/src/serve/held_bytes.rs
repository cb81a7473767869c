//! The memory of heads that have begun and do not end.

use spike_mtls::{
    Peer,
    budget::{Bounds, Budget, Over, Taken},
};

/// How much of this all peers together may hold, and one SPIFFE ID. The HTTP library takes up to three times as much.
pub(super) const HELD_BYTES: Bounds =
    Bounds { all: 16 * 1024 * 1024, each: 1024 * 1024, reserve: 1024 * 1024 };

/// So many bytes of each connection are not counted: heads of ordinary clients are shorter.
const UNCOUNTED: u64 = 4 * 1024;

/// What one connection holds.
#[derive(Debug)]
pub(super) struct HeldBytes {
    budget: Budget,
    bytes: u64,
    taken: Option<Taken>,
}

impl HeldBytes {
    pub(super) const fn new(budget: Budget) -> Self {
        Self { budget, bytes: 0, taken: None }
    }

    /// So many bytes more of the head that `peer` sends have arrived.
    ///
    /// # Errors
    /// [`Over`]: they must not stay in memory.
    pub(super) fn add(&mut self, bytes: usize, peer: &Peer) -> Result<(), Over> {
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(more);
        if self.bytes <= UNCOUNTED {
            return Ok(());
        }
        if let Some(taken) = &mut self.taken {
            return taken.grow(more);
        }
        let account = self.budget.account(&peer.shared_id(), peer.class());
        self.taken = Some(account.take(self.bytes)?);
        Ok(())
    }

    /// The head is complete, or there is none.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.taken = None;
    }

    /// How many bytes of the head had arrived before its last part.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}
