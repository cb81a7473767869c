//! The shares of whole keys that cannot be used yet, apart from what each Keeper sent last: no later answer of any Keeper takes one of
//! them away. `held` says what is done with them.

use spike_crypto::{Fingerprint, Share, ShareIndex, ShareValue};

use super::collect::WholeKey;

/// The most keys that are kept. With a threshold of 1 any number is a key, and a faulty Keeper sends another one each time.
const MOST: usize = 32;

/// Whole keys that Keepers have sent since Nexus was started and that are not in use.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<KeptKey>);

/// One of them.
#[derive(Debug)]
pub(super) struct KeptKey {
    /// Its name.
    pub(super) key: Fingerprint,
    /// How many of its shares rebuild it.
    pub(super) needed: u16,
    /// Every share of it, with the index of the Keeper that sent it.
    shares: Vec<Share>,
}

impl Kept {
    /// Keeps these keys, which some of `shares` make. Returns those for which there is no place.
    pub(super) fn keep<'w>(
        &mut self,
        whole: impl IntoIterator<Item = &'w WholeKey>,
        shares: &[Share],
    ) -> Vec<Fingerprint> {
        let mut refused = Vec::new();
        for WholeKey { key, of, needed } in whole {
            let of_it = |share: &&Share| of.contains(&share.index);
            let shares = shares.iter().filter(of_it).map(Share::duplicate).collect();
            let found = KeptKey { key: *key, needed: *needed, shares };
            if let Some(known) = self.0.iter_mut().find(|known| known.key == *key) {
                known.merge(found);
                continue;
            }
            // Before the second share came, the first one passed for a key, if the threshold was lowered to 1.
            self.0.retain(|known| !found.explains(known));
            if self.0.iter().any(|known| known.explains(&found)) {
                continue;
            }
            if self.0.len() < MOST { self.0.push(found) } else { refused.push(*key) }
        }
        refused
    }

    /// Drops the keys of which this is false.
    pub(super) fn retain(&mut self, is_kept: impl FnMut(&KeptKey) -> bool) {
        self.0.retain(is_kept);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KeptKey> {
        self.0.iter()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A copy of the shares of each key.
    pub(super) fn shares(&self) -> Vec<Vec<Share>> {
        let copy = |kept: &KeptKey| kept.shares.iter().map(Share::duplicate).collect();
        self.0.iter().map(copy).collect()
    }
}

impl KeptKey {
    /// Whether this Keeper sent this share of the key.
    pub(super) fn has(&self, index: ShareIndex, value: &ShareValue) -> bool {
        self.of(index).any(|known| known.ct_eq(value))
    }

    /// The shares that this Keeper sent: several, if the order of the Keepers has changed.
    pub(super) fn of(&self, index: ShareIndex) -> impl Iterator<Item = &ShareValue> {
        let is_of = move |share: &&Share| share.index == index;
        self.shares.iter().filter(is_of).map(|share| &share.value)
    }

    /// Whether the other key is a single share of this one.
    fn explains(&self, other: &Self) -> bool {
        other.needed < self.needed
            && other.shares.iter().all(|share| self.has(share.index, &share.value))
    }

    fn merge(&mut self, found: Self) {
        self.needed = found.needed;
        for share in found.shares {
            if !self.has(share.index, &share.value) {
                self.shares.push(share);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use spike_crypto::{Derivation, Quorum, RootKey, split};

    use super::*;

    fn whole(key: &RootKey, of: &[Share], needed: u16) -> WholeKey {
        let of = of.iter().map(|share| share.index).collect();
        WholeKey { key: key.fingerprint(), of, needed }
    }

    fn fresh() -> (RootKey, Vec<Share>) {
        let key = RootKey::generate().unwrap();
        let shares = split(&key, Quorum::new(3, 2).unwrap(), Derivation::Reject);
        (key, shares)
    }

    #[test]
    fn a_key_keeps_every_share_of_it_that_was_sent() {
        let (key, shares) = fresh();
        let mut kept = Kept::default();
        for part in [&shares[..2], &shares[1..], &shares[..2]] {
            assert_eq!(kept.keep(&[whole(&key, part, 2)], part), []);
        }
        let known = kept.iter().next().unwrap();
        assert!(shares.iter().all(|share| known.has(share.index, &share.value)));
        assert_eq!((kept.iter().count(), known.shares.len()), (1, 3));
    }

    #[test]
    fn a_share_that_passed_for_a_key_is_none_once_its_key_is_known() {
        let (key, shares) = fresh();
        let (other, _) = fresh();
        let mut kept = Kept::default();
        let (real, alone) = (whole(&key, &shares, 2), whole(&other, &shares[..1], 1));
        for found in [&alone, &real, &alone] {
            assert_eq!(kept.keep([found], &shares), []);
        }
        assert_eq!(kept.iter().map(|known| known.key).collect::<Vec<_>>(), [key.fingerprint()]);
    }

    #[test]
    fn a_keeper_that_sends_ever_new_keys_fills_no_memory_and_drops_no_earlier_one() {
        let (first, shares) = fresh();
        let mut kept = Kept::default();
        assert_eq!(kept.keep(&[whole(&first, &shares, 2)], &shares), []);
        for _ in 0..MOST * 2 {
            let (key, shares) = fresh();
            kept.keep(&[whole(&key, &shares, 2)], &shares);
        }
        assert_eq!(kept.iter().count(), MOST);
        assert_eq!(kept.iter().next().unwrap().key, first.fingerprint());
    }
}
