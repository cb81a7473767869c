//! The policies in force: the set that decisions are made by.
//!
//! It follows the store: the thread that writes changes it after each commit, in the order of commits and before whoever
//! asked for the change is answered ([`Store::follow_policies`]). No request has a part in it, so that store and decisions
//! agree also where a request ends half way.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use spike_daemon::process::chain;
use spike_mtls::clock;

use crate::{
    policy::{Permission, Permissions, Policy, PolicySet},
    store::{self, PolicyChange, PolicyText, Store, StoreError, StoredPolicy},
};

/// Every policy, ready to decide. What is in the store is what is in the set.
#[derive(Debug)]
pub struct Policies {
    set: Arc<RwLock<PolicySet>>,
}

impl Policies {
    /// Takes every policy of `store`, and every change from now on. One that cannot be read never matches, and the log says
    /// so, loudly.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read at all.
    pub fn load(store: &Store) -> Result<Self, StoreError> {
        let set = Arc::new(RwLock::new(PolicySet::new()));
        // Until the set is complete, changes wait for this lock: what comes after the snapshot comes on top of it.
        let mut loading = set.write().unwrap_or_else(PoisonError::into_inner);
        let following = Arc::clone(&set);
        store.follow_policies(Box::new(move |changes| follow(&following, changes)));
        *loading = usable(&store.policies()?);
        tracing::info!(count = loading.len(), "policies loaded");
        drop(loading);
        Ok(Self { set })
    }

    /// Writes the policy. It is in force when this returns, and also where this is dropped meanwhile and the store takes it.
    /// `false`: there is one of that name, and the caller wanted to make a new one.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has changed, except where it says that this is not known.
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

    /// Removes the policy from the store and from every decision after this one. `false`: there is none of that name.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn delete(&self, store: &Store, name: &str, now: i64) -> Result<bool, StoreError> {
        store.delete_policy(name, now).await
    }

    /// The set, to decide by.
    pub fn set(&self) -> RwLockReadGuard<'_, PolicySet> {
        self.set.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the set follow one commit.
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

/// The set of all that is stored.
fn usable(stored: &store::PolicySet) -> PolicySet {
    for refused in &stored.refused {
        tracing::error!(
            reason = chain(refused),
            "a policy was altered behind our back; it allows nothing"
        );
    }
    let mut set = PolicySet::new();
    for policy in &stored.policies {
        set.insert(&policy_of(policy));
    }
    for (name, error) in set.unusable() {
        tracing::error!(policy = name, reason = %error, "a policy cannot be read; it allows nothing");
    }
    set
}

/// Whether a policy does what it says, for one that comes from elsewhere.
///
/// # Errors
/// What it does not, in words: a word that is no permission, a pattern that cannot be read.
pub(crate) fn judge(text: &PolicyText) -> Result<(), String> {
    if let Some(word) = text.permissions.iter().find(|word| Permission::from_word(word).is_none()) {
        return Err(format!("{word:?} is no permission"));
    }
    let stored = StoredPolicy { name: String::new(), text: text.clone(), created: 0, updated: 0 };
    let mut set = PolicySet::new();
    set.insert(&policy_of(&stored));
    set.unusable().next().map_or(Ok(()), |(_name, error)| Err(error.to_string()))
}

/// What was stored, as a policy. Permissions that are no words any more are left out.
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
