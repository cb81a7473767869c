//! The answer of a Keeper to a request for its share, and how Nexus uses it beside the shares of honest Keepers.

use std::sync::LazyLock;

use spike_crypto::{Derivation, Quorum, RootKey, Share, ShareValue, split};
use spike_nexus::keys::quorum::Candidates;
use spike_wire::{EmptyResponse, ErrorReply, ShardResponse};

/// Three of five shares make the key.
const SHARES: (u16, u16) = (5, 3);

/// The key of all honest shares.
static KEY: LazyLock<RootKey> = LazyLock::new(|| RootKey::from_bytes(&[7; 32]).expect("a scalar"));

fn quorum() -> Quorum {
    Quorum::new(SHARES.0, SHARES.1).expect("three of five")
}

/// See the module. Accepts an answer with a share.
pub fn check(body: &[u8]) -> bool {
    // The answer to a contribution, and that of a Keeper that refuses.
    drop(EmptyResponse::decode(body));
    drop(ErrorReply::decode(body));
    let Ok(answer) = ShardResponse::decode(body) else { return false };
    if !answer.shard.is_whole() {
        assert_ne!(answer.shard.elements(), 32);
        return false;
    }
    let Ok(value) = ShareValue::from_bytes(answer.shard.expose_secret()) else { return false };

    // It is the second of five Keepers; the first three others are honest.
    let mut shares = split(&KEY, quorum(), Derivation::Reject);
    shares.truncate(4);
    let index = shares[1].index;
    let honest = shares[1].value.ct_eq(&value);
    shares[1] = Share { index, value };
    let found = Candidates::find(&shares, quorum()).expect("three honest shares");
    assert_eq!(
        found.mismatched().contains(&index),
        !honest,
        "the mismatched one is named, and no other"
    );
    assert!(!found.ambiguous());
    let key = found.into_keys().next().expect("a key");
    assert!(key.ct_eq(&KEY), "one Keeper changes the key");

    // With too few honest shares, a forged one makes no key that passes the check.
    shares.truncate(3);
    let alone = Candidates::find(&shares, quorum()).map(Candidates::into_keys);
    let right = alone.is_ok_and(|mut keys| keys.any(|key| key.ct_eq(&KEY)));
    assert_eq!(right, honest);
    true
}
