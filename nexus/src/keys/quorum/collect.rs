//! Makes candidate keys from shares. Pure: no I/O, no clock.

use spike_crypto::{
    Fingerprint, Quorum, ReconstructError, Reconstruction, RootKey, Share, ShareIndex, reconstruct,
};

use super::orders::{ascending, permutations};

/// The most shares for which every order is tried: 120 orders.
const MAX_TO_REORDER: usize = 5;

/// How many Keepers may be missing in a list for that to be found out: 56 choices of five of eight indexes.
const MAX_MISSING: u16 = 3;

/// Keys that the collected shares make, the best supported first. Each key reproduces every share it was made of.
#[derive(Debug)]
pub struct Candidates(Vec<Reconstruction>);

/// Why the collected shares make no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// Too few shares.
    #[error("{given} of {needed} shares collected")]
    TooFew {
        /// The number of shares.
        given: usize,
        /// The threshold.
        needed: u16,
    },
    /// Enough shares, but not of one key.
    #[error("{given} shares collected, and no {needed} of them belong together{hint}")]
    NoneBelongTogether {
        /// The number of shares.
        given: usize,
        /// The threshold.
        needed: u16,
        /// The probable cause, if one was found.
        hint: String,
    },
}

impl Candidates {
    /// Finds the keys. The cost grows with the square of the threshold and with the number of combinations, so call it off the
    /// threads that serve requests.
    ///
    /// # Errors
    /// [`CollectError`].
    pub fn find(shares: &[Share], quorum: Quorum) -> Result<Self, CollectError> {
        let needed = quorum.threshold();
        let best = match reconstruct(shares, needed) {
            Ok(best) => best,
            Err(ReconstructError::TooFew { given, .. }) => {
                return Err(CollectError::TooFew { given, needed });
            }
            Err(
                ReconstructError::DuplicateIndex { .. }
                | ReconstructError::NoneBelongTogether { .. },
            ) => {
                return Err(CollectError::NoneBelongTogether {
                    given: shares.len(),
                    needed,
                    hint: explain(shares, quorum),
                });
            }
        };
        let mut found = vec![best];
        // The remaining shares may be of a second key, made by a second Bootstrap that ended half-way.
        while let Some(last) =
            found.last().filter(|last| last.mismatched.len() >= usize::from(needed))
        {
            let left: Vec<Share> = shares
                .iter()
                .filter(|share| last.mismatched.contains(&share.index))
                .map(Share::duplicate)
                .collect();
            match reconstruct(&left, needed) {
                Ok(next) => found.push(next),
                Err(_) => break,
            }
        }
        Ok(Self(found))
    }

    /// Whether there is more than one candidate.
    pub fn ambiguous(&self) -> bool {
        self.0.len() > 1
    }

    /// The best supported key.
    pub fn first(&self) -> Option<&RootKey> {
        self.0.first().map(|candidate| &candidate.key)
    }

    /// The shares that do not belong to the first key.
    pub fn mismatched(&self) -> &[ShareIndex] {
        self.0.first().map_or(&[], |first| &first.mismatched)
    }

    /// The key that each of `shares`, from which these were found, belongs to, as far as it belongs to one.
    pub(super) fn owners(&self, shares: &[Share]) -> Vec<(ShareIndex, Fingerprint)> {
        let mut left: Vec<ShareIndex> = shares.iter().map(|share| share.index).collect();
        let mut owners = Vec::new();
        for Reconstruction { key, mismatched, .. } in &self.0 {
            let (others, own) =
                left.into_iter().partition::<Vec<_>, _>(|it| mismatched.contains(it));
            owners.extend(own.into_iter().map(|index| (index, key.fingerprint())));
            left = others;
        }
        owners
    }

    /// The keys, the first candidate first.
    pub fn into_keys(self) -> impl Iterator<Item = RootKey> {
        self.0.into_iter().map(|candidate| candidate.key)
    }
}

