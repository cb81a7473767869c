//! The frame of a raw ciphertext: version byte, nonce, ciphertext and tag (wire-api N12).

use std::sync::LazyLock;

use spike_crypto::{AssociatedData, RootCipher, RootKey};
use spike_wire::{
    ErrorCode, STREAM_HEADER_LEN, StreamCiphertext, WRITTEN_VERSION, is_readable_version,
};

/// A key that never encrypted an input.
static CIPHER: LazyLock<RootCipher> =
    LazyLock::new(|| RootCipher::new(&RootKey::from_bytes(&[7; 32]).expect("a scalar")));

/// See the module.
pub fn check(body: &[u8]) -> bool {
    let framed = match StreamCiphertext::parse(body) {
        Ok(framed) => framed,
        Err(refusal) => {
            let expected = match body.first() {
                None => ErrorCode::CryptoFailedToReadVersion,
                Some(&version) if !is_readable_version(version) => {
                    ErrorCode::CryptoUnsupportedVersion
                }
                Some(_) => ErrorCode::CryptoFailedToReadNonce,
            };
            assert_eq!(refusal, expected);
            assert!(
                body.len() < STREAM_HEADER_LEN || refusal == ErrorCode::CryptoUnsupportedVersion
            );
            return false;
        }
    };
    assert!(is_readable_version(body[0]));

    let sent = framed.encode();
    assert_eq!(sent[0], WRITTEN_VERSION);
    assert_eq!(sent[1..], body[1..], "nothing is lost and nothing moves");
    assert_eq!(StreamCiphertext::parse(&sent), Ok(framed));

    let opened = CIPHER.aead().decrypt(framed.nonce, framed.ciphertext, &AssociatedData::none());
    assert!(opened.is_err(), "opened what was never encrypted");
    true
}
