//! What one write works with, and what a commit did to the policies.

use super::error::StoreError;
use super::format::identity::Identity;
use super::format::keyring::Ring;
use super::format::policy::StoredPolicy;

/// What a write works with: the transaction, and the state that is undone with it.
#[derive(Debug)]
pub(super) struct Change<'a, U> {
    pub(super) unit: U,
    pub(super) ring: &'a mut Ring,
    pub(super) identity: &'a mut Identity,
    pub(super) effects: &'a mut Effects,
}

/// What a transaction changes outside of the database, once it is committed.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// The paths whose versions change, so that readers learn of it.
    pub(super) touched: Vec<String>,
    /// What happens to policies, in order.
    pub(super) policies: Vec<PolicyChange>,
}

/// What a commit did to the policies.
#[derive(Debug)]
pub enum PolicyChange {
    /// This one is there now, perhaps in place of one of its name.
    Put(StoredPolicy),
    /// The one of this name is gone.
    Removed(String),
    /// These are all that there are.
    All(PolicySet),
}

/// All policies of one moment.
#[derive(Debug)]
pub struct PolicySet {
    /// The epoch they belong to; see [`Store::policy_epoch`](super::Store::policy_epoch).
    pub epoch: u64,
    /// The policies, by name in byte order.
    pub policies: Vec<StoredPolicy>,
    /// One [`StoreError::Tampered`] for each row that is not as it was written: to be logged.
    pub refused: Vec<StoreError>,
}

/// Where an effect list stands, to go back to when a savepoint is rolled back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    touched: usize,
    policies: usize,
}

impl Effects {
    pub(super) const fn mark(&self) -> Mark {
        Mark { touched: self.touched.len(), policies: self.policies.len() }
    }

    pub(super) fn back_to(&mut self, mark: Mark) {
        self.touched.truncate(mark.touched);
        self.policies.truncate(mark.policies);
    }
}
