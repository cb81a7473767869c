//! The writes of a store, each as one [`Work`]. [`History`] decides what changes, and the format encodes the rows.

use std::num::NonZeroU32;

use spike_domain::{History, SecretPath, Selector, UnixNanos, Version};
use zeroize::Zeroizing;

use super::change::{Change, PolicyChange};
use super::engine::{Unit, Work};
use super::error::StoreError;
use super::format::head::{Head, VersionRow};
use super::format::policy::{PolicyText, StoredPolicy};
use super::format::policy_list::PolicyList;

/// Adds a version to a path and erases those beyond the limit. Returns the number of the new version.
pub(super) struct PutVersion {
    pub(super) path: SecretPath,
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    pub(super) max_versions: NonZeroU32,
    pub(super) prune_imported: bool,
    pub(super) now: UnixNanos,
}

impl Work for PutVersion {
    type Output = i64;

    async fn run<U: Unit>(&self, change: &mut Change<'_, U>) -> Result<i64, StoreError> {
        let Self { path, now, .. } = self;
        let head = find_head(change, path).await?;
        let mut head = head.unwrap_or_else(|| Head::new(self.max_versions, *now));
        // Upstream still showed versions beyond the limit.
        let kept = if self.prune_imported { None } else { change.identity.imported };
        let put = head.history.put(*now, kept)?;
        let version = Version { number: put.number, created: *now, deleted: None };
        put_version(change, &mut head, path, version, &self.plaintext).await?;
        for pruned in put.pruned {
            head.unlist(pruned);
            change.unit.erase_version(path, pruned).await?;
        }
        put_head(change, path, &head).await?;
        Ok(put.number)
    }
}

/// The change of the times of versions.
pub(super) enum Restamp {
    Delete,
    Undelete,
}

/// Changes the times of versions, and returns which ones. `None`: the path does not exist.
pub(super) struct RestampVersions {
    pub(super) path: SecretPath,
    pub(super) selectors: Vec<Selector>,
    pub(super) restamp: Restamp,
    pub(super) now: UnixNanos,
}

impl Work for RestampVersions {
    type Output = Option<Vec<i64>>;

    async fn run<U: Unit>(&self, change: &mut Change<'_, U>) -> Result<Self::Output, StoreError> {
        let Self { path, selectors, restamp, now } = self;
        let Some(mut head) = find_head(change, path).await? else { return Ok(None) };
        let before = head.history.clone();
        let changed = match restamp {
            Restamp::Delete => head.history.delete(selectors, *now),
            Restamp::Undelete => head.history.undelete(selectors, *now),
        };
        if changed.is_empty() {
            return Ok(Some(changed));
        }
        for number in &changed {
            rewrite(change, &mut head, path, &before, *number).await?;
        }
        put_head(change, path, &head).await?;
        Ok(Some(changed))
    }
}

/// Writes the row of a version again, with its present times. They are bound, so the value is encrypted anew.
async fn rewrite<U: Unit>(
    change: &mut Change<'_, U>,
    head: &mut Head,
    path: &SecretPath,
    before: &History,
    number: i64,
) -> Result<(), StoreError> {
    let (Some(old), Some(new)) = (before.version(number), head.history.version(number)) else {
        return Err(StoreError::Bug);
    };
    let (old, new) = (*old, *new);
    let stored = change.unit.version(path, number).await?;
    let mut value = Zeroizing::new(Vec::new());
    head.value(path, old, stored, change.ring.keys())?.open_into(path, &mut value)?;
    put_version(change, head, path, new, &value).await
}

/// Writes a policy. Returns `false` if one of that name exists and only a new one was wanted.
pub(super) struct PutPolicy {
    pub(super) name: String,
    pub(super) text: PolicyText,
    pub(super) create_only: bool,
    pub(super) now: UnixNanos,
}

impl Work for PutPolicy {
    type Output = bool;

    async fn run<U: Unit>(&self, change: &mut Change<'_, U>) -> Result<bool, StoreError> {
        let (list, refusal) = list_to_write(change, &self.name).await?;
        let old = match refusal {
            None => listed_policy(change, &list, &self.name).await,
            Some(refusal) => Err(refusal),
        };
        let old = match old {
            // This runs within the transaction, so of two requests that create one name, one comes first.
            Ok(Some(_)) if self.create_only => return Ok(false),
            // An altered policy is replaced as if it did not exist.
            Err(StoreError::Tampered { .. }) if !self.create_only => None,
            found => found?,
        };
        let policy = StoredPolicy {
            name: self.name.clone(),
            text: self.text.clone(),
            created: old.map_or(self.now, |old| old.created),
            updated: self.now,
        };
        put_policy(change, list, policy).await?;
        Ok(true)
    }
}

