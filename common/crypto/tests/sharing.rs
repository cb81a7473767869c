//! The algebra of secret sharing: combine inverts split, reconstruct finds mismatched shares.
#![cfg(test)] // for clippy: helpers are test code too

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use spike_crypto::{
    CombineError, Derivation, Quorum, ReconstructError, RootKey, Share, ShareIndex, ShareValue,
    combine, derivation_of, reconstruct, split,
};

fn root_key() -> impl Strategy<Value = RootKey> {
    any::<[u8; 32]>().prop_filter_map("out of range", |bytes| RootKey::from_bytes(&bytes).ok())
}

fn derivation() -> impl Strategy<Value = Derivation> {
    prop_oneof![Just(Derivation::Reject), Just(Derivation::Xmd)]
}

fn quorum(shares: u16, threshold: u16) -> Quorum {
    Quorum::new(shares, threshold).unwrap()
}

fn reject(key: &RootKey, shares: u16, threshold: u16) -> Vec<Share> {
    split(key, quorum(shares, threshold), Derivation::Reject)
}

fn key(byte: u8) -> RootKey {
    RootKey::from_bytes(&[byte; 32]).unwrap()
}

fn index(number: u16) -> ShareIndex {
    ShareIndex::new(number).unwrap()
}

fn copy(share: &Share) -> Share {
    let value = ShareValue::from_bytes(share.value.expose_bytes()).unwrap();
    Share { index: share.index, value }
}

/// A quorum and the numbers of enough shares, in any order.
fn quorum_and_subset() -> impl Strategy<Value = (Quorum, Vec<u16>)> {
    (1..=12_u16).prop_flat_map(|shares| (Just(shares), 1..=shares)).prop_flat_map(
        |(shares, threshold)| {
            let numbers: Vec<u16> = (1..=shares).collect();
            let enough = usize::from(threshold)..=numbers.len();
            (Just(quorum(shares, threshold)), subsequence(numbers, enough).prop_shuffle())
        },
    )
}

/// A quorum with spare shares, and the numbers of the mismatched ones: at most the spare ones.
fn quorum_and_mismatched() -> impl Strategy<Value = (Quorum, Vec<u16>)> {
    (3..=9_u16).prop_flat_map(|shares| (Just(shares), 2..shares)).prop_flat_map(
        |(shares, threshold)| {
            let numbers: Vec<u16> = (1..=shares).collect();
            let spare = usize::from(shares - threshold);
            (Just(quorum(shares, threshold)), subsequence(numbers, 1..=spare))
        },
    )
}

