//! Encryption as a service: N11 and N12, under the root key, in upstream's format (crypto-and-storage 9).

use std::fmt;

use spike_crypto::{AssociatedData, Encrypted, NONCE_LEN, TAG_LEN};
use zeroize::Zeroizing;

use super::Nexus;
use crate::{
    access::{Asked, Grant, Operation, Subject},
    error::Error,
};

/// The setting of the limit on ciphertexts.
pub(crate) const CIPHERTEXT_LIMIT: &str = "SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE";

/// A plaintext to encrypt.
pub struct Encrypt<'a> {
    /// May be empty.
    pub plaintext: &'a [u8],
}

impl fmt::Debug for Encrypt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encrypt([REDACTED])")
    }
}

/// A ciphertext to decrypt.
#[derive(Debug)]
pub struct Decrypt<'a> {
    /// The nonce. Its length is not checked yet.
    pub nonce: &'a [u8],
    /// Ciphertext and tag.
    pub ciphertext: &'a [u8],
}

impl Asked for Encrypt<'_> {
    const OPERATION: Operation = Operation::CipherEncrypt;
    const SUBJECT: Subject<Self> = Subject::Nothing;
}

impl Asked for Decrypt<'_> {
    const OPERATION: Operation = Operation::CipherDecrypt;
    const SUBJECT: Subject<Self> = Subject::Nothing;
}

#[expect(clippy::needless_pass_by_value, reason = "a grant is used up by what it allows")]
impl Nexus {
    /// N11: encrypts.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a plaintext whose ciphertext could not be decrypted again (F15, Q-24).
    pub fn encrypt(&self, grant: Grant<Encrypt<'_>>) -> Result<Encrypted, Error> {
        let plaintext = grant.request().plaintext;
        let limit = self.max_ciphertext.saturating_sub(TAG_LEN);
        if plaintext.len() > limit {
            let reason = format!(
                "{} bytes, at most {limit} are encrypted ({CIPHERTEXT_LIMIT})",
                plaintext.len()
            );
            return Err(Error::Invalid { field: "plaintext", reason });
        }
        let unsealed = self.seal.granted(&grant)?;
        let encrypted = unsealed.cipher().aead().encrypt(plaintext, &AssociatedData::none())?;
        self.root_key_encryptions.inc();
        Ok(encrypted)
    }

    /// N12: decrypts.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong nonce or size; [`Error::Undecryptable`].
    pub fn decrypt(&self, grant: Grant<Decrypt<'_>>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let Decrypt { nonce, ciphertext } = grant.request();
        let Ok(nonce) = <&[u8; NONCE_LEN]>::try_from(*nonce) else {
            let reason = format!("expected {NONCE_LEN} bytes, got {}", nonce.len());
            return Err(Error::Invalid { field: "nonce", reason });
        };
        let limit = self.max_ciphertext;
        if ciphertext.len() > limit {
            let reason = format!(
                "{} bytes, at most {limit} are decrypted ({CIPHERTEXT_LIMIT})",
                ciphertext.len()
            );
            return Err(Error::Invalid { field: "ciphertext", reason });
        }
        let unsealed = self.seal.granted(&grant)?;
        let opened = unsealed.cipher().aead().decrypt(nonce, ciphertext, &AssociatedData::none());
        opened.map_err(|spike_crypto::DecryptError| Error::Undecryptable)
    }
}
