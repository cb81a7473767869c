//! The stored policies and the set that decides by them, changed together.

use std::sync::{RwLock, RwLockReadGuard};

use spike_common::daemon::chain;
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::{
    policy::{Permission, Permissions, Policy, PolicySet},
    store::{PolicyText, Store, StoreError, StoredPolicy},
};

/// Every policy, ready to decide. What is in the store is what is in the set.
#[derive(Debug)]
pub struct Policies {
    set: RwLock<PolicySet>,
    /// Held from the write to the change of the set, so that both see changes in one order.
    changing: Mutex<()>,
}

impl Policies {
    /// Takes every policy of `store`. One that cannot be read never matches, and the log says so, loudly.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read at all.
    pub fn load(store: &Store) -> Result<Self, StoreError> {
        let stored = store.policies()?;
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
        tracing::info!(count = set.len(), "policies loaded");
        Ok(Self { set: RwLock::new(set), changing: Mutex::const_new(()) })
    }

    /// Writes the policy, and lets the next decision go by it. `false`: there is one of that name, and the caller wanted
    /// to make a new one.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has changed.
    pub async fn put(
        &self,
        store: &Store,
        mut policy: Policy,
        create_only: bool,
    ) -> Result<bool, StoreError> {
        let _changing = self.changing.lock().await;
        if create_only && store.policy(&policy.name)?.is_some() {
            return Ok(false);
        }
        let text = PolicyText {
            spiffe_id_pattern: policy.spiffe_id_pattern.clone(),
            path_pattern: policy.path_pattern.clone(),
            permissions: policy.permissions.iter().map(|word| word.as_str().to_owned()).collect(),
        };
        let now = i64::try_from(policy.updated_at.unix_timestamp_nanos()).unwrap_or(i64::MAX);
        store.put_policy(&policy.name, text, now).await?;
        policy.created_at = policy.updated_at;
        self.set.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(&policy);
        Ok(true)
    }

    /// Removes the policy from the store and from every decision after this one. `false`: there is none of that name.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has changed.
    pub async fn delete(&self, store: &Store, name: &str, now: i64) -> Result<bool, StoreError> {
        let _changing = self.changing.lock().await;
        let deleted = store.delete_policy(name, now).await?;
        self.set.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(name);
        Ok(deleted)
    }

    /// The set, to decide by.
    pub fn set(&self) -> RwLockReadGuard<'_, PolicySet> {
        self.set.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What was stored, as a policy. Permissions that are no words any more are left out.
pub(crate) fn policy_of(stored: &StoredPolicy) -> Policy {
    let at = |nanos: i64| {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    let words = stored.text.permissions.iter().filter_map(|word| Permission::from_word(word));
    Policy {
        name: stored.name.clone(),
        spiffe_id_pattern: stored.text.spiffe_id_pattern.clone(),
        path_pattern: stored.text.path_pattern.clone(),
        permissions: Permissions::new(words),
        created_at: at(stored.created),
        updated_at: at(stored.updated),
    }
}
