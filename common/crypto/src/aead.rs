//! AES-256-GCM (NIST SP 800-38D), with SPIKE's rules for nonces and associated data.
//!
//! Nonces are always random, never counted and never chosen by a caller: after a restore two processes may have one
//! key. `keyring.rs` says which key encrypts what. The store decides what each row is bound to, with
//! [`AssociatedData`].

use std::fmt;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Key};
use zeroize::Zeroizing;

use crate::random::{self, RandomError};

#[cfg(test)]
mod tests;

/// Length of a nonce in bytes.
pub const NONCE_LEN: usize = 12;
/// Length of the authentication tag in bytes, at the end of every ciphertext.
pub const TAG_LEN: usize = 16;

/// The nonce of one encryption. Not secret; never used twice under one key.
pub type Nonce = [u8; NONCE_LEN];

/// The result of an encryption. Decryption needs both parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// The random nonce.
    pub nonce: Nonce,
    /// As long as the plaintext, plus [`TAG_LEN`].
    pub ciphertext: Vec<u8>,
}

/// Decryption failed: another key, nonce or associated data, or changed bytes. AES-GCM cannot tell which. No plaintext
/// is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("decryption failed")]
pub struct DecryptError;

/// What an encryption is bound to: a label, followed by fields.
///
/// Every item is encoded as one type byte, its length as 8 big-endian bytes, and its content. So two different lists of
/// items never have the same encoding. The encoding is part of the stored format.
#[derive(Clone, PartialEq, Eq)]
pub struct AssociatedData(Vec<u8>);

impl AssociatedData {
    /// Starts with the label that names the format and the use, such as `spike/v2/keyring`.
    pub fn new(label: &str) -> Self {
        // Enough for the rows of the store, so that one allocation suffices.
        Self(Vec::with_capacity(192)).item(b'L', label.as_bytes())
    }

    /// No associated data: only for upstream's formats, which bind nothing.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds a text or another byte string.
    #[must_use]
    pub fn bytes(self, value: &[u8]) -> Self {
        self.item(b'B', value)
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, value: i64) -> Self {
        self.item(b'N', &value.to_be_bytes())
    }

    /// Adds a number that may be absent; absent differs from every number.
    #[must_use]
    pub fn optional_number(self, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.item(b'O', &value.to_be_bytes()),
            None => self.item(b'O', &[]),
        }
    }

    fn item(mut self, kind: u8, content: &[u8]) -> Self {
        self.0.push(kind);
        self.0.extend_from_slice(&(content.len() as u64).to_be_bytes());
        self.0.extend_from_slice(content);
        self
    }
}

impl fmt::Debug for AssociatedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssociatedData({})", self.0.escape_ascii())
    }
}

/// An AES-256-GCM key with its key schedule, wiped when dropped.
pub struct AeadKey(Box<Aes256Gcm>);

impl AeadKey {
    /// Encrypts with a random nonce, bound to `aad`.
    ///
    /// A key may encrypt at most 2^32 times (SP 800-38D, section 8.3); the owner of a long-lived key must count.
    ///
    /// # Errors
    /// [`RandomError`] if no nonce could be drawn.
    ///
    /// # Panics
    /// If `plaintext` is 64 GiB or more, the limit of AES-GCM.
    pub fn encrypt(
        &self,
        plaintext: &[u8],
        aad: &AssociatedData,
    ) -> Result<Encrypted, RandomError> {
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce)?;
        Ok(self.encrypt_under(nonce, plaintext, aad))
    }

    /// Decrypts and checks that nonce, ciphertext and `aad` are those of the encryption.
    ///
    /// # Errors
    /// [`DecryptError`], which does not say why.
    pub fn decrypt(
        &self,
        nonce: &Nonce,
        ciphertext: &[u8],
        aad: &AssociatedData,
    ) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let mut plaintext = Zeroizing::new(Vec::new());
        self.decrypt_into(nonce, ciphertext, aad, &mut plaintext)?;
        Ok(plaintext)
    }

    /// As [`decrypt`](Self::decrypt), appended to `out`, which does not change on failure. Reserves the memory before
    /// there is any plaintext, so that growing leaves none behind. The caller must wipe `out`.
    ///
    /// # Errors
    /// [`DecryptError`], which does not say why.
    pub fn decrypt_into(
        &self,
        nonce: &Nonce,
        ciphertext: &[u8],
        aad: &AssociatedData,
        out: &mut Vec<u8>,
    ) -> Result<(), DecryptError> {
        let (body, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(DecryptError)?;
        let start = out.len();
        out.reserve_exact(ciphertext.len());
        out.extend_from_slice(body);
        let place = out.get_mut(start..).unwrap_or_default();
        let decrypted = self.decrypt_in_place(nonce, tag, aad, place);
        if decrypted.is_err() {
            out.truncate(start);
        }
        decrypted
    }

    /// As [`decrypt`](Self::decrypt), into `out`, which must be as long as the plaintext: [`TAG_LEN`] shorter than the
    /// ciphertext. After a failure, `out` holds no plaintext. The caller must wipe `out`.
    ///
    /// # Errors
    /// [`DecryptError`], which does not say why; also if `out` has another length.
    pub fn decrypt_to(
        &self,
        nonce: &Nonce,
        ciphertext: &[u8],
        aad: &AssociatedData,
        out: &mut [u8],
    ) -> Result<(), DecryptError> {
        let (body, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(DecryptError)?;
        if body.len() != out.len() {
            return Err(DecryptError);
        }
        out.copy_from_slice(body);
        self.decrypt_in_place(nonce, tag, aad, out)
    }

    fn decrypt_in_place(
        &self,
        nonce: &Nonce,
        tag: &[u8; TAG_LEN],
        aad: &AssociatedData,
        place: &mut [u8],
    ) -> Result<(), DecryptError> {
        let decrypted =
            self.0.decrypt_inout_detached(nonce.into(), &aad.0, place.into(), tag.into());
        decrypted.map_err(|_opaque| DecryptError)
    }

    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Box::new(Aes256Gcm::new(<&Key<Aes256Gcm>>::from(key))))
    }

    /// Private: a caller that chooses the nonce could repeat it.
    #[expect(clippy::expect_used, reason = "no body in this system comes near 64 GiB")]
    fn encrypt_under(&self, nonce: Nonce, plaintext: &[u8], aad: &AssociatedData) -> Encrypted {
        // Sized for the tag as well: growing would leave a copy of the plaintext behind.
        let mut ciphertext = Vec::with_capacity(plaintext.len() + TAG_LEN);
        ciphertext.extend_from_slice(plaintext);
        let tag = self
            .0
            .encrypt_inout_detached((&nonce).into(), &aad.0, ciphertext.as_mut_slice().into())
            .expect("the plaintext is below 64 GiB");
        ciphertext.extend_from_slice(&tag);
        Encrypted { nonce, ciphertext }
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey([REDACTED])")
    }
}
