//! 32 secret big-endian bytes that are a P-256 scalar in 1..N-1: the form of a root key and of a share value
//! (crypto-and-storage 2.2, 2.5). A value out of range is refused, never reduced.

use p256::elliptic_curve::ff::{Field, PrimeField};
use p256::{FieldBytes, Scalar};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random::{self, RandomError};

/// Bytes in range: boxed, wiped on drop, redacted in `Debug`.
#[derive(Debug)]
pub(crate) struct SecretScalar(SecretBox<[u8; 32]>);

/// Why 32 bytes are out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutOfRange {
    Zero,
    NotBelowOrder,
}

impl SecretScalar {
    /// Draws until the value is in range.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        let mut bytes = SecretBox::<[u8; 32]>::default();
        loop {
            random::fill(bytes.expose_secret_mut())?;
            if check(bytes.expose_secret()).is_ok() {
                return Ok(Self(bytes));
            }
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Result<Self, OutOfRange> {
        check(bytes)?;
        let mut secret = SecretBox::<[u8; 32]>::default();
        secret.expose_secret_mut().copy_from_slice(bytes);
        Ok(Self(secret))
    }

    /// `None` for zero. Leading zeros are kept.
    pub(crate) fn from_scalar(scalar: &Scalar) -> Option<Self> {
        let bytes = Zeroizing::new(scalar.to_repr());
        let mut secret = SecretBox::<[u8; 32]>::default();
        secret.expose_secret_mut().copy_from_slice(bytes.as_slice());
        if bool::from(scalar.is_zero()) { None } else { Some(Self(secret)) }
    }

    #[expect(clippy::expect_used, reason = "no value out of range can be made")]
    pub(crate) fn scalar(&self) -> Zeroizing<Scalar> {
        below_order(self.expose_bytes()).expect("checked when it was made")
    }

    pub(crate) fn duplicate(&self) -> Self {
        let mut copy = SecretBox::<[u8; 32]>::default();
        copy.expose_secret_mut().copy_from_slice(self.expose_bytes());
        Self(copy)
    }

    pub(crate) fn expose_bytes(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// In constant time.
    pub(crate) fn ct_eq(&self, other: &Self) -> bool {
        self.expose_bytes().ct_eq(other.expose_bytes()).into()
    }
}

/// Reads 0..N-1, the range of a coefficient.
pub(crate) fn below_order(bytes: &[u8; 32]) -> Option<Zeroizing<Scalar>> {
    let repr = Zeroizing::new(FieldBytes::from(*bytes));
    Option::from(Scalar::from_repr(*repr)).map(Zeroizing::new)
}

fn check(bytes: &[u8; 32]) -> Result<(), OutOfRange> {
    let scalar = below_order(bytes).ok_or(OutOfRange::NotBelowOrder)?;
    if bool::from(scalar.is_zero()) { Err(OutOfRange::Zero) } else { Ok(()) }
}
