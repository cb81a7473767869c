//! The vectors of internal values: stream, coefficients, refused blocks. `tests/vectors.rs` checks shares and keys
//! with the public functions.

use p256::elliptic_curve::ff::PrimeField;
use serde::Deserialize;

use super::polynomial::{BlockStream, Polynomial};
use super::{Derivation, MAX_SUBSETS, combine, reconstruct};
use crate::{CombineError, ReconstructError, RootKey, Share, ShareIndex, ShareValue, hex};

const VECTORS: &str = include_str!("../../tests/vectors/shamir_vectors.json");

#[derive(Deserialize)]
struct Vectors {
    #[serde(rename = "vectors")]
    current: Vec<Vector>,
    #[serde(rename = "older_release_vectors")]
    older: Vec<Vector>,
    reader: Reader,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    derivation: String,
    root_key: String,
    threshold: u16,
    coefficients: Vec<String>,
    refused_blocks: Vec<String>,
}

#[derive(Deserialize)]
struct Reader {
    streams: Vec<Stream>,
    lengths_of_successive_20_byte_reads: Vec<usize>,
}

#[derive(Deserialize)]
struct Stream {
    seed: String,
    first_96_bytes: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).unwrap()
}

fn bytes(digits: &str) -> Vec<u8> {
    let mut bytes = vec![0; digits.len() / 2];
    hex::decode(digits, &mut bytes).unwrap();
    bytes
}

fn key(digits: &str) -> RootKey {
    RootKey::from_bytes(&bytes(digits).try_into().unwrap()).unwrap()
}

#[test]
fn the_stream_is_a_chain_of_hashes_of_the_seed() {
    for stream in vectors().reader.streams {
        let mut blocks = BlockStream::new(&bytes(&stream.seed));
        let read: Vec<u8> = (0..3).flat_map(|_| *blocks.next_block()).collect();
        assert_eq!(read, bytes(&stream.first_96_bytes), "seed {}", stream.seed);
    }
}

#[test]
fn a_short_read_upstream_never_crosses_the_end_of_a_block() {
    let mut blocks = BlockStream::new(&bytes(&vectors().reader.streams[2].seed));
    let lengths: Vec<usize> = (0..2)
        .flat_map(|_| blocks.next_block().chunks(20).map(<[u8]>::len).collect::<Vec<_>>())
        .collect();
    assert_eq!(lengths, vectors().reader.lengths_of_successive_20_byte_reads);
}

#[test]
fn coefficients_are_those_of_upstream_by_either_derivation() {
    let Vectors { current, older, .. } = vectors();
    assert_eq!((current.len(), older.len()), (10, 4));
    for vector in current.iter().chain(&older) {
        let derivation = match vector.derivation.as_str() {
            "reject" => Derivation::Reject,
            "xmd" => Derivation::Xmd,
            other => panic!("unknown derivation {other}"),
        };
        let polynomial = Polynomial::of(&key(&vector.root_key), vector.threshold, derivation);
        let drawn: Vec<Vec<u8>> =
            polynomial.coefficients().iter().map(|scalar| scalar.to_repr().to_vec()).collect();
        let expected: Vec<Vec<u8>> = vector.coefficients.iter().map(|c| bytes(c)).collect();
        assert_eq!(drawn, expected, "{}", vector.name);
    }
}

#[test]
fn a_block_at_or_above_the_group_order_is_skipped_by_reject_only() {
    let Vectors { current, .. } = vectors();
    let vector = current.iter().find(|vector| !vector.refused_blocks.is_empty()).unwrap();
    let mut blocks = BlockStream::new(&bytes(&vector.root_key));
    assert_eq!(blocks.next_block().to_vec(), bytes(&vector.refused_blocks[0]));
    assert_eq!(blocks.next_block().to_vec(), bytes(&vector.coefficients[1]));
}

/// Shares of the polynomial given by small coefficients, which no root key has.
fn shares_of(coefficients: [u64; 2], indexes: impl IntoIterator<Item = u16>) -> Vec<Share> {
    let at = |x: u64| p256::Scalar::from(coefficients[0]) + p256::Scalar::from(coefficients[1] * x);
    indexes
        .into_iter()
        .map(|index| Share {
            index: ShareIndex::new(index).unwrap(),
            value: ShareValue::from_scalar(&at(index.into())).unwrap(),
        })
        .collect()
}

#[test]
fn shares_that_combine_to_zero_give_no_key() {
    let shares = shares_of([0, 5], [1, 2]);
    let all: Vec<&Share> = shares.iter().collect();
    assert_eq!(combine(&all, 2).unwrap_err(), CombineError::ResultZero);
    assert_eq!(
        reconstruct(&shares, 2).unwrap_err(),
        ReconstructError::NoneBelongTogether { tried: 1, exhaustive: true }
    );
}

#[test]
fn a_threshold_of_zero_gives_no_key() {
    let shares = shares_of([7, 5], [1, 2]);
    let all: Vec<&Share> = shares.iter().collect();
    assert_eq!(combine(&all, 0).unwrap_err(), CombineError::ResultZero);
    assert!(reconstruct(&shares, 0).is_err());
    let key = RootKey::from_bytes(&[7; 32]).unwrap();
    assert_eq!(super::derivation_of(&key, 0, &shares[0]), None);
}

#[test]
fn reconstruct_gives_up_after_a_bounded_number_of_subsets() {
    // All shares are on one line, but no root key has that line.
    let shares = shares_of([7, 5], 1..=70);
    let error = reconstruct(&shares, 2).unwrap_err();
    assert_eq!(
        error,
        ReconstructError::NoneBelongTogether { tried: MAX_SUBSETS, exhaustive: false }
    );
    assert_eq!(error.to_string(), "none of 2000 sets of shares matches; gave up");
}
