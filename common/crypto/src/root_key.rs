//! The root key.
//!
//! [`split`](crate::split) and [`combine`](crate::combine) share it. [`KeyringKey`](crate::KeyringKey) and
//! [`RootCipher`](crate::RootCipher) use it.

use std::fmt;
use std::str::FromStr;

use hkdf::Hkdf;
use p256::Scalar;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::hex;
use crate::random::RandomError;
use crate::scalar::{OutOfRange, SecretScalar};

/// The 256-bit key above all others: a P-256 scalar in 1..N-1, big-endian (crypto-and-storage 1).
#[derive(Debug)]
pub struct RootKey(SecretScalar);

/// Why 32 bytes are not a root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootKeyError {
    /// All bytes are zero, which upstream reads as "no key".
    #[error("the root key is zero")]
    Zero,
    /// The value is at or above the order of the P-256 group, so it cannot be shared.
    #[error("the root key is not below the order of the P-256 group")]
    NotBelowOrder,
}

impl RootKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Draws a new key. Redraws until the value is in 1..N-1, about once in 2^32 keys.
    ///
    /// # Errors
    /// [`RandomError`] when the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        SecretScalar::generate().map(Self)
    }

    /// An existing key. The caller must wipe its own copy.
    ///
    /// # Errors
    /// [`RootKeyError`] if the value is not in 1..N-1; it is never reduced.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, RootKeyError> {
        SecretScalar::from_bytes(bytes).map(Self).map_err(|refusal| match refusal {
            OutOfRange::Zero => RootKeyError::Zero,
            OutOfRange::NotBelowOrder => RootKeyError::NotBelowOrder,
        })
    }

    /// Lends the key bytes. Only this method exposes them.
    pub fn expose_bytes(&self) -> &[u8; Self::LEN] {
        self.0.expose_bytes()
    }

    /// A name of this key that is safe to log and to store.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut bytes = [0; Fingerprint::LEN];
        self.derive("spike/v2/fingerprint", &mut bytes);
        Fingerprint(bytes)
    }

    /// Compares in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0)
    }

    /// `None` for zero.
    pub(crate) fn from_scalar(scalar: &Scalar) -> Option<Self> {
        SecretScalar::from_scalar(scalar).map(Self)
    }

    pub(crate) fn scalar(&self) -> Zeroizing<Scalar> {
        self.0.scalar()
    }

    /// HKDF-SHA-256 (RFC 5869) of the root key, without salt. Each purpose has its own `info`.
    #[expect(clippy::expect_used, reason = "the lengths are constants of this crate")]
    pub(crate) fn derive(&self, info: &str, output: &mut [u8]) {
        let (mut prk, hkdf) = Hkdf::<Sha256>::extract(None, self.expose_bytes());
        prk.zeroize();
        hkdf.expand(info.as_bytes(), output).expect("far below 255 hashes of output");
    }
}

/// 8 bytes of HKDF-SHA-256(root key, "spike/v2/fingerprint"), shown as 16 hex digits.
///
/// Distinguishes keys in logs and files. It reveals nothing useful about the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; Fingerprint::LEN]);

/// The text is not 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key fingerprint has 16 hex digits")]
pub struct FingerprintError;

impl Fingerprint {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// A stored fingerprint.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(2 * Self::LEN);
        hex::push(&mut text, &self.0);
        f.pad(&text)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let mut bytes = [0; Self::LEN];
        hex::decode(text, &mut bytes).ok_or(FingerprintError)?;
        Ok(Self(bytes))
    }
}
