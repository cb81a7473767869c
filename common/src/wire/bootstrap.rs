//! Bodies of the proof that Nexus can use the root key: N15.

use bytes::Bytes;

use super::error::{ReplyError, decode_reply};
use super::go_json::{self, JsonError};

/// N15: a text that only a holder of the root key can read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyRequest {
    /// The nonce, of any length so far.
    pub nonce: Vec<u8>,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

impl VerifyRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("nonce") {
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
        go_json::body(|out| {
            out.object(|out| {
                out.name("nonce").bytes(&self.nonce);
                out.name("ciphertext").bytes(&self.ciphertext);
            });
        })
    }
}

/// N15: the proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyResponse {
    /// SHA-256 of the decrypted text, in lower-case hexadecimal.
    pub hash: String,
}

impl VerifyResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let mut response = Self::default();
        decode_reply(body, |key, value| {
            if key.is("hash") { value.text(&mut response.hash) } else { value.skip() }
        })?;
        Ok(response)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| out.object(|out| out.name("hash").text(&self.hash)))
    }
}
