//! Secret sharing of the root key over the P-256 scalar field, compatible with upstream: split, combine, and a check
//! that upstream lacks.
//!
//! The coefficients are derived from the key (see `polynomial.rs`). So a combined key can be checked: it must reproduce
//! the shares. The caller collects shares and handles mismatched ones.

use std::collections::BTreeSet;

use p256::Scalar;
use zeroize::Zeroizing;

use crate::random;
use crate::root_key::RootKey;
use crate::share::{Quorum, Share, ShareIndex, ShareValue};
use polynomial::Polynomial;

mod polynomial;
mod subsets;
#[cfg(test)]
mod tests;

/// The most subsets of the shares that [`reconstruct`] tries: enough for every subset of 13 shares, with any threshold. Of more
/// shares it tries random ones.
pub const MAX_SUBSETS: usize = 2000;

/// How the coefficients of the polynomial are derived from the key (crypto-and-storage 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivation {
    /// Upstream since 2026-01 (circl 1.6.2 and later): hash blocks at or above N are skipped. New shares are made like
    /// this.
    Reject,
    /// Upstream up to v0.8.0: hash blocks are expanded and reduced mod N. Only for reading.
    Xmd,
}

/// Why shares could not be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CombineError {
    /// Fewer shares than the threshold.
    #[error("{given} shares given: {needed} needed")]
    TooFew {
        /// Shares given.
        given: usize,
        /// The threshold.
        needed: u16,
    },
    /// Two of the shares that count have the same index.
    #[error("share {index} was given twice")]
    DuplicateIndex {
        /// The index given twice.
        index: ShareIndex,
    },
    /// The shares combine to zero, which is not a key. So does a threshold of 0.
    #[error("the shares combine to zero, which is no root key")]
    ResultZero,
}

/// Why no key could be reconstructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReconstructError {
    /// Fewer shares than the threshold.
    #[error("{given} shares given: {needed} needed")]
    TooFew {
        /// Shares given.
        given: usize,
        /// The threshold.
        needed: u16,
    },
    /// Two shares have the same index.
    #[error("share {index} was given twice")]
    DuplicateIndex {
        /// The index given twice.
        index: ShareIndex,
    },
    /// No subset that was tried matches: too many mismatched shares, or another threshold.
    #[error("none of {tried} sets of shares matches{end}",
        end = if *.exhaustive { "" } else { "; gave up" })]
    NoneBelongTogether {
        /// How many sets of `threshold` shares were tried.
        tried: usize,
        /// Whether all sets were tried. If not, there are more than [`MAX_SUBSETS`], and another call tries others.
        exhaustive: bool,
    },
}

/// A key that was checked against its shares.
#[derive(Debug)]
pub struct Reconstruction {
    /// The root key.
    pub key: RootKey,
    /// The derivation of the shares that rebuilt the key.
    pub derivation: Derivation,
    /// Shares that do not belong to the key, by neither derivation, in the order given.
    ///
    /// If there are at least `threshold` of them, they may belong to a second key: call [`reconstruct`] again with
    /// these. With a threshold of 1 every share is a key of its own, and the check proves nothing; shares of other keys
    /// are listed here.
    pub mismatched: Vec<ShareIndex>,
}

/// Splits `key` into shares 1..=n. Any `threshold` of them combine to the key.
///
/// The same key, threshold and derivation always give the same shares. A share does not depend on the number of shares.
///
/// # Panics
/// If the shares do not combine to `key` again, which means broken hardware: such shares must not be used.
#[expect(clippy::expect_used, reason = "indexes start at 1, and a zero share takes 2^256 keys")]
pub fn split(key: &RootKey, quorum: Quorum, derivation: Derivation) -> Vec<Share> {
    let polynomial = Polynomial::of(key, quorum.threshold(), derivation);
    let shares: Vec<Share> = (1..=quorum.shares())
        .map(|number| {
            let index = ShareIndex::new(number).expect("shares are numbered from 1");
            let value = ShareValue::from_scalar(&polynomial.at(index));
            Share { index, value: value.expect("no key is known that has a share of zero") }
        })
        .collect();

    let check = combine(&shares.iter().collect::<Vec<_>>(), quorum.threshold());
    assert!(check.is_ok_and(|combined| combined.ct_eq(key)), "shares of a key combine to the key");
    shares
}

/// Combines the first `threshold` of `shares` and ignores the rest, as upstream does.
///
/// The result is **unchecked**: shares of different keys give a wrong key, not an error. Call [`derivation_of`] for
/// each share before you use the key, or call [`reconstruct`].
///
/// # Errors
/// [`CombineError`]; duplicates are detected among the first `threshold` only.
pub fn combine(shares: &[&Share], threshold: u16) -> Result<RootKey, CombineError> {
    let too_few = CombineError::TooFew { given: shares.len(), needed: threshold };
    let chosen = shares.get(..threshold.into()).ok_or(too_few)?;
    if let Some(index) = first_duplicate(chosen.iter().copied()) {
        return Err(CombineError::DuplicateIndex { index });
    }
    // Lagrange interpolation at 0. Indexes are public, values are not.
    let mut secret = Zeroizing::new(Scalar::ZERO);
    for share in chosen {
        *secret += weight(share.index, chosen) * *share.value.scalar();
    }
    RootKey::from_scalar(&secret).ok_or(CombineError::ResultZero)
}

