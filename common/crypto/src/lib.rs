//! Keys, encryption and secret sharing of SPIKE.
//!
//! This crate owns the root key, its shares, the key that wraps data keys, and AES-256-GCM with its rules for nonces
//! and associated data. Others own the transport of keys, files, the wire and the database. No I/O, no async, no logs.
//!
//! ```text
//!
//! ```text
//! RootKey                  a P-256 scalar in 1..N-1; only ever in memory
//!  ├─ split / combine      Share 1..n, of which `threshold` rebuild the key
//!  ├─ KeyringKey           HKDF-SHA-256 of the root key; wraps data keys, nothing else
//!  │    └─ DataKey         random; encrypts rows
//!  └─ RootCipher           the root key itself as AES key: only where upstream's formats demand it
//! ```
//!
//! Each secret has its own type: boxed, wiped when dropped, redacted in `Debug`, without `Clone`, `Display` or
//! `PartialEq`. Only `expose_bytes` lends the bytes.

mod aead;
mod hex;
mod keyring;
mod random;
mod root_key;
mod scalar;
mod shamir;
mod share;

pub use aead::{AeadKey, AssociatedData, DecryptError, Encrypted, NONCE_LEN, Nonce, TAG_LEN};
pub use keyring::{DataKey, KeyringKey, RootCipher};
pub use random::RandomError;
pub use root_key::{Fingerprint, FingerprintError, RootKey, RootKeyError};
pub use shamir::{
    CombineError, Derivation, MAX_SUBSETS, ReconstructError, Reconstruction, combine,
    derivation_of, is_of_key, reconstruct, reconstruct_from_neighbours, split,
};
pub use share::{Quorum, QuorumError, Share, ShareError, ShareIndex, ShareValue};
