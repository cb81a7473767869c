//! Shares of other keys that Keepers hold while Nexus has a key. Nexus never replaces them: such a Keeper may belong to another
//! deployment, or hold the last copy of a key. A person decides.

use std::sync::{Mutex, MutexGuard, PoisonError};

use spike_crypto::{Fingerprint, Quorum, RootKey, Share, ShareValue, reconstruct_from_neighbours};

use super::Keepers;

/// Indexes and thresholds of earlier splits that are tried at least, and at most: the number of Keepers may have been lowered.
const SPLITS: (u16, u16) = (16, 256);

/// Whether this is any share of the key: under another index or another threshold, too.
pub(super) fn is_of_key(key: &RootKey, quorum: Quorum, value: &ShareValue) -> bool {
    spike_crypto::is_of_key(key, quorum.shares().clamp(SPLITS.0, SPLITS.1), value)
}

/// What a person can do with a Keeper that holds a share of another key.
pub(super) fn advice(url: &str, other_key: Option<Fingerprint>) -> String {
    let whole = other_key.map_or_else(String::new, |key| {
        format!(", {key}, of which the Keepers together hold enough shares to rebuild it")
    });
    format!(
        "Keeper {url} holds a share of another root key{whole}. If it belongs to another deployment, correct \
         SPIKE_NEXUS_KEEPER_PEERS. If that key is not needed any more, restart that Keeper: it comes back empty, and Nexus fills it"
    )
}

/// The same, while Nexus has no key that it could give the Keeper a share of.
pub(super) fn advice_while_sealed(url: &str, key: Fingerprint) -> String {
    format!(
        "the share of Keeper {url} is of root key {key}, which is not that of the data. If that key is of another deployment, correct \
         SPIKE_NEXUS_KEEPER_PEERS or SPIKE_NEXUS_DATA_DIR. Restart the Keeper only if nobody needs that key: its share is gone then"
    )
}

/// The share of another key that a Keeper was last seen with.
#[derive(Debug, Default)]
pub(super) struct ForeignShare(Mutex<Option<ShareValue>>);

impl ForeignShare {
    /// Keeps it to find its key. Returns whether it is a new one.
    pub(super) fn keep(&self, share: ShareValue) -> bool {
        let mut kept = lock(&self.0);
        let is_new = !kept.as_ref().is_some_and(|kept| kept.ct_eq(&share));
        *kept = Some(share);
        is_new
    }

    /// The Keeper holds none any more. Returns whether it did.
    pub(super) fn clear(&self) -> bool {
        lock(&self.0).take().is_some()
    }

    fn copy(&self) -> Option<ShareValue> {
        lock(&self.0).as_ref().map(ShareValue::duplicate)
    }
}

/// Another key that Keepers hold whole, if there is one.
#[derive(Debug, Default)]
pub(super) struct OtherKey(Mutex<Option<Fingerprint>>);

impl OtherKey {
    pub(super) fn known(&self) -> Option<Fingerprint> {
        *lock(&self.0)
    }
}

impl Keepers {
    /// Looks whether the shares of other keys make a whole key, and keeps its name.
    pub(super) async fn find_other_key(&self) {
        let held = self.each.iter().map(|keeper| (keeper.index, keeper.foreign.copy()));
        let shares = held.filter_map(|(index, value)| Some(Share { index, value: value? }));
        let (shares, quorum) = (shares.collect(), self.quorum);
        let found = tokio::task::spawn_blocking(move || whole_key(shares, quorum)).await;
        *lock(&self.other_key.0) = found.unwrap_or_default();
    }
}

/// The key that these shares make. The other deployment may have another threshold; with a threshold of 1 any number is a key.
#[expect(clippy::needless_pass_by_value, reason = "the copies of the shares are wiped here")]
fn whole_key(shares: Vec<Share>, quorum: Quorum) -> Option<Fingerprint> {
    let most = u16::try_from(shares.len()).unwrap_or(u16::MAX).min(SPLITS.0);
    std::iter::once(quorum.threshold()).chain(2..=most).filter(|threshold| *threshold > 1).find_map(
        |threshold| {
            // Of many shares only neighbours: this is about a name, and any of these Keepers can have it looked for again.
            let found = reconstruct_from_neighbours(&shares, threshold).ok()?;
            Some(found.key.fingerprint())
        },
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use spike_crypto::{Derivation, split};

    use super::*;

    fn quorum(shares: u16, threshold: u16) -> Quorum {
        Quorum::new(shares, threshold).unwrap()
    }

    /// Keepers in another order, another threshold, and fewer Keepers than before are no reason to leave a Keeper without its share.
    #[test]
    fn a_share_of_the_key_in_use_under_any_index_and_threshold_is_its_own() {
        let (key, other) = (RootKey::generate().unwrap(), RootKey::generate().unwrap());
        let own = quorum(3, 2);
        for (shares, threshold) in [(3, 1), (3, 2), (3, 3), (5, 4), (16, 16)] {
            for derivation in [Derivation::Reject, Derivation::Xmd] {
                let made = |key: &RootKey| split(key, quorum(shares, threshold), derivation);
                let is_own = |share: &Share| is_of_key(&key, own, &share.value);
                assert!(made(&key).iter().all(is_own), "{threshold} of {shares}");
                assert!(!made(&other).iter().any(is_own), "{threshold} of {shares}");
            }
        }
    }

    #[test]
    fn a_whole_key_is_named_whatever_its_threshold_and_a_part_of_one_is_not() {
        let key = RootKey::generate().unwrap();
        let name = key.fingerprint();
        let shares = |count: usize| {
            split(&key, quorum(5, 3), Derivation::Reject).into_iter().take(count).collect()
        };
        assert_eq!(whole_key(shares(2), quorum(5, 2)), None);
        for threshold in [2, 3, 4] {
            assert_eq!(whole_key(shares(3), quorum(5, threshold)), Some(name));
        }
        assert_eq!(whole_key(Vec::new(), quorum(5, 2)), None);
    }
}
