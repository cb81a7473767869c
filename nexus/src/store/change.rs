//! What one write works with, and what a commit did to the policies.

use rusqlite::Connection;

use super::identity::Identity;
use super::keyring::Ring;
use super::policies::{PolicySet, StoredPolicy};

/// What an operation works with: the transaction, and the state that is undone with it.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) connection: &'a Connection,
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
    /// The number of the row of the last path that was written: grows with every one.
    pub(super) head: Option<i64>,
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

/// Where an effect list stands, to go back to when a savepoint is rolled back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    touched: usize,
    policies: usize,
    head: Option<i64>,
}

impl Effects {
    pub(super) const fn mark(&self) -> Mark {
        Mark { touched: self.touched.len(), policies: self.policies.len(), head: self.head }
    }

    pub(super) fn back_to(&mut self, mark: Mark) {
        self.touched.truncate(mark.touched);
        self.policies.truncate(mark.policies);
        self.head = mark.head;
    }
}
