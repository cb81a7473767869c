//! The policies in force: the set by which requests are decided.
//!
//! It follows the store: after each commit the writer thread applies the changes, in the order of commits and before the
//! request is answered ([`Store::follow_policies`]). Requests do not change the set themselves, so store and decisions agree
//! even if a request ends half-way.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use spike_daemon::process::chain;
use spike_mtls::clock;

use crate::{
    policy::{Permission, Permissions, Policy, PolicySet},
    store::{self, PolicyChange, PolicyText, Store, StoreError, StoredPolicy},
};

/// Every stored policy, ready to decide.
#[derive(Debug)]
pub struct Policies {
    set: Arc<RwLock<PolicySet>>,
}

impl Policies {
    /// Loads every policy of `store`, and follows every change from now on. A policy that cannot be read never matches, and is
    /// logged as an error.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read at all.
    pub fn load(store: &Store) -> Result<Self, StoreError> {
        let set = Arc::new(RwLock::new(PolicySet::new()));
        // Changes wait for this lock until the set is complete, so what was committed after the snapshot is applied after it.
        let mut loading = set.write().unwrap_or_else(PoisonError::into_inner);
        let following = Arc::clone(&set);
        store.follow_policies(Box::new(move |changes| follow(&following, changes)));
        *loading = usable(&store.policies()?);
        tracing::info!(count = loading.len(), "policies loaded");
        drop(loading);
        Ok(Self { set })
    }

    /// Writes the policy. It is in force when this returns, and also if this future is dropped and the store commits it.
    /// `false`: a policy of that name exists, and the caller wanted a new one.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has changed, unless the error says that the outcome is unknown.
    pub async fn put(
        &self,
        store: &Store,
        policy: Policy,
        create_only: bool,
    ) -> Result<bool, StoreError> {
        let permissions = policy.permissions.iter().map(|word| word.as_str().to_owned()).collect();
        let now = i64::try_from(policy.updated_at.unix_timestamp_nanos()).unwrap_or(i64::MAX);
        let text = PolicyText {
            spiffe_id_pattern: policy.spiffe_id_pattern,
            path_pattern: policy.path_pattern,
            permissions,
        };
        if create_only {
            return store.create_policy(&policy.name, text, now).await;
        }
        store.put_policy(&policy.name, text, now).await?;
        Ok(true)
    }

    /// Removes the policy from the store and from every later decision. `false`: there is no policy of that name.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn delete(&self, store: &Store, name: &str, now: i64) -> Result<bool, StoreError> {
        store.delete_policy(name, now).await
    }

    /// The set that decides.
    pub fn set(&self) -> RwLockReadGuard<'_, PolicySet> {
        self.set.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies one commit to the set.
fn follow(set: &RwLock<PolicySet>, changes: Vec<PolicyChange>) {
    for change in changes {
        match change {
            PolicyChange::Put(stored) => {
                let policy = policy_of(&stored);
                set.write().unwrap_or_else(PoisonError::into_inner).insert(&policy);
            }
            PolicyChange::Removed(name) => {
                set.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
            }
            PolicyChange::All(stored) => {
                let all = usable(&stored);
                *set.write().unwrap_or_else(PoisonError::into_inner) = all;
            }
        }
    }
}

/// The set of all stored policies.
fn usable(stored: &store::PolicySet) -> PolicySet {
    let more = name_first(stored.refused.iter(), |refused| {
        tracing::error!(
            reason = chain(refused),
            "a policy was altered behind our back; it allows nothing"
        );
    });
    if more > 0 {
        tracing::error!(more, "as many further policies were altered behind our back");
    }
    let mut set = PolicySet::new();
    for policy in &stored.policies {
        set.insert(&policy_of(policy));
    }
    let more = name_first(set.unusable(), |(name, error)| {
        tracing::error!(policy = name, reason = %error, "a policy cannot be read; it allows nothing");
    });
    if more > 0 {
        tracing::error!(more, "as many further policies cannot be read");
    }
    set
}

/// The most policies of one kind that the log names. Whoever can write the database can put in any number.
const NAMED: usize = 100;

/// Passes the first of these to `name`, and returns how many others there are.
fn name_first<T>(mut those: impl Iterator<Item = T>, name: impl FnMut(T)) -> usize {
    those.by_ref().take(NAMED).for_each(name);
    those.count()
}

/// Checks a policy from elsewhere.
///
/// # Errors
/// What is wrong, in words: an unknown permission, or a pattern that cannot be read.
pub(crate) fn judge(text: &PolicyText) -> Result<(), String> {
    if let Some(word) = text.permissions.iter().find(|word| Permission::from_word(word).is_none()) {
        return Err(format!("{word:?} is no permission"));
    }
    let stored = StoredPolicy { name: String::new(), text: text.clone(), created: 0, updated: 0 };
    let mut set = PolicySet::new();
    set.insert(&policy_of(&stored));
    set.unusable().next().map_or(Ok(()), |(_name, error)| Err(error.to_string()))
}

/// A stored policy. Permissions that are no longer known are left out.
pub(crate) fn policy_of(stored: &StoredPolicy) -> Policy {
    let words = stored.text.permissions.iter().filter_map(|word| Permission::from_word(word));
    Policy {
        name: stored.name.clone(),
        spiffe_id_pattern: stored.text.spiffe_id_pattern.clone(),
        path_pattern: stored.text.path_pattern.clone(),
        permissions: Permissions::new(words),
        created_at: clock::at(stored.created),
        updated_at: clock::at(stored.updated),
    }
}

#[cfg(test)]
mod tests;
