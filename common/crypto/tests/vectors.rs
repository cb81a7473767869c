//! Known answers of secret sharing, from an independent model and checked with both generations of upstream's Go code
//! (crypto-and-storage 2.8). Every array of the file is used; coefficients and the byte stream are tested inside the
//! crate.
#![cfg(test)] // for clippy: helpers are test code too

use std::fmt::Write as _;

use serde::Deserialize;
use spike_crypto::{
    Derivation, Quorum, ReconstructError, RootKey, RootKeyError, Share, ShareError, ShareIndex,
    ShareValue, combine, derivation_of, reconstruct, split,
};

#[derive(Deserialize)]
struct Vectors {
    group_order: String,
    #[serde(rename = "vectors")]
    current: Vec<Vector>,
    #[serde(rename = "older_release_vectors")]
    older: Vec<Vector>,
    wrong_inputs: Vec<WrongInput>,
    refused_root_keys: Vec<RefusedKey>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    derivation: String,
    root_key: String,
    shares: u16,
    threshold: u16,
    parts: Vec<Part>,
    reconstructions: Vec<Subset>,
}

#[derive(Deserialize)]
struct Part {
    id: u16,
    value: String,
    recovery_text: Option<String>,
}

#[derive(Deserialize)]
struct Subset {
    ids: Vec<u16>,
    root_key: String,
}

#[derive(Deserialize)]
struct WrongInput {
    name: String,
    threshold: u16,
    given: Vec<Part>,
    result: String,
    true_root_key: String,
    recomputed_shares_match: bool,
}

#[derive(Deserialize)]
struct RefusedKey {
    root_key: String,
    why: String,
}

fn load() -> Vectors {
    serde_json::from_str(include_str!("vectors/shamir_vectors.json")).unwrap()
}

/// Both generations.
fn all() -> Vec<Vector> {
    let Vectors { current, older, .. } = load();
    assert_eq!((current.len(), older.len()), (10, 4));
    current.into_iter().chain(older).collect()
}

fn bytes(digits: &str) -> [u8; 32] {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect::<Vec<_>>().try_into().unwrap()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn key(digits: &str) -> RootKey {
    RootKey::from_bytes(&bytes(digits)).unwrap()
}

fn share(part: &Part) -> Share {
    Share {
        index: ShareIndex::new(part.id).unwrap(),
        value: ShareValue::from_bytes(&bytes(&part.value)).unwrap(),
    }
}

impl Vector {
    fn derivation(&self) -> Derivation {
        match self.derivation.as_str() {
            "reject" => Derivation::Reject,
            "xmd" => Derivation::Xmd,
            other => panic!("unknown derivation {other}"),
        }
    }

    fn subset(&self, ids: &[u16]) -> Vec<Share> {
        ids.iter().map(|id| share(self.parts.iter().find(|part| part.id == *id).unwrap())).collect()
    }
}

#[test]
fn split_makes_upstreams_shares() {
    for vector in all() {
        let quorum = Quorum::new(vector.shares, vector.threshold).unwrap();
        let made: Vec<(u16, String)> = split(&key(&vector.root_key), quorum, vector.derivation())
            .iter()
            .map(|share| (share.index.get(), digits(share.value.expose_bytes())))
            .collect();
        let expected: Vec<(u16, String)> =
            vector.parts.iter().map(|part| (part.id, part.value.clone())).collect();
        assert_eq!(made, expected, "{}", vector.name);
    }
}

#[test]
fn combine_rebuilds_the_key_from_every_listed_subset() {
    for vector in all() {
        for subset in &vector.reconstructions {
            let shares = vector.subset(&subset.ids);
            let combined = combine(&shares.iter().collect::<Vec<_>>(), vector.threshold).unwrap();
            assert_eq!(
                digits(combined.expose_bytes()),
                subset.root_key,
                "{} from {:?}",
                vector.name,
                subset.ids
            );
        }
    }
}

#[test]
fn every_share_is_recognised_with_its_derivation() {
    for vector in all() {
        let key = key(&vector.root_key);
        for part in &vector.parts {
            let derivation = derivation_of(&key, vector.threshold, &share(part));
            assert_eq!(derivation, Some(vector.derivation()), "{} {}", vector.name, part.id);
        }
    }
}

#[test]
fn reconstruct_accepts_every_listed_subset_and_finds_no_mismatch() {
    for vector in all() {
        for subset in &vector.reconstructions {
            let shares = vector.subset(&subset.ids);
            let found = reconstruct(&shares, vector.threshold).unwrap();
            assert_eq!(digits(found.key.expose_bytes()), subset.root_key, "{}", vector.name);
            assert_eq!(found.derivation, vector.derivation(), "{}", vector.name);
            assert_eq!(found.mismatched, [], "{}", vector.name);
        }
    }
}

#[test]
fn recovery_text_is_upstreams() {
    for part in all().iter().flat_map(|vector| &vector.parts) {
        let text = part.recovery_text.as_deref().unwrap();
        assert_eq!(*share(part).to_recovery_text(), text);

        let read = Share::from_recovery_text(text).unwrap();
        assert_eq!(read.index, share(part).index);
        assert!(read.value.ct_eq(&share(part).value));
    }
}

#[test]
fn wrong_inputs_combine_to_a_wrong_key_as_upstream() {
    for wrong in load().wrong_inputs {
        let shares: Vec<Share> = wrong.given.iter().map(share).collect();
        let combined = combine(&shares.iter().collect::<Vec<_>>(), wrong.threshold).unwrap();
        assert_eq!(digits(combined.expose_bytes()), wrong.result, "{}", wrong.name);
        assert!(!combined.ct_eq(&key(&wrong.true_root_key)), "{}", wrong.name);
    }
}

/// A check that upstream lacks (F1): a wrong key reproduces none of its shares.
#[test]
fn the_wrong_key_of_wrong_inputs_is_refused() {
    let wrong_inputs = load().wrong_inputs;
    assert_eq!(wrong_inputs.len(), 4);
    for wrong in wrong_inputs {
        assert!(!wrong.recomputed_shares_match);
        let shares: Vec<Share> = wrong.given.iter().map(share).collect();
        for share in &shares {
            let derivation = derivation_of(&key(&wrong.result), wrong.threshold, share);
            assert_eq!(derivation, None, "{}", wrong.name);
        }
        assert_eq!(
            reconstruct(&shares, wrong.threshold).unwrap_err(),
            ReconstructError::NoneBelongTogether { tried: 1, exhaustive: true },
            "{}",
            wrong.name
        );
    }
}

#[test]
fn refused_root_keys_are_neither_key_nor_share() {
    let Vectors { refused_root_keys, .. } = load();
    assert_eq!(refused_root_keys.len(), 4);
    for refused in refused_root_keys {
        let (as_key, as_share) = match refused.why.as_str() {
            "all zero" => (RootKeyError::Zero, ShareError::ValueZero),
            _ => (RootKeyError::NotBelowOrder, ShareError::ValueNotBelowOrder),
        };
        let bytes = bytes(&refused.root_key);
        assert_eq!(RootKey::from_bytes(&bytes).unwrap_err(), as_key, "{}", refused.why);
        assert_eq!(ShareValue::from_bytes(&bytes).unwrap_err(), as_share, "{}", refused.why);
    }
}

#[test]
fn the_largest_value_below_the_group_order_is_a_key() {
    let mut largest = bytes(&load().group_order);
    largest[31] -= 1;
    assert!(RootKey::from_bytes(&largest).is_ok());
}
