use spike_crypto::{Derivation, split};

use super::*;

fn shares(key: &RootKey, of: Quorum) -> Vec<Share> {
    split(key, of, Derivation::Reject)
}

fn copied(shares: &[Share]) -> Vec<Share> {
    shares.iter().map(Share::duplicate).collect()
}

/// Every order of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let longer = |order: Vec<usize>| {
        (0..=order.len()).map(move |place| {
            let mut longer = order.clone();
            longer.insert(place, count - 1);
            longer
        })
    };
    orders(count - 1).into_iter().flat_map(longer).collect()
}

/// A Keeper that is listed once.
fn seen_of(index: ShareIndex, shown: Shown) -> Seen {
    Seen { index, shown, process: index }
}

/// Judges the shares in each order in which they can arrive.
fn in_every_order(held: &[Share], sights: &[Shown], quorum: Quorum, check: impl Fn(Evidence)) {
    let index = |place: usize| ShareIndex::new(u16::try_from(place).unwrap() + 1).unwrap();
    let seen: Vec<_> = sights.iter().enumerate().map(|(at, it)| seen_of(index(at), *it)).collect();
    for order in orders(held.len()) {
        let came: Vec<Share> = order.iter().flat_map(|at| copied(&held[*at..=*at])).collect();
        let found = Candidates::find(&came, quorum).unwrap();
        check(judge(&came, found, &seen, quorum));
    }
}

fn two_clusters() -> (Vec<Share>, [RootKey; 2], Quorum) {
    let keys = [RootKey::generate().unwrap(), RootKey::generate().unwrap()];
    let of = Quorum::new(4, 2).unwrap();
    let mut held = copied(&shares(&keys[0], of)[..2]);
    held.extend(copied(&shares(&keys[1], of)[2..]));
    (held, keys, of)
}

use Shown::{Empty, Holds, Silent};