/// The usual mistakes of operators: another threshold, Keepers in another order, and one that was taken out before the last.
fn explain(shares: &[Share], quorum: Quorum) -> String {
    if let Some(told) = of_another_threshold(shares, quorum) {
        return told;
    }
    if let Some(order) = reordered(shares, quorum) {
        return format!(
            "; they do where {}: was the order of SPIKE_NEXUS_KEEPER_PEERS changed?",
            held_by(shares, &order)
        );
    }
    if let Some(order) = shortened(shares, quorum) {
        return format!(
            "; they do where {}: was a Keeper taken out of SPIKE_NEXUS_KEEPER_PEERS that was not the last? Put it back in its place: only the \
             end of the list may be cut",
            held_by(shares, &order)
        );
    }
    String::from(
        "; shares of several keys, a lower threshold than at bootstrap, or another order of Keepers explain that",
    )
}

/// That the shares are of one key under another threshold, if they are. Under a threshold of 1 every share is a key of its own, so
/// that nothing else shows a threshold that was lowered to it.
pub(super) fn of_another_threshold(shares: &[Share], quorum: Quorum) -> Option<String> {
    let fits = |threshold: &u16| {
        *threshold != quorum.threshold() && reconstruct(shares, *threshold).is_ok()
    };
    let most = u16::try_from(shares.len()).unwrap_or(u16::MAX);
    (2..=most).find(fits).map(|threshold| {
        format!(
            "; they do under threshold {threshold}: is SPIKE_NEXUS_SHAMIR_THRESHOLD what it was at bootstrap?"
        )
    })
}

/// The indexes under which the shares are of one key, if there are such indexes and the shares are few.
fn reordered(shares: &[Share], quorum: Quorum) -> Option<Vec<ShareIndex>> {
    if shares.len() > MAX_TO_REORDER || quorum.threshold() < 2 {
        return None;
    }
    let indexes: Vec<ShareIndex> = shares.iter().map(|share| share.index).collect();
    permutations(&indexes).into_iter().find(|order| fits(shares, order, quorum))
}

/// The same, where the Keepers kept their order and some before them are missing.
fn shortened(shares: &[Share], quorum: Quorum) -> Option<Vec<ShareIndex>> {
    let last = shares.iter().map(|share| share.index.get()).max()?;
    if shares.len() > MAX_TO_REORDER || usize::from(last) > MAX_TO_REORDER || quorum.threshold() < 2
    {
        return None;
    }
    let mut places: Vec<usize> = (0..shares.len()).collect();
    places.sort_by_key(|place| shares.get(*place).map(|share| share.index));
    let every: Vec<ShareIndex> =
        (1..=last + MAX_MISSING).filter_map(|index| ShareIndex::new(index).ok()).collect();
    ascending(&every, shares.len()).into_iter().find_map(|chosen| {
        let mut order: Vec<(usize, ShareIndex)> = places.iter().copied().zip(chosen).collect();
        order.sort_unstable_by_key(|(place, _)| *place);
        let order: Vec<ShareIndex> = order.into_iter().map(|(_, index)| index).collect();
        fits(shares, &order, quorum).then_some(order)
    })
}

/// Whether the shares are of one key under these indexes. Some subset of threshold size fits in many orders, so that only a match
/// of all shares is evidence.
fn fits(shares: &[Share], order: &[ShareIndex], quorum: Quorum) -> bool {
    let renamed: Vec<Share> = shares
        .iter()
        .zip(order)
        .map(|(share, index)| Share { index: *index, value: share.value.duplicate() })
        .collect();
    reconstruct(&renamed, quorum.threshold()).is_ok_and(|found| found.mismatched.is_empty())
}

/// Which Keeper holds which share. The order of the answers of Keepers has no meaning.
fn held_by(shares: &[Share], order: &[ShareIndex]) -> String {
    let mut held: Vec<_> = shares.iter().map(|share| share.index).zip(order).collect();
    held.sort_unstable();
    let held: Vec<String> =
        held.iter().map(|(keeper, share)| format!("Keeper {keeper} holds share {share}")).collect();
    held.join(", ")
}

