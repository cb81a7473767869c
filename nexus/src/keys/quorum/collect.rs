//! Makes candidate keys from shares. Pure: no I/O, no clock.

use spike_crypto::{
    Fingerprint, Quorum, ReconstructError, Reconstruction, RootKey, Share, ShareIndex, reconstruct,
    reconstruct_from_neighbours,
};

use super::orders::{ascending, permutations};

/// The most shares for which every order is tried: 120 orders.
const MAX_TO_REORDER: usize = 5;

/// How many Keepers may be missing in a list for that to be found out: 56 choices of five of eight indexes.
const MAX_MISSING: u16 = 3;

/// Of so many shares, every choice is tried: see [`spike_crypto::MAX_SUBSETS`].
const ALL_TRIED: usize = 13;

/// Keys that the collected shares make, the best supported first. Each key reproduces every share it was made of.
#[derive(Debug)]
pub struct Candidates(Vec<Reconstruction>);

/// A whole key that shares make, whether it can come into use or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeKey {
    /// Its name.
    pub key: Fingerprint,
    /// The Keepers whose shares are of it.
    pub of: Vec<ShareIndex>,
    /// How many of these shares rebuild it.
    pub needed: u16,
}

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
    #[error("{given} shares collected, and no {needed} of them {found}belong together{hint}",
        found = if *.is_final { "" } else { "were found that " })]
    NoneBelongTogether {
        /// The number of shares.
        given: usize,
        /// The threshold.
        needed: u16,
        /// The probable cause, if one was found.
        hint: String,
        /// The key that they make under another threshold or in another order.
        whole: Option<WholeKey>,
        /// Whether every choice of them was tried. If not, another attempt tries others.
        is_final: bool,
    },
}

impl CollectError {
    /// The key that the shares make all the same.
    pub(super) const fn whole(&self) -> Option<&WholeKey> {
        match self {
            Self::TooFew { .. } => None,
            Self::NoneBelongTogether { whole, .. } => whole.as_ref(),
        }
    }

