//! The polynomial of a root key, derived from the key alone (crypto-and-storage 2.2 to 2.5).

use p256::Scalar;
use p256::elliptic_curve::ff::FromUniformBytes;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Derivation;
use crate::root_key::RootKey;
use crate::scalar;
use crate::share::{Share, ShareIndex, ShareValue};

/// Coefficients, the secret first; wiped when dropped.
pub(super) struct Polynomial(Zeroizing<Vec<Scalar>>);

impl Polynomial {
    /// Of degree `threshold` - 1.
    pub(super) fn of(key: &RootKey, threshold: u16, derivation: Derivation) -> Self {
        // Sized first: growing would leave old coefficients behind.
        let mut coefficients = Zeroizing::new(Vec::with_capacity(threshold.into()));
        coefficients.push(*key.scalar());
        let mut stream = BlockStream::new(key.expose_bytes());
        for _ in 1..threshold {
            coefficients.push(match derivation {
                Derivation::Reject => *draw_reject(&mut stream),
                Derivation::Xmd => *draw_xmd(&mut stream),
            });
        }
        Self(coefficients)
    }

    /// The value at `index`, by Horner's rule.
    pub(super) fn at(&self, index: ShareIndex) -> Zeroizing<Scalar> {
        let x = Scalar::from(u64::from(index.get()));
        let mut value = Zeroizing::new(Scalar::ZERO);
        for coefficient in self.0.iter().rev() {
            *value = *value * x + coefficient;
        }
        value
    }

    /// Whether `share` is on this polynomial; compares in constant time.
    pub(super) fn makes(&self, share: &Share) -> bool {
        self.at(share.index).ct_eq(&share.value.scalar()).into()
    }

    /// Whether `value` is at `index` on this polynomial, or on one with fewer of its coefficients. A lower threshold of the
    /// same key takes the same coefficients, and fewer of them.
    pub(super) fn begins_with(&self, index: ShareIndex, value: &ShareValue) -> bool {
        let (x, value) = (Scalar::from(u64::from(index.get())), value.scalar());
        let (mut sum, mut power) = (Zeroizing::new(Scalar::ZERO), Scalar::ONE);
        let mut found = false;
        for coefficient in self.0.iter() {
            *sum += *coefficient * power;
            power *= x;
            found |= bool::from(sum.ct_eq(&value));
        }
        found
    }

    #[cfg(test)]
    pub(super) fn coefficients(&self) -> &[Scalar] {
        &self.0
    }
}

/// "reject": the next block that is below N (crypto-and-storage 2.4).
fn draw_reject(stream: &mut BlockStream) -> Zeroizing<Scalar> {
    loop {
        if let Some(coefficient) = scalar::below_order(&stream.next_block()) {
            return coefficient;
        }
    }
}

/// "xmd": `expand_message_xmd(SHA-256, block, empty tag, 48 bytes)` mod N (crypto-and-storage 2.4).
///
/// Written from RFC 9380, section 5.3.1, because libraries enforce its rule that the tag is not empty.
fn draw_xmd(stream: &mut BlockStream) -> Zeroizing<Scalar> {
    /// The empty tag followed by its length.
    const TAG: &[u8] = &[0];
    let b0 = sha256(&[&[0; 64], stream.next_block().as_slice(), &48_u16.to_be_bytes(), &[0], TAG]);
    let b1 = sha256(&[b0.as_slice(), &[1], TAG]);
    let mut chained = Zeroizing::new([0; 32]);
    for (out, (left, right)) in chained.iter_mut().zip(b0.iter().zip(b1.iter())) {
        *out = left ^ right;
    }
    let b2 = sha256(&[chained.as_slice(), &[2], TAG]);

    // Big-endian: the 48 bytes end the 64 that are reduced mod N.
    let mut wide = Zeroizing::new([0; 64]);
    for (out, byte) in wide.iter_mut().skip(16).zip(b1.iter().chain(b2.iter())) {
        *out = *byte;
    }
    Zeroizing::new(Scalar::from_uniform_bytes(&wide))
}

/// Upstream's deterministic stream: block 1 is SHA-256 of the seed, each further block SHA-256 of
/// the one before (crypto-and-storage 2.3). Only whole blocks are ever read.
pub(super) struct BlockStream {
    next: Zeroizing<[u8; 32]>,
}

impl BlockStream {
    pub(super) fn new(seed: &[u8]) -> Self {
        Self { next: sha256(&[seed]) }
    }

    pub(super) fn next_block(&mut self) -> Zeroizing<[u8; 32]> {
        let following = sha256(&[self.next.as_slice()]);
        std::mem::replace(&mut self.next, following)
    }
}

fn sha256(parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut digest = Zeroizing::new([0; 32]);
    hash.finalize_into((&mut *digest).into());
    digest
}