#[cfg(test)]
mod tests {
    use spike_crypto::{Derivation, ShareIndex, split};

    use super::*;

    fn quorum(shares: u16, threshold: u16) -> Quorum {
        Quorum::new(shares, threshold).unwrap()
    }

    fn shares(key: &RootKey, of: Quorum) -> Vec<Share> {
        split(key, of, Derivation::Reject)
    }

    fn only_key(found: Candidates) -> RootKey {
        assert!(!found.ambiguous());
        found.into_keys().next().unwrap()
    }

    #[test]
    fn any_threshold_of_shares_make_the_key() {
        let key = RootKey::generate().unwrap();
        let of = quorum(5, 3);
        for skip in 0..3 {
            let some: Vec<Share> = shares(&key, of).into_iter().skip(skip).take(3).collect();
            assert!(only_key(Candidates::find(&some, of).unwrap()).ct_eq(&key));
        }
    }

    #[test]
    fn too_few_shares_say_how_many_are_missing() {
        let of = quorum(5, 3);
        let mut some = shares(&RootKey::generate().unwrap(), of);
        some.truncate(2);
        let error = Candidates::find(&some, of).unwrap_err();
        assert_eq!(error, CollectError::TooFew { given: 2, needed: 3 });
    }

    #[test]
    fn a_share_of_another_key_is_named_where_the_others_suffice() {
        let (key, other) = (RootKey::generate().unwrap(), RootKey::generate().unwrap());
        let of = quorum(5, 3);
        let mut mixed = shares(&key, of);
        mixed[1] = shares(&other, of).remove(1);
        let found = Candidates::find(&mixed, of).unwrap();
        assert_eq!(found.mismatched(), [ShareIndex::new(2).unwrap()]);
        assert!(only_key(found).ct_eq(&key));
    }

    #[test]
    fn two_whole_keys_are_both_candidates() {
        // A second Bootstrap that ended half-way leaves two keys behind (F18).
        let (key, other) = (RootKey::generate().unwrap(), RootKey::generate().unwrap());
        let of = quorum(5, 2);
        let mut mixed = shares(&key, of);
        mixed.truncate(3);
        mixed.extend(shares(&other, of).into_iter().skip(3));
        let found = Candidates::find(&mixed, of).unwrap();
        assert!(found.ambiguous());
        let keys: Vec<RootKey> = found.into_keys().collect();
        assert!(keys[0].ct_eq(&key) && keys[1].ct_eq(&other));
    }

    #[test]
    fn each_share_is_told_with_the_key_that_it_belongs_to_if_it_belongs_to_one() {
        let keys = [(); 3].map(|()| RootKey::generate().unwrap());
        let of = quorum(6, 2);
        // Three of the first, two of the second, and one of a third, which makes no key.
        let mixed: Vec<Share> = [0, 1, 0, 2, 1, 0]
            .into_iter()
            .enumerate()
            .map(|(place, key)| shares(&keys[key], of).swap_remove(place))
            .collect();
        let mut owners = Candidates::find(&mixed, of).unwrap().owners(&mixed);
        owners.sort_by_key(|(index, _)| *index);
        let told = [(1, 0), (2, 1), (3, 0), (5, 1), (6, 0)];
        let told = told.map(|(index, key): (u16, usize)| {
            (ShareIndex::new(index).unwrap(), keys[key].fingerprint())
        });
        assert_eq!(owners, told);
    }

    #[test]
    fn a_lowered_threshold_is_recognised() {
        // F1, cli 7.3: upstream combines two of three shares to a wrong key and pushes it to every Keeper.
        let made_for = quorum(5, 3);
        let all = shares(&RootKey::generate().unwrap(), made_for);
        let error = Candidates::find(&all, quorum(5, 2)).unwrap_err().to_string();
        assert!(error.contains("under threshold 3"), "{error}");
    }