/// The key that answered first was taken, another one at each start.
#[test]
fn two_whole_keys_are_taken_in_no_order_and_told_alike() {
    let (held, keys, of) = two_clusters();
    let told = Mutex::new(Vec::new());
    in_every_order(&held, &[Holds; 4], of, |evidence| {
        let Evidence::Contradicted(reason) = evidence else { panic!("{evidence:?}") };
        for part in ["Keepers 1, 2 hold key", "Keepers 3, 4 hold key"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert!(keys.iter().all(|key| reason.contains(&key.fingerprint().to_string())));
        told.lock().unwrap().push(reason);
    });
    let mut told = told.into_inner().unwrap();
    told.dedup();
    assert_eq!(told.len(), 1);
}

#[test]
fn a_key_is_taken_without_two_keepers_that_were_not_heard_only_after_a_wait() {
    let (held, _, of) = two_clusters();
    for order in [[0, 1], [1, 0]] {
        let came: Vec<Share> = order.iter().flat_map(|at| copied(&held[*at..=*at])).collect();
        let index = |number| ShareIndex::new(number).unwrap();
        let seen = [(1, Holds), (2, Holds), (3, Silent), (4, Silent)];
        let seen = seen.map(|(number, shown)| seen_of(index(number), shown));
        let found = Candidates::find(&came, of).unwrap();
        let Evidence::Agreed(_, unheard) = judge(&came, found, &seen, of) else { panic!() };
        assert_eq!(unheard, [index(3), index(4)]);
    }
}

#[test]
fn a_share_that_is_not_of_the_key_of_the_others_keeps_it_out_of_use() {
    let of = Quorum::new(3, 2).unwrap();
    let mut held = copied(&shares(&RootKey::generate().unwrap(), of)[..2]);
    held.extend(copied(&shares(&RootKey::generate().unwrap(), of)[2..]));
    in_every_order(&held, &[Holds; 3], of, |evidence| {
        let Evidence::Contradicted(reason) = evidence else { panic!("{evidence:?}") };
        assert!(reason.contains("the share of Keeper 3 belongs to none"), "{reason}");
    });
}

/// A Keeper that is away had sent its share: it was heard.
#[test]
fn the_key_is_taken_at_once_where_all_were_heard_and_one_is_empty_or_gone_since() {
    let (of, key) = (Quorum::new(3, 2).unwrap(), RootKey::generate().unwrap());
    let all = shares(&key, of);
    for (held, last) in [(&all[..2], Empty), (&all[..], Silent), (&all[..], Empty)] {
        in_every_order(held, &[Holds, Holds, last], of, |evidence| {
            let Evidence::Agreed(found, unheard) = evidence else { panic!("{evidence:?}") };
            assert!(unheard.is_empty());
            assert!(found.first().unwrap().ct_eq(&key));
        });
    }
}

#[test]
fn restarting_the_keepers_of_one_key_decides_for_the_other() {
    let (held, keys, of) = two_clusters();
    for (sights, key) in
        [([Holds, Holds, Empty, Empty], &keys[0]), ([Empty, Empty, Holds, Holds], &keys[1])]
    {
        in_every_order(&held, &sights, of, |evidence| {
            let Evidence::Agreed(found, _) = evidence else { panic!("{evidence:?}") };
            assert!(found.first().unwrap().ct_eq(key));
        });
    }
}

#[test]
fn shares_of_keepers_that_were_restarted_meanwhile_still_make_their_key() {
    let (of, key) = (Quorum::new(3, 2).unwrap(), RootKey::generate().unwrap());
    in_every_order(&shares(&key, of)[..2], &[Empty, Empty, Silent], of, |evidence| {
        let Evidence::Agreed(found, unheard) = evidence else { panic!("{evidence:?}") };
        assert!(found.first().unwrap().ct_eq(&key));
        assert_eq!(unheard, [ShareIndex::new(3).unwrap()]);
    });
}

/// The share of the Keeper that answered first was the key.
#[test]
fn with_a_threshold_of_one_shares_that_differ_are_no_key_and_the_threshold_is_named() {
    let (made, one) = (Quorum::new(3, 2).unwrap(), Quorum::new(3, 1).unwrap());
    let all = shares(&RootKey::generate().unwrap(), made);
    for (count, part) in [(3, "they do under threshold 2"), (2, "SPIKE_NEXUS_SHAMIR_THRESHOLD")] {
        in_every_order(&all[..count], &[Holds; 3][..count], one, |evidence| {
            let Evidence::Contradicted(reason) = evidence else { panic!("{evidence:?}") };
            assert!(reason.contains(part), "{reason}");
        });
    }
    let of_one = shares(&RootKey::generate().unwrap(), one);
    in_every_order(&of_one, &[Holds; 3], one, |evidence| {
        assert!(matches!(evidence, Evidence::Agreed(..)), "{evidence:?}");
    });
}

/// The shares of the two spoke against the third for ever, and nothing told them from shares that Keepers hold.
#[test]
fn keepers_restarted_one_after_another_beside_a_stray_share_lose_no_key() {
    let of = Quorum::new(3, 2).unwrap();
    let key = RootKey::generate().unwrap();
    let mut held = copied(&shares(&key, of)[..2]);
    held.extend(copied(&shares(&RootKey::generate().unwrap(), of)[2..]));
    for shown in [[Empty, Holds, Holds], [Empty, Empty, Holds]] {
        in_every_order(&held, &shown, of, |evidence| {
            let Evidence::Contradicted(reason) = evidence else { panic!("{evidence:?}") };
            assert!(reason.contains(&key.fingerprint().to_string()), "{reason}");
            assert!(reason.contains("empty"), "{reason}");
            assert!(reason.contains("if what Keeper 3 holds is needed nowhere"), "{reason}");
        });
    }
    for shown in [[Holds, Holds, Empty], [Empty, Holds, Empty], [Empty, Empty, Empty]] {
        in_every_order(&held, &shown, of, |evidence| {
            let Evidence::Agreed(found, _) = evidence else { panic!("{evidence:?}") };
            assert!(found.first().unwrap().ct_eq(&key) && !found.ambiguous());
        });
    }
}

/// All Keepers had lost power, and the key of those that were back last was taken.
#[test]
fn keepers_that_are_away_decide_for_no_key() {
    let (held, _, of) = two_clusters();
    in_every_order(&held, &[Empty, Empty, Silent, Silent], of, |evidence| {
        assert!(matches!(evidence, Evidence::Contradicted(_)), "{evidence:?}");
    });
}

/// With nobody left to decide, the key of the Keepers that answered first would be taken.
#[test]
fn restarting_the_keepers_of_both_keys_decides_for_neither() {
    let (held, keys, of) = two_clusters();
    in_every_order(&held, &[Empty; 4], of, |evidence| {
        let Evidence::Contradicted(reason) = evidence else { panic!("{evidence:?}") };
        assert!(keys.iter().all(|key| reason.contains(&key.fingerprint().to_string())));
        assert!(reason.contains("no Keeper holds a share any more"), "{reason}");
    });
}

/// It was told as shares of several keys, and to restart the Keeper, which took the share away.
#[test]
fn one_keeper_under_two_addresses_speaks_against_no_key_of_which_it_has_a_share() {
    let (of, key) = (Quorum::new(3, 2).unwrap(), RootKey::generate().unwrap());
    let own = shares(&key, of);
    let index = |number| ShareIndex::new(number).unwrap();
    let same = |value: &Share| Share { index: index(2), value: value.value.duplicate() };
    let seen = |second| {
        [(1, 1), (2, second), (3, 3)].map(|(number, process)| Seen {
            index: index(number),
            shown: Holds,
            process: index(process),
        })
    };
    for order in orders(3) {
        let came = || {
            let held = [own[0].duplicate(), same(&own[0]), own[2].duplicate()];
            order.iter().map(|at| held[*at].duplicate()).collect::<Vec<_>>()
        };
        let found = || Candidates::find(&came(), of).unwrap();
        let evidence = judge(&came(), found(), &seen(1), of);
        let Evidence::Agreed(found_key, _) = evidence else { panic!("{evidence:?}") };
        assert!(found_key.first().unwrap().ct_eq(&key));
        let evidence = judge(&came(), found(), &seen(2), of);
        assert!(matches!(evidence, Evidence::Contradicted(_)), "two processes: {evidence:?}");
    }
}

/// The share of the one Keeper that was not restarted was taken for the key.
#[test]
fn restarting_keepers_does_not_make_a_key_of_one_share_of_a_higher_threshold() {
    let (made, one) = (Quorum::new(3, 2).unwrap(), Quorum::new(3, 1).unwrap());
    let all = shares(&RootKey::generate().unwrap(), made);
    in_every_order(&all, &[Holds, Empty, Empty], one, |evidence| {
        let Evidence::Contradicted(reason) = evidence else { panic!("{evidence:?}") };
        assert!(reason.contains("they do under threshold 2"), "{reason}");
    });
}
