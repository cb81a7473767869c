//! One share of the root key: its index, its value, and its recovery text. [`Quorum`] holds valid pairs of shares and
//! threshold.
//!
//! `shamir.rs` makes shares and rebuilds the key. The command line handles recovery files.

use std::fmt;
use std::num::NonZeroU16;

use p256::Scalar;
use zeroize::Zeroizing;

use crate::hex;
use crate::scalar::{OutOfRange, SecretScalar};

/// How many shares exist and how many rebuild the key: 1 ≤ threshold ≤ shares ≤ 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    shares: u16,
    threshold: u16,
}

/// The broken bound of [`Quorum`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// No share would be needed.
    #[error("a threshold of 0 shares: expected at least 1")]
    ThresholdZero,
    /// More shares needed than made.
    #[error("a threshold of {threshold} with {shares} shares: expected at most {shares}")]
    ThresholdAboveShares {
        /// Shares made.
        shares: u16,
        /// Shares needed.
        threshold: u16,
    },
    /// More shares than supported.
    #[error("{shares} shares: expected at most {max}", max = Quorum::MAX_SHARES)]
    TooManyShares {
        /// Shares made.
        shares: u16,
    },
}

impl Quorum {
    /// The most shares a key is split into.
    pub const MAX_SHARES: u16 = 1000;

    /// A threshold of 1 is legal, as it is upstream: every share then equals the root key.
    ///
    /// # Errors
    /// [`QuorumError`] names the bound that was broken.
    pub const fn new(shares: u16, threshold: u16) -> Result<Self, QuorumError> {
        match threshold {
            0 => Err(QuorumError::ThresholdZero),
            _ if threshold > shares => Err(QuorumError::ThresholdAboveShares { shares, threshold }),
            _ if shares > Self::MAX_SHARES => Err(QuorumError::TooManyShares { shares }),
            _ => Ok(Self { shares, threshold }),
        }
    }

    /// How many shares are made, numbered from 1.
    pub const fn shares(self) -> u16 {
        self.shares
    }

    /// How many of them rebuild the key.
    pub const fn threshold(self) -> u16 {
        self.threshold
    }
}

/// Why something is not a share. Never quotes the input, which may be another secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// An index outside 1..=65535. Index 0 would be the root key itself.
    #[error("a share index of {index}: expected 1 to 65535")]
    IndexOutOfRange {
        /// The index given.
        index: i64,
    },
    /// The value is zero, which upstream reads as "no share".
    #[error("the share value is zero")]
    ValueZero,
    /// The value is at or above the order of the P-256 group: damaged, or not a share of SPIKE.
    #[error("the share value is not below the order of the P-256 group")]
    ValueNotBelowOrder,
    /// The bytes are no text.
    #[error(
        "a recovery share is UTF-8 text, and this is not: is it encrypted, or was it saved as UTF-16?"
    )]
    NotText,
    /// The recovery text does not have three parts.
    #[error("a recovery share has the form spike:<index>:<64 hex digits>")]
    NotThreeParts,
    /// The recovery text does not begin with `spike`.
    #[error("a recovery share begins with \"spike:\"")]
    WrongPrefix,
    /// The value of the recovery text is too short or too long.
    #[error("the share value has {length} characters: expected 64 hex digits")]
    WrongLength {
        /// The length of the text in place of 64 digits, in bytes.
        length: usize,
    },
    /// The value of the recovery text is not hexadecimal.
    #[error("the share value has characters that are not hex digits")]
    NotHex,
    /// The index of the recovery text is not a decimal number.
    #[error("the share index is not a decimal number")]
    IndexNotANumber,
}

/// The number of a share, from 1: the x-coordinate at which the polynomial was evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareIndex(NonZeroU16);