proptest! {
    #[test]
    fn combine_inverts_split_for_any_key_quorum_and_subset(
        key in root_key(),
        derivation in derivation(),
        (quorum, numbers) in quorum_and_subset(),
    ) {
        let shares = split(&key, quorum, derivation);
        let chosen: Vec<&Share> =
            numbers.iter().map(|number| &shares[usize::from(number - 1)]).collect();
        prop_assert!(combine(&chosen, quorum.threshold()).unwrap().ct_eq(&key));
    }

    #[test]
    fn fewer_shares_than_the_threshold_are_refused(
        key in root_key(),
        threshold in 1..=6_u16,
        missing in 1..=6_u16,
    ) {
        let shares = reject(&key, threshold, threshold);
        let given = usize::from(threshold.saturating_sub(missing));
        let few: Vec<&Share> = shares.iter().take(given).collect();
        let expected = CombineError::TooFew { given, needed: threshold };
        prop_assert_eq!(combine(&few, threshold).unwrap_err(), expected);
    }

    #[test]
    fn every_share_belongs_to_its_key_and_to_no_other(
        (one, other) in (root_key(), root_key()),
        derivation in derivation(),
        (shares, threshold) in (2..=6_u16).prop_flat_map(|n| (Just(n), 2..=n)),
    ) {
        prop_assume!(!one.ct_eq(&other));
        for share in split(&one, quorum(shares, threshold), derivation) {
            prop_assert_eq!(derivation_of(&one, threshold, &share), Some(derivation));
            prop_assert_eq!(derivation_of(&other, threshold, &share), None);
        }
    }

    #[test]
    fn a_share_does_not_depend_on_how_many_are_made(key in root_key(), more in 3..=9_u16) {
        for (few, many) in reject(&key, 3, 3).iter().zip(&reject(&key, more, 3)) {
            prop_assert_eq!(few.index, many.index);
            prop_assert!(few.value.ct_eq(&many.value));
        }
    }

    #[test]
    fn reconstruct_finds_the_key_and_names_the_mismatched_shares(
        key in root_key(),
        derivation in derivation(),
        (quorum, mismatched) in quorum_and_mismatched(),
        wrong in prop::array::uniform9(any::<[u8; 32]>()),
    ) {
        let mut shares = split(&key, quorum, derivation);
        for (number, wrong) in mismatched.iter().zip(wrong) {
            let share = &mut shares[usize::from(number - 1)];
            let value = ShareValue::from_bytes(&wrong).unwrap();
            prop_assume!(!value.ct_eq(&share.value));
            share.value = value;
        }
        let found = reconstruct(&shares, quorum.threshold()).unwrap();
        prop_assert!(found.key.ct_eq(&key));
        prop_assert_eq!(found.derivation, derivation);
        let named: Vec<u16> = found.mismatched.iter().map(|index| index.get()).collect();
        prop_assert_eq!(named, mismatched);
    }

    #[test]
    fn one_mismatched_share_is_found_among_many(key in root_key(), at in any::<Index>()) {
        let mut shares = reject(&key, 60, 30);
        let mismatched = at.get(&shares).index;
        let value = ShareValue::from_bytes(&[7; 32]).unwrap();
        shares[usize::from(mismatched.get() - 1)].value = value;
        prop_assert_eq!(reconstruct(&shares, 30).unwrap().mismatched, [mismatched]);
    }
}

#[test]
fn a_share_given_twice_is_refused() {
    let shares = reject(&key(9), 3, 2);
    let twice = [&shares[1], &shares[1], &shares[2]];
    let expected = CombineError::DuplicateIndex { index: index(2) };
    assert_eq!(combine(&twice, 2).unwrap_err(), expected);

    let expected = ReconstructError::DuplicateIndex { index: index(2) };
    assert_eq!(reconstruct(&twice.map(copy), 2).unwrap_err(), expected);
}

#[test]
fn combine_ignores_what_comes_after_the_threshold() {
    let (shares, strangers) = (reject(&key(9), 3, 2), reject(&key(8), 3, 2));
    let given = [&shares[0], &shares[1], &strangers[0]];
    assert!(combine(&given, 2).unwrap().ct_eq(&key(9)));
}

#[test]
fn reconstruct_says_how_many_shares_are_missing() {
    let shares = reject(&key(9), 3, 3);
    assert_eq!(
        reconstruct(&shares[..2], 3).unwrap_err(),
        ReconstructError::TooFew { given: 2, needed: 3 }
    );
}

/// Half of the Keepers still hold shares of the older release (F2).
#[test]
fn reconstruct_takes_the_derivation_that_reaches_the_threshold() {
    let old = split(&key(9), quorum(5, 3), Derivation::Xmd);
    let new = reject(&key(9), 5, 3);
    let mixed = [&old[0], &new[1], &old[2], &new[3], &old[4]].map(copy);

    let found = reconstruct(&mixed, 3).unwrap();
    assert!(found.key.ct_eq(&key(9)));
    assert_eq!(found.derivation, Derivation::Xmd);
    assert_eq!(found.mismatched, [], "shares of the other derivation belong to the key too");
}

#[test]
fn a_mix_of_derivations_below_the_threshold_gives_no_key() {
    let old = split(&key(9), quorum(4, 3), Derivation::Xmd);
    let new = reject(&key(9), 4, 3);
    let mixed = [&old[0], &old[1], &new[2], &new[3]].map(copy);
    assert_eq!(
        reconstruct(&mixed, 3).unwrap_err(),
        ReconstructError::NoneBelongTogether { tried: 8, exhaustive: true }
    );
}

