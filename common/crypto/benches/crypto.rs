//! Encryption, secret sharing, and the search for a mismatched share.
#![expect(clippy::unwrap_used, reason = "a benchmark of something that fails must stop")]

use divan::{Bencher, black_box, counter::BytesCount};
use spike_crypto::{
    AssociatedData, DataKey, Derivation, Quorum, RootKey, Share, ShareValue, combine, reconstruct,
    split,
};

const SIZES: [usize; 2] = [1024, 65536];

fn main() {
    divan::main();
}

fn aad() -> AssociatedData {
    AssociatedData::new("bench").bytes(b"app/db").number(1).optional_number(None)
}

#[divan::bench(args = SIZES)]
fn encrypt(bencher: Bencher<'_, '_>, size: usize) {
    let (key, aad, plaintext) = (DataKey::generate().unwrap(), aad(), vec![7; size]);
    bencher
        .counter(BytesCount::new(size))
        .bench(|| key.aead().encrypt(black_box(&plaintext), &aad).unwrap());
}

#[divan::bench(args = SIZES)]
fn decrypt(bencher: Bencher<'_, '_>, size: usize) {
    let (key, aad) = (DataKey::generate().unwrap(), aad());
    let encrypted = key.aead().encrypt(&vec![7; size], &aad).unwrap();
    bencher.counter(BytesCount::new(size)).bench(|| {
        key.aead().decrypt(&encrypted.nonce, black_box(&encrypted.ciphertext), &aad).unwrap()
    });
}

fn three_of_five(key: &RootKey) -> Vec<Share> {
    split(key, Quorum::new(5, 3).unwrap(), Derivation::Reject)
}

#[divan::bench]
fn split_3_of_5(bencher: Bencher<'_, '_>) {
    let key = RootKey::generate().unwrap();
    bencher.bench(|| three_of_five(black_box(&key)));
}

#[divan::bench]
fn combine_3_of_5(bencher: Bencher<'_, '_>) {
    let shares = three_of_five(&RootKey::generate().unwrap());
    let all: Vec<&Share> = shares.iter().collect();
    bencher.bench(|| combine(black_box(&all), 3).unwrap());
}

#[divan::bench]
fn reconstruct_3_of_5(bencher: Bencher<'_, '_>) {
    let shares = three_of_five(&RootKey::generate().unwrap());
    bencher.bench(|| reconstruct(black_box(&shares), 3).unwrap());
}

/// The worst case for five Keepers: every subset is tried without success.
#[divan::bench]
fn reconstruct_3_of_5_without_success(bencher: Bencher<'_, '_>) {
    let mut shares = three_of_five(&RootKey::generate().unwrap());
    for share in shares.iter_mut().take(3) {
        share.value = ShareValue::from_bytes(&[7; 32]).unwrap();
    }
    bencher.bench(|| reconstruct(black_box(&shares), 3).unwrap_err());
}