    #[test]
    fn keepers_in_another_order_are_recognised() {
        let of = quorum(3, 2);
        let made = shares(&RootKey::generate().unwrap(), of);
        let turned: Vec<Share> = [2, 0, 1]
            .into_iter()
            .zip(1_u16..)
            .map(|(from, index)| Share {
                index: ShareIndex::new(index).unwrap(),
                value: made[from].value.duplicate(),
            })
            .collect();
        let error = Candidates::find(&turned, of).unwrap_err().to_string();
        let told = "Keeper 1 holds share 3, Keeper 2 holds share 1, Keeper 3 holds share 2";
        assert!(error.contains(told), "{error}");
        assert!(error.contains("SPIKE_NEXUS_KEEPER_PEERS"), "{error}");
    }

    /// The message listed the numbers in the order of the answers, without the Keepers.
    #[test]
    fn which_keeper_holds_which_share_is_told_alike_in_whatever_order_they_answered() {
        let of = quorum(3, 2);
        let made = shares(&RootKey::generate().unwrap(), of);
        let held = |keeper: u16, share: usize| Share {
            index: ShareIndex::new(keeper).unwrap(),
            value: made[share - 1].value.duplicate(),
        };
        for answered in [[1, 2, 3], [3, 1, 2], [2, 1, 3], [3, 2, 1], [2, 3, 1], [1, 3, 2]] {
            let of_keeper = |keeper: u16| held(keeper, [2, 1, 3][usize::from(keeper) - 1]);
            let error = Candidates::find(&answered.map(of_keeper), of).unwrap_err().to_string();
            let told = "Keeper 1 holds share 2, Keeper 2 holds share 1, Keeper 3 holds share 3";
            assert!(error.contains(told), "{answered:?}: {error}");
        }
    }

    /// "A lower threshold than at bootstrap" sent to the wrong setting.
    #[test]
    fn a_keeper_that_was_taken_out_before_the_last_is_recognised() {
        for (of, left, told) in [
            (quorum(3, 2), vec![2, 3], "Keeper 1 holds share 2, Keeper 2 holds share 3: was a"),
            (quorum(3, 2), vec![1, 3], "Keeper 1 holds share 1, Keeper 2 holds share 3: was a"),
            (quorum(5, 3), vec![3, 4, 5], "Keeper 1 holds share 3, Keeper 2 holds share 4, Keeper"),
        ] {
            let mut held = shares(&RootKey::generate().unwrap(), of);
            held.retain(|share| left.contains(&share.index.get()));
            for (share, keeper) in held.iter_mut().zip(1..) {
                share.index = ShareIndex::new(keeper).unwrap();
            }
            held.reverse();
            let error = Candidates::find(&held, of).unwrap_err().to_string();
            assert!(error.contains(told), "{left:?}: {error}");
            assert!(error.contains("only the end of the list may be cut"), "{error}");
        }
    }

    #[test]
    fn shares_of_several_keys_pass_for_no_shortened_list() {
        let of = quorum(3, 2);
        let mut mixed = shares(&RootKey::generate().unwrap(), of);
        mixed.truncate(1);
        mixed.extend(shares(&RootKey::generate().unwrap(), of).into_iter().skip(2));
        let error = Candidates::find(&mixed, of).unwrap_err().to_string();
        assert!(error.contains("shares of several keys"), "{error}");
    }

    #[test]
    fn shares_of_both_derivations_of_one_key_belong_together() {
        // F2: Keepers filled by an older release beside Keepers filled by a newer one.
        let key = RootKey::generate().unwrap();
        let of = quorum(5, 3);
        let mut mixed: Vec<Share> = shares(&key, of).into_iter().take(3).collect();
        mixed.extend(split(&key, of, Derivation::Xmd).into_iter().skip(3));
        let found = Candidates::find(&mixed, of).unwrap();
        assert!(found.mismatched().is_empty());
        assert!(only_key(found).ct_eq(&key));
    }
}