    /// Whether another attempt with the same shares may find a key.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::NoneBelongTogether { is_final: false, whole: None, .. })
    }
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
            Err(error) => {
                let is_final = !matches!(
                    error,
                    ReconstructError::NoneBelongTogether { exhaustive: false, .. }
                );
                let given = shares.len();
                let (mut hint, whole) = explain(shares, quorum, is_final);
                if !is_final && whole.is_none() {
                    hint = others_are_tried(given, needed);
                }
                return Err(CollectError::NoneBelongTogether {
                    given,
                    needed,
                    hint,
                    whole,
                    is_final,
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

    /// The keys of each of these groups of shares that are whole under this threshold and not among `known`; `None` if there is none.
    pub(super) fn of_each(
        groups: &[Vec<Share>],
        needed: u16,
        known: Option<&Self>,
    ) -> Option<Self> {
        let is_known =
            |key: &RootKey| known.is_some_and(|known| known.0.iter().any(|it| it.key.ct_eq(key)));
        let made = groups.iter().filter_map(|shares| reconstruct(shares, needed).ok());
        let made: Vec<Reconstruction> = made.filter(|made| !is_known(&made.key)).collect();
        (!made.is_empty()).then_some(Self(made))
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

    /// The keys, and which of `shares`, from which they were found, are of each. `needed` is their threshold.
    pub(super) fn whole_keys(&self, shares: &[Share], needed: u16) -> Vec<WholeKey> {
        let mut left: Vec<ShareIndex> = shares.iter().map(|share| share.index).collect();
        let mut whole = Vec::new();
        for Reconstruction { key, mismatched, .. } in &self.0 {
            let (others, of) = left.into_iter().partition(|index| mismatched.contains(index));
            whole.push(WholeKey { key: key.fingerprint(), of, needed });
            left = others;
        }
        whole
    }

    /// This one of the keys alone.
    pub(super) fn only(mut self, key: Fingerprint) -> Self {
        self.0.retain(|candidate| candidate.key.fingerprint() == key);
        self
    }

    /// The keys, the first candidate first.
    pub fn into_keys(self) -> impl Iterator<Item = RootKey> {
        self.0.into_iter().map(|candidate| candidate.key)
    }
}

/// The usual mistakes of operators: another threshold, Keepers in another order, and one that was taken out before the last. The
/// shares then make a key all the same.
/// `thorough`: the shares are so few that it costs little.
fn explain(shares: &[Share], quorum: Quorum, thorough: bool) -> (String, Option<WholeKey>) {
    let by = if thorough { reconstruct } else { reconstruct_from_neighbours };
    if let Some((told, whole)) = of_another_threshold_by(by, shares, quorum) {
        return (told, Some(whole));
    }
    let all_of = |key| {
        let of = shares.iter().map(|share| share.index).collect();
        Some(WholeKey { key, of, needed: quorum.threshold() })
    };
    if let Some((order, key)) = reordered(shares, quorum) {
        let told = format!(
            "; they do where {}: was the order of SPIKE_NEXUS_KEEPER_PEERS changed?",
            held_by(shares, &order)
        );
        return (told, all_of(key));
    }
    if let Some((order, key)) = shortened(shares, quorum) {
        let told = format!(
            "; they do where {}: was a Keeper taken out of SPIKE_NEXUS_KEEPER_PEERS that was not the last? Put it back in its place: only the \
             end of the list may be cut",
            held_by(shares, &order)
        );
        return (told, all_of(key));
    }
    let told = "; shares of several keys, a lower threshold than at bootstrap, or another order of Keepers explain that";
    (told.to_owned(), None)
}

/// The reason while there are more choices than one attempt tries.
fn others_are_tried(given: usize, needed: u16) -> String {
    format!(
        "; not every choice of {needed} of {given} shares was tried: Nexus goes on with others. If this lasts, stop Keepers that may be \
         wrong, and restart Nexus: with {ALL_TRIED} shares or fewer, every choice is tried"
    )
}

/// That the shares are of one key under another threshold, if they are, and that key. Under a threshold of 1 every share is a key of
/// its own, so that nothing else shows a threshold that was lowered to it.
pub(super) fn of_another_threshold(shares: &[Share], quorum: Quorum) -> Option<(String, WholeKey)> {
    of_another_threshold_by(reconstruct, shares, quorum)
}

fn of_another_threshold_by(
    reconstruct: fn(&[Share], u16) -> Result<Reconstruction, ReconstructError>,
    shares: &[Share],
    quorum: Quorum,
) -> Option<(String, WholeKey)> {
    let most = u16::try_from(shares.len()).unwrap_or(u16::MAX);
    let others = (2..=most).filter(|threshold| *threshold != quorum.threshold());
    let fits = |needed: u16| Some((needed, reconstruct(shares, needed).ok()?));
    let (needed, found) = others.into_iter().find_map(fits)?;
    let indexes = shares.iter().map(|share| share.index);
    let of = indexes.filter(|index| !found.mismatched.contains(index)).collect();
    let told = format!(
        "; they do under threshold {needed}: is SPIKE_NEXUS_SHAMIR_THRESHOLD what it was at bootstrap?"
    );
    Some((told, WholeKey { key: found.key.fingerprint(), of, needed }))
}

/// The indexes under which the shares are of one key, if there are such indexes and the shares are few, and that key.
fn reordered(shares: &[Share], quorum: Quorum) -> Option<(Vec<ShareIndex>, Fingerprint)> {
    if shares.len() > MAX_TO_REORDER || quorum.threshold() < 2 {
        return None;
    }
    let indexes: Vec<ShareIndex> = shares.iter().map(|share| share.index).collect();
    permutations(&indexes).into_iter().find_map(|order| {
        let key = fits(shares, &order, quorum)?;
        Some((order, key))
    })
}

/// The same, where the Keepers kept their order and some before them are missing.
fn shortened(shares: &[Share], quorum: Quorum) -> Option<(Vec<ShareIndex>, Fingerprint)> {
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
        let key = fits(shares, &order, quorum)?;
        Some((order, key))
    })
}

/// The one key that the shares are of under these indexes. Some subset of threshold size fits in many orders, so that only a match
/// of all shares is evidence.
fn fits(shares: &[Share], order: &[ShareIndex], quorum: Quorum) -> Option<Fingerprint> {
    let renamed: Vec<Share> = shares
        .iter()
        .zip(order)
        .map(|(share, index)| Share { index: *index, value: share.value.duplicate() })
        .collect();
    let found = reconstruct(&renamed, quorum.threshold()).ok()?;
    found.mismatched.is_empty().then(|| found.key.fingerprint())
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
mod tests;
