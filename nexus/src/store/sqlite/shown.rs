//! What readers use besides the database, and what follows it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use crate::store::cache::ValueCache;
use crate::store::change::PolicyChange;
use crate::store::condition::Condition;

/// Applies the effects of a commit on the policies, in the order of commits.
pub type PolicyFollower = Box<dyn Fn(Vec<PolicyChange>) + Send + Sync>;

/// What readers use besides the database. It is updated with every commit.
pub(in crate::store) struct Shown {
    pub(in crate::store) policy_epoch: Arc<AtomicU64>,
    pub(in crate::store) cache: Arc<ValueCache>,
    pub(in crate::store) follower: Arc<OnceLock<PolicyFollower>>,
    pub(in crate::store) condition: Arc<Condition>,
}
