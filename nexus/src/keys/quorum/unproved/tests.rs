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

/// Judges the shares in each order in which they can arrive.
fn in_every_order(held: &[Share], sights: &[Shown], quorum: Quorum, check: impl Fn(Evidence)) {
    let index = |place: usize| ShareIndex::new(u16::try_from(place).unwrap() + 1).unwrap();
    let seen: Vec<_> = sights.iter().enumerate().map(|(at, it)| (index(at), *it)).collect();
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
        let seen = [(index(1), Holds), (index(2), Holds), (index(3), Silent), (index(4), Silent)];
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
