//! Encryption as a service: N11 and N12, under the root key, in upstream's format (crypto-and-storage 9).

use spike_common::wire::{
    DecryptResponse, EncryptResponse, ErrorCode, SecretBytes, StreamCiphertext, WRITTEN_VERSION,
    call, is_readable_version,
};
use spike_crypto::{AssociatedData, NONCE_LEN, TAG_LEN};
use zeroize::Zeroizing;

use crate::{access::Grant, error::Error, service::Nexus};

/// The setting of the limit on ciphertexts.
pub(crate) const CIPHERTEXT_LIMIT: &str = "SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE";

#[expect(clippy::needless_pass_by_value, reason = "a grant is used up by the call that it allows")]
impl Nexus {
    /// N11 in JSON mode.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a plaintext whose ciphertext could not be decrypted again (F15, Q-24).
    pub fn encrypt(&self, grant: Grant<call::CipherEncrypt>) -> Result<EncryptResponse, Error> {
        let encrypted = self.seal_bytes(&grant, grant.request().plaintext.expose_secret())?;
        Ok(EncryptResponse {
            version: WRITTEN_VERSION,
            nonce: encrypted.nonce.to_vec(),
            ciphertext: encrypted.ciphertext,
        })
    }

    /// N11 in stream mode: version byte, nonce, ciphertext with tag.
    ///
    /// # Errors
    /// As [`Self::encrypt`].
    pub fn encrypt_stream(
        &self,
        grant: Grant<call::CipherEncrypt, &[u8]>,
    ) -> Result<Vec<u8>, Error> {
        let encrypted = self.seal_bytes(&grant, grant.request())?;
        let ciphertext = encrypted.ciphertext.as_slice();
        Ok(StreamCiphertext { nonce: &encrypted.nonce, ciphertext }.encode())
    }

    /// N12 in JSON mode.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong version, nonce or size; [`Error::Undecryptable`].
    pub fn decrypt(&self, grant: Grant<call::CipherDecrypt>) -> Result<DecryptResponse, Error> {
        let request = grant.request();
        // Releases up to 0.8.0 wrote the character 1, which is 49 in JSON (K7).
        if !is_readable_version(request.version) {
            let reason = format!("expected 1, got {}", request.version);
            return Err(Error::Invalid { field: "version", reason });
        }
        let Ok(nonce) = <&[u8; NONCE_LEN]>::try_from(request.nonce.as_slice()) else {
            let reason = format!("expected {NONCE_LEN} bytes, got {}", request.nonce.len());
            return Err(Error::Invalid { field: "nonce", reason });
        };
        let plaintext = self.open_bytes(&grant, nonce, &request.ciphertext)?;
        Ok(DecryptResponse { plaintext: SecretBytes::from(plaintext.as_slice()) })
    }

    /// N12 in stream mode. The outer error is a JSON answer, the inner one a text (wire-api N12).
    ///
    /// # Errors
    /// Outer: [`Error::Invalid`] for a ciphertext over the limit; inner: the code for what is wrong with the framing, or
    /// [`Error::Undecryptable`] as `None`.
    pub fn decrypt_stream(
        &self,
        grant: Grant<call::CipherDecrypt, &[u8]>,
    ) -> Result<Result<Zeroizing<Vec<u8>>, Option<ErrorCode>>, Error> {
        let framed = match StreamCiphertext::parse(grant.request()) {
            Ok(framed) => framed,
            Err(code) => return Ok(Err(Some(code))),
        };
        match self.open_bytes(&grant, framed.nonce, framed.ciphertext) {
            Ok(plaintext) => Ok(Ok(plaintext)),
            Err(Error::Undecryptable) => Ok(Err(None)),
            Err(error) => Err(error),
        }
    }

    fn seal_bytes<R>(
        &self,
        grant: &Grant<call::CipherEncrypt, R>,
        plaintext: &[u8],
    ) -> Result<spike_crypto::Encrypted, Error> {
        let limit = self.max_ciphertext().saturating_sub(TAG_LEN);
        if plaintext.len() > limit {
            let reason = format!(
                "{} bytes, at most {limit} are encrypted ({CIPHERTEXT_LIMIT})",
                plaintext.len()
            );
            return Err(Error::Invalid { field: "plaintext", reason });
        }
        let unsealed = self.seal().granted(grant)?;
        Ok(unsealed.cipher().aead().encrypt(plaintext, &AssociatedData::none())?)
    }

    fn open_bytes<R>(
        &self,
        grant: &Grant<call::CipherDecrypt, R>,
        nonce: &[u8; NONCE_LEN],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let limit = self.max_ciphertext();
        if ciphertext.len() > limit {
            let reason = format!(
                "{} bytes, at most {limit} are decrypted ({CIPHERTEXT_LIMIT})",
                ciphertext.len()
            );
            return Err(Error::Invalid { field: "ciphertext", reason });
        }
        let unsealed = self.seal().granted(grant)?;
        let opened = unsealed.cipher().aead().decrypt(nonce, ciphertext, &AssociatedData::none());
        opened.map_err(|spike_crypto::DecryptError| Error::Undecryptable)
    }
}
