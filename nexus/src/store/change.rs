//! The context of one write, and the effects of a commit on the policies.

use super::error::StoreError;
use super::format::identity::Identity;
use super::format::keyring::Ring;
use super::format::policy::StoredPolicy;

/// The context of a write: the transaction, and the state that is rolled back with it.
#[derive(Debug)]
pub(super) struct Change<'a, U> {
    pub(super) unit: U,
    pub(super) ring: &'a mut Ring,
    pub(super) identity: &'a mut Identity,
    pub(super) effects: &'a mut Effects,
}

/// The effects of a transaction outside of the database, applied once it is committed.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// The paths whose versions change.
    pub(super) touched: Vec<String>,
    /// The changes of policies, in order.
    pub(super) policies: Vec<PolicyChange>,
}

/// The effect of a commit on the policies.
#[derive(Debug)]
pub enum PolicyChange {
    /// This policy was added, or replaced the one of its name.
    Put(StoredPolicy),
    /// The policy of this name was removed.
    Removed(String),
    /// The policies are now exactly these.
    All(PolicySet),
}

/// All policies of one snapshot.
#[derive(Debug)]
pub struct PolicySet {
    /// The epoch of the snapshot; see [`Store::policy_epoch`](super::Store::policy_epoch).
    pub epoch: u64,
    /// The policies, by name in byte order.
    pub policies: Vec<StoredPolicy>,
    /// One [`StoreError::Tampered`] for each altered row, to be logged.
    pub refused: Vec<StoreError>,
}

/// A position in the list of effects, to return to when a savepoint is rolled back.
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