impl ShareIndex {
    /// Accepts 1..=65535.
    ///
    /// # Errors
    /// [`ShareError::IndexOutOfRange`] for 0.
    pub fn new(index: u16) -> Result<Self, ShareError> {
        let out_of_range = ShareError::IndexOutOfRange { index: i64::from(index) };
        NonZeroU16::new(index).map(Self).ok_or(out_of_range)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<i64> for ShareIndex {
    type Error = ShareError;

    fn try_from(index: i64) -> Result<Self, ShareError> {
        let out_of_range = ShareError::IndexOutOfRange { index };
        Self::new(u16::try_from(index).map_err(|_overflow| out_of_range)?)
    }
}

impl fmt::Display for ShareIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The secret part of a share: a P-256 scalar in 1..N-1 as 32 big-endian bytes.
#[derive(Debug)]
pub struct ShareValue(SecretScalar);

impl ShareValue {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// A received or stored value. The caller must wipe its own copy.
    ///
    /// # Errors
    /// [`ShareError::ValueZero`], [`ShareError::ValueNotBelowOrder`].
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, ShareError> {
        SecretScalar::from_bytes(bytes).map(Self).map_err(|refusal| match refusal {
            OutOfRange::Zero => ShareError::ValueZero,
            OutOfRange::NotBelowOrder => ShareError::ValueNotBelowOrder,
        })
    }

    /// Lends the bytes. Only this method exposes them.
    pub fn expose_bytes(&self) -> &[u8; Self::LEN] {
        self.0.expose_bytes()
    }

    /// Compares in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0)
    }

    /// A second copy, also wiped when dropped. Not `Clone`, so that copies are explicit.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// `None` for zero.
    pub(crate) fn from_scalar(scalar: &Scalar) -> Option<Self> {
        SecretScalar::from_scalar(scalar).map(Self)
    }

    pub(crate) fn scalar(&self) -> Zeroizing<Scalar> {
        self.0.scalar()
    }
}

/// One part of a split root key.
#[derive(Debug)]
pub struct Share {
    /// Its number.
    pub index: ShareIndex,
    /// The secret.
    pub value: ShareValue,
}

impl Share {
    /// A second copy, also wiped when dropped, as [`ShareValue::duplicate`].
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { index: self.index, value: self.value.duplicate() }
    }

    /// `spike:<index>:<64 lower-case hex digits>`, without a newline: the whole content of a
    /// recovery file (crypto-and-storage 3.2).
    pub fn to_recovery_text(&self) -> Zeroizing<String> {
        // "spike:65535:" and the digits. Never grown, because growing leaves old bytes behind.
        let mut text = Zeroizing::new(String::with_capacity(12 + 2 * ShareValue::LEN));
        for part in ["spike:", &self.index.to_string(), ":"] {
            text.push_str(part);
        }
        hex::push(&mut text, self.value.expose_bytes());
        text
    }

    /// Reads the content of a recovery file, which is recovery text.
    ///
    /// # Errors
    /// [`ShareError::NotText`], and those of [`Self::from_recovery_text`].
    pub fn from_recovery_bytes(bytes: &[u8]) -> Result<Self, ShareError> {
        let text = str::from_utf8(bytes).map_err(|_cause| ShareError::NotText)?;
        Self::from_recovery_text(text)
    }

    /// Reads recovery text. As upstream, accepts hex digits of both cases, and an index with a sign or leading zeros.
    /// Unlike upstream, requires `spike`, and trims blanks and the byte order mark that editors put in front
    /// (crypto-and-storage 3.3).
    ///
    /// # Errors
    /// One variant of [`ShareError`] for each failure, in the order of upstream's checks.
    pub fn from_recovery_text(text: &str) -> Result<Self, ShareError> {
        let mut parts = text.trim_matches(Self::is_blank).splitn(3, ':');
        let (Some(prefix), Some(index), Some(digits)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(ShareError::NotThreeParts);
        };
        if prefix != "spike" {
            return Err(ShareError::WrongPrefix);
        }
        if digits.len() != 2 * ShareValue::LEN {
            return Err(ShareError::WrongLength { length: digits.len() });
        }
        let mut bytes = Zeroizing::new([0; ShareValue::LEN]);
        hex::decode(digits, bytes.as_mut_slice()).ok_or(ShareError::NotHex)?;
        let index: i64 = index.parse().map_err(|_cause| ShareError::IndexNotANumber)?;
        Ok(Self { index: ShareIndex::try_from(index)?, value: ShareValue::from_bytes(&bytes)? })
    }

    /// Whether a character says nothing before and after recovery text: white space, or a byte order mark.
    pub const fn is_blank(c: char) -> bool {
        c.is_whitespace() || c == '\u{feff}'
    }
}
