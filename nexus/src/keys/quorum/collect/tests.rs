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
    let whole = Candidates::find(&mixed, of).unwrap().whole_keys(&mixed, of.threshold());
    let mut owners: Vec<_> =
        whole.iter().flat_map(|whole| whole.of.iter().map(|index| (*index, whole.key))).collect();
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

/// A key that a wrong setting hides was guarded by nobody: its Keepers were restarted, and it was gone.
#[test]
fn shares_that_fit_in_another_order_or_under_another_threshold_are_told_as_a_whole_key() {
    let key = RootKey::generate().unwrap();
    let index = |number| ShareIndex::new(number).unwrap();
    let whole_of = |held: &[Share], of: Quorum| match Candidates::find(held, of) {
        Err(CollectError::NoneBelongTogether { whole: Some(whole), .. }) => whole,
        other => panic!("{other:?}"),
    };
    let mut turned = shares(&key, quorum(3, 2));
    for (share, number) in turned.iter_mut().zip([2, 3, 1]) {
        share.index = index(number);
    }
    let whole = whole_of(&turned, quorum(3, 2));
    assert_eq!((whole.key, whole.needed), (key.fingerprint(), 2));
    assert_eq!(whole.of, [2, 3, 1].map(index));
    let whole = whole_of(&shares(&key, quorum(5, 3)), quorum(5, 2));
    assert_eq!((whole.key, whole.needed, whole.of.len()), (key.fingerprint(), 3, 5));
}

/// An operator was sent after a second key or another threshold, while most choices of the shares were never tried.
#[test]
fn a_search_that_did_not_try_every_choice_does_not_say_that_none_belongs_together() {
    let of = quorum(20, 10);
    let mixed: Vec<Share> =
        (0..20).map(|place| shares(&RootKey::generate().unwrap(), of).swap_remove(place)).collect();
    let error = Candidates::find(&mixed, of).unwrap_err();
    assert!(error.may_pass());
    let told = error.to_string();
    assert!(!told.contains("no 10 of them belong together"), "{told}");
    assert!(told.contains("not every choice of 10 of 20 shares was tried"), "{told}");
    assert!(told.contains("stop Keepers that may be wrong"), "{told}");

    let few = Candidates::find(&mixed[..13], of).unwrap_err();
    assert!(!few.may_pass());
    assert!(few.to_string().contains("no 10 of them belong together"), "{few}");
}

#[test]
fn another_threshold_of_many_shares_is_still_named() {
    let all = shares(&RootKey::generate().unwrap(), quorum(20, 7));
    let error = Candidates::find(&all, quorum(20, 10)).unwrap_err();
    assert!(error.to_string().contains("they do under threshold 7"), "{error}");
    assert!(!error.may_pass());
}