/// The derivation of `key` that reproduces `share`, if any: the check of a combined key (crypto-and-storage 2.7).
///
/// With a threshold of 1 both derivations agree, and the result is [`Derivation::Reject`]. No share has a threshold of
/// 0.
pub fn derivation_of(key: &RootKey, threshold: u16, share: &Share) -> Option<Derivation> {
    polynomials(key, threshold)
        .find(|(_, polynomial)| polynomial.makes(share))
        .map(|(derivation, _)| derivation)
}

/// Whether `value` is any share of `key`: under any index and any threshold from 1 to `most`, by either derivation. A share
/// that is none of these is of another key.
pub fn is_of_key(key: &RootKey, most: u16, value: &ShareValue) -> bool {
    let indexes = || (1..=most).filter_map(|index| ShareIndex::new(index).ok());
    polynomials(key, most)
        .any(|(_, polynomial)| indexes().any(|index| polynomial.begins_with(index, value)))
}

/// Finds `threshold` matching shares: the key they combine to reproduces each of them by one derivation. Lists the
/// other shares that do not match the key.
///
/// It tries runs of neighbours first, with the end joined to the start, so that a single mismatched share is found
/// among any number of shares. Then it tries every subset, or, if these are more than [`MAX_SUBSETS`], as many that are
/// drawn at random: whoever chooses wrong shares cannot know which, and each call tries others. The work grows with the
/// square of the threshold: do not call this on an async thread.
///
/// # Errors
/// [`ReconstructError`]. A key that failed the check is never returned.
pub fn reconstruct(shares: &[Share], threshold: u16) -> Result<Reconstruction, ReconstructError> {
    search(shares, threshold, MAX_SUBSETS)
}

/// As [`reconstruct`], but where that would try random subsets, it tries only the runs of neighbours: for a question that must
/// not cost as much.
///
/// # Errors
/// As [`reconstruct`].
pub fn reconstruct_from_neighbours(
    shares: &[Share],
    threshold: u16,
) -> Result<Reconstruction, ReconstructError> {
    search(shares, threshold, shares.len())
}

/// Tries every subset if these are few, otherwise `most` of them.
fn search(
    shares: &[Share],
    threshold: u16,
    most: usize,
) -> Result<Reconstruction, ReconstructError> {
    let size = usize::from(threshold);
    if shares.len() < size {
        return Err(ReconstructError::TooFew { given: shares.len(), needed: threshold });
    }
    if let Some(index) = first_duplicate(shares) {
        return Err(ReconstructError::DuplicateIndex { index });
    }
    let exhaustive = subsets::are_at_most(MAX_SUBSETS, shares.len(), size);
    let subsets: Box<dyn Iterator<Item = Vec<&Share>>> = if exhaustive {
        Box::new(subsets::every(shares, size))
    } else {
        Box::new(subsets::some(shares, size, random::below).take(most))
    };
    let mut tried = 0;
    for subset in subsets {
        tried += 1;
        // Shares that combine to zero do not match either.
        let Ok(key) = combine(&subset, threshold) else { continue };
        let fits = |polynomial: &Polynomial| subset.iter().all(|share| polynomial.makes(share));
        let found = polynomials(&key, threshold).find(|(_, polynomial)| fits(polynomial));
        if let Some((derivation, _)) = found {
            let mismatched = mismatched_shares(&key, threshold, shares);
            return Ok(Reconstruction { key, derivation, mismatched });
        }
    }
    Err(ReconstructError::NoneBelongTogether { tried, exhaustive })
}

/// Shares of the other derivation, as during an upgrade, match too, even if they are too few to rebuild the key.
fn mismatched_shares(key: &RootKey, threshold: u16, shares: &[Share]) -> Vec<ShareIndex> {
    let known: Vec<_> = polynomials(key, threshold).collect();
    let mismatched = |share: &&Share| !known.iter().any(|(_, polynomial)| polynomial.makes(share));
    shares.iter().filter(mismatched).map(|share| share.index).collect()
}

/// The polynomials of both derivations, computed when needed.
fn polynomials(
    key: &RootKey,
    threshold: u16,
) -> impl Iterator<Item = (Derivation, Polynomial)> + use<'_> {
    [Derivation::Reject, Derivation::Xmd]
        .into_iter()
        .filter(move |_| threshold > 0)
        .map(move |derivation| (derivation, Polynomial::of(key, threshold, derivation)))
}

fn first_duplicate<'a>(shares: impl IntoIterator<Item = &'a Share>) -> Option<ShareIndex> {
    let mut seen = BTreeSet::new();
    shares.into_iter().map(|share| share.index).find(|index| !seen.insert(*index))
}

/// The Lagrange factor of share `index` at 0 over `chosen`, whose indexes differ.
#[expect(clippy::expect_used, reason = "differences of different indexes have an inverse")]
fn weight(index: ShareIndex, chosen: &[&Share]) -> Scalar {
    let scalar = |index: ShareIndex| Scalar::from(u64::from(index.get()));
    let mut numerator = Scalar::ONE;
    let mut denominator = Scalar::ONE;
    for other in chosen.iter().map(|share| share.index).filter(|other| *other != index) {
        numerator *= scalar(other);
        denominator *= scalar(other) - scalar(index);
    }
    let inverse: Option<Scalar> = denominator.invert_vartime().into();
    numerator * inverse.expect("no factor is zero")
}