#[test]
fn a_threshold_lowered_after_the_split_gives_no_key() {
    let shares = reject(&key(9), 5, 3);
    assert!(matches!(
        reconstruct(&shares, 2).unwrap_err(),
        ReconstructError::NoneBelongTogether { exhaustive: true, .. }
    ));
}

#[test]
fn shares_under_each_others_index_are_mismatched() {
    let mut shares = reject(&key(9), 5, 3);
    let (first, second) = (copy(&shares[0]).value, copy(&shares[1]).value);
    shares[0].value = second;
    shares[1].value = first;
    assert_eq!(reconstruct(&shares, 3).unwrap().mismatched, [index(1), index(2)]);
}

/// A second bootstrap that reached some Keepers only.
#[test]
fn a_second_key_is_found_among_the_mismatched_shares() {
    let (first, second) = (reject(&key(9), 5, 2), reject(&key(8), 5, 2));
    let mixed = [&first[0], &first[1], &first[2], &second[3], &second[4]].map(copy);

    let found = reconstruct(&mixed, 2).unwrap();
    assert!(found.key.ct_eq(&key(9)));
    assert_eq!(found.mismatched, [index(4), index(5)]);

    let rest: Vec<Share> =
        mixed.into_iter().filter(|share| found.mismatched.contains(&share.index)).collect();
    assert!(reconstruct(&rest, 2).unwrap().key.ct_eq(&key(8)));
}

/// The shares of `key`, except those at these places (from 0), which are of other keys.
fn with_wrong(shares: u16, threshold: u16, wrong: &[usize]) -> Vec<Share> {
    let mut mixed = reject(&key(9), shares, threshold);
    for (byte, place) in (20..).zip(wrong) {
        mixed[*place].value = reject(&key(byte), shares, threshold).swap_remove(*place).value;
    }
    mixed
}

/// No run of ten neighbours was of one key, and the first 2000 subsets in order all had one of the first wrong shares: 15 right
/// ones of 20 gave no key, whatever the number of calls.
#[test]
fn wrong_shares_at_places_that_were_chosen_well_hide_no_key_among_twenty() {
    for wrong in [[0, 4, 8, 12, 16], [1, 3, 5, 7, 9], [0, 1, 2, 3, 12]] {
        let found = reconstruct(&with_wrong(20, 10, &wrong), 10).unwrap();
        assert!(found.key.ct_eq(&key(9)));
        assert_eq!(found.mismatched.len(), wrong.len());
    }
}

/// Every call tried the same subsets.
#[test]
fn a_key_that_one_call_misses_is_found_by_a_later_one() {
    // Of 9880 subsets, one gives the key, and no run does.
    let wrong: Vec<usize> = (0..40).filter(|place| ![3, 17, 31].contains(place)).collect();
    let mixed = with_wrong(40, 3, &wrong);
    let found = (0..300).find_map(|_| match reconstruct(&mixed, 3) {
        Ok(found) => Some(found),
        Err(ReconstructError::NoneBelongTogether { exhaustive, .. }) => {
            assert!(!exhaustive);
            None
        }
        Err(other) => panic!("{other}"),
    });
    assert!(found.unwrap().key.ct_eq(&key(9)));
}

#[test]
fn with_a_threshold_of_one_shares_of_other_keys_are_mismatched() {
    let shares = [reject(&key(9), 3, 1), reject(&key(8), 3, 1)];
    let mixed = [&shares[0][0], &shares[1][1], &shares[0][2]].map(copy);
    let found = reconstruct(&mixed, 1).unwrap();
    assert!(found.key.ct_eq(&key(9)));
    assert_eq!(found.mismatched, [index(2)]);
}

#[test]
fn a_key_can_be_split_into_as_many_shares_as_allowed() {
    let shares = reject(&key(9), Quorum::MAX_SHARES, 3);
    let last: Vec<&Share> = shares.iter().rev().collect();
    assert!(combine(&last, 3).unwrap().ct_eq(&key(9)));
}
