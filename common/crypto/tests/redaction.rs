//! Every type that holds a secret is redacted: what `Debug` shows does not depend on the secret.
#![cfg(test)] // for clippy: helpers are test code too

use std::fmt::Debug;

use spike_crypto::{
    DataKey, Derivation, KeyringKey, Quorum, Reconstruction, RootCipher, RootKey, Share,
    ShareIndex, ShareValue, split,
};

fn root_key(byte: u8) -> RootKey {
    RootKey::from_bytes(&[byte; 32]).unwrap()
}

fn share(byte: u8) -> Share {
    let value = ShareValue::from_bytes(&[byte; 32]).unwrap();
    Share { index: ShareIndex::new(3).unwrap(), value }
}

#[track_caller]
fn assert_redacted<T: Debug>(make: impl Fn(u8) -> T) {
    let [one, other] = [0xa7, 0x5c].map(|byte| format!("{0:?} {0:#?}", make(byte)));
    assert_eq!(one, other);
    assert!(one.contains("REDACTED"), "{one}");
}

#[test]
fn a_root_key_is_redacted() {
    assert_redacted(root_key);
}

#[test]
fn a_share_value_is_redacted() {
    assert_redacted(|byte| share(byte).value);
}

#[test]
fn a_share_shows_its_index_only() {
    assert_redacted(share);
    assert!(format!("{:?}", share(1)).contains("ShareIndex(3)"));
}

#[test]
fn all_shares_of_a_split_are_redacted() {
    let quorum = Quorum::new(3, 2).unwrap();
    assert_redacted(|byte| split(&root_key(byte), quorum, Derivation::Reject));
}

#[test]
fn a_reconstruction_is_redacted() {
    assert_redacted(|byte| Reconstruction {
        key: root_key(byte),
        derivation: Derivation::Reject,
        mismatched: vec![],
    });
}

#[test]
fn a_data_key_is_redacted() {
    assert_redacted(|_| DataKey::generate().unwrap());
}

#[test]
fn an_expanded_key_is_redacted() {
    assert_redacted(|byte| KeyringKey::derive(&root_key(byte)));
    assert_redacted(|byte| RootCipher::new(&root_key(byte)));
}
