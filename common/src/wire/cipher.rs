//! Bodies of the cipher in JSON mode: N11 and N12. Its raw mode is in `stream`.
//!
//! `algorithm` exists in both requests, and is accepted and passed over.

use bytes::Bytes;

use super::error::{ReplyError, decode_reply};
use super::go_json::{self, JsonError};
use super::values::SecretBytes;

/// N11: encrypt.
#[derive(Debug, Default)]
pub struct EncryptRequest {
    /// What to encrypt; may be empty.
    pub plaintext: SecretBytes,
}

impl EncryptRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("plaintext") {
                value.secret_bytes(&mut request.plaintext)
            } else {
                value.skip()
            }
        })?;
        Ok(request)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| out.name("plaintext").bytes(self.plaintext.expose_secret()));
        })
    }
}

/// N11: all it takes to decrypt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptResponse {
    /// The version of the format; 1.
    pub version: u8,
    /// The nonce, 12 bytes.
    pub nonce: Vec<u8>,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

impl EncryptResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let mut response = Self::default();
        decode_reply(body, |key, value| {
            if key.is("version") {
                value.integer(&mut response.version)
            } else if key.is("nonce") {
                value.bytes(&mut response.nonce)
            } else if key.is("ciphertext") {
                value.bytes(&mut response.ciphertext)
            } else {
                value.skip()
            }
        })?;
        Ok(response)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        encode_ciphertext(self.version, &self.nonce, &self.ciphertext)
    }
}

/// N12: decrypt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecryptRequest {
    /// The version of the format, not checked yet.
    pub version: u8,
    /// The nonce, of any length so far.
    pub nonce: Vec<u8>,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

impl DecryptRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("version") {
                value.integer(&mut request.version)
            } else if key.is("nonce") {
                value.bytes(&mut request.nonce)
            } else if key.is("ciphertext") {
                value.bytes(&mut request.ciphertext)
            } else {
                value.skip()
            }
        })?;
        Ok(request)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        encode_ciphertext(self.version, &self.nonce, &self.ciphertext)
    }
}

/// N12: the plaintext.
#[derive(Debug, Default)]
pub struct DecryptResponse {
    /// What had been encrypted.
    pub plaintext: SecretBytes,
}

impl DecryptResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let mut response = Self::default();
        decode_reply(body, |key, value| {
            if key.is("plaintext") {
                value.secret_bytes(&mut response.plaintext)
            } else {
                value.skip()
            }
        })?;
        Ok(response)
    }

    /// The body to send. An empty plaintext is `null`.
    pub fn encode(&self) -> Bytes {
        let plaintext = self.plaintext.expose_secret();
        go_json::body(|out| {
            out.object(|out| {
                if plaintext.is_empty() {
                    out.name("plaintext").null();
                } else {
                    out.name("plaintext").bytes(plaintext);
                }
            });
        })
    }
}

fn encode_ciphertext(version: u8, nonce: &[u8], ciphertext: &[u8]) -> Bytes {
    go_json::body(|out| {
        out.object(|out| {
            out.name("version").integer(version);
            out.name("nonce").bytes(nonce);
            out.name("ciphertext").bytes(ciphertext);
        });
    })
}