/// Removes a policy, even if its row was altered. Returns `false` if there is none.
pub(super) struct DeletePolicy {
    pub(super) name: String,
}

impl Work for DeletePolicy {
    type Output = bool;

    async fn run<U: Unit>(&self, change: &mut Change<'_, U>) -> Result<bool, StoreError> {
        let (mut list, refusal) = list_to_write(change, &self.name).await?;
        let erased = change.unit.erase_policy(&self.name).await?;
        let listed = list.remove(&self.name);
        if listed || erased && refusal.is_some() {
            put_list(change, &list).await?;
        }
        if erased || listed {
            change.identity.policy_epoch += 1;
            change.effects.policies.push(PolicyChange::Removed(self.name.clone()));
        }
        Ok(erased || listed)
    }
}

/// Records that recovery shares were handed out.
pub(super) struct NoteExport {
    pub(super) now: UnixNanos,
}

impl Work for NoteExport {
    type Output = ();

    async fn run<U: Unit>(&self, change: &mut Change<'_, U>) -> Result<(), StoreError> {
        change.identity.last_export = Some(self.now);
        Ok(())
    }
}

async fn find_head<U: Unit>(
    change: &mut Change<'_, U>,
    path: &SecretPath,
) -> Result<Option<Head>, StoreError> {
    let Some((row, cipher)) = change.unit.head(path).await? else { return Ok(None) };
    Ok(Some(Head::open(&row, &cipher, change.ring.keys())?))
}

/// Writes the row of a version and lists it.
pub(super) async fn put_version<U: Unit>(
    change: &mut Change<'_, U>,
    head: &mut Head,
    path: &SecretPath,
    version: Version,
    value: &[u8],
) -> Result<(), StoreError> {
    let row = VersionRow::sealed(path, version, value, change.ring)?;
    change.unit.put_version(&row).await?;
    head.list(version.number, row.nonce());
    Ok(())
}

/// Writes the row of a path. Every change of a version ends with this call, which also notes the path for the cache.
pub(super) async fn put_head<U: Unit>(
    change: &mut Change<'_, U>,
    path: &SecretPath,
    head: &Head,
) -> Result<(), StoreError> {
    let row = head.sealed(path, change.ring)?;
    change.unit.put_head(&row).await?;
    change.effects.touched.push(path.as_str().to_owned());
    Ok(())
}

/// The list that the policy of that name belongs to, to be written again. An altered list is not trusted: it is replaced by an
/// empty one, under which the other policies stay refused, with the reason.
async fn list_to_write<U: Unit>(
    change: &mut Change<'_, U>,
    name: &str,
) -> Result<(PolicyList, Option<StoreError>), StoreError> {
    let number = PolicyList::number_of(name);
    let stored = change.unit.policy_list(number).await?;
    let lists = &change.identity.policy_lists;
    match PolicyList::open(number, stored, lists, change.ring.keys()).map_err(StoreError::from) {
        Ok(list) => Ok((list, None)),
        Err(refusal @ StoreError::Tampered { .. }) => {
            Ok((PolicyList::empty(number), Some(refusal)))
        }
        Err(error) => Err(error),
    }
}

async fn listed_policy<U: Unit>(
    change: &mut Change<'_, U>,
    list: &PolicyList,
    name: &str,
) -> Result<Option<StoredPolicy>, StoreError> {
    let stored = change.unit.policy(name).await?;
    Ok(list.policy(name, stored, change.ring.keys())?)
}

/// Writes a policy unchanged, in place of one of that name.
pub(super) async fn take_policy<U: Unit>(
    change: &mut Change<'_, U>,
    policy: StoredPolicy,
) -> Result<(), StoreError> {
    let (list, _refusal) = list_to_write(change, &policy.name).await?;
    put_policy(change, list, policy).await
}

async fn put_policy<U: Unit>(
    change: &mut Change<'_, U>,
    mut list: PolicyList,
    policy: StoredPolicy,
) -> Result<(), StoreError> {
    let row = policy.sealed(change.ring)?;
    change.unit.put_policy(&row).await?;
    list.insert(&policy.name, row.nonce());
    drop(row);
    put_list(change, &list).await?;
    change.identity.policy_epoch += 1;
    change.effects.policies.push(PolicyChange::Put(policy));
    Ok(())
}

/// Writes a list of policies, and names its row in the row of the store.
async fn put_list<U: Unit>(
    change: &mut Change<'_, U>,
    list: &PolicyList,
) -> Result<(), StoreError> {
    let row = list.sealed(change.ring)?;
    change.unit.put_policy_list(&row).await?;
    change.identity.policy_lists.set(list.number(), row.nonce());
    Ok(())
}
