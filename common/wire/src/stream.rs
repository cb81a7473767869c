//! The raw mode of the cipher API: one version byte, the nonce, then ciphertext and tag (wire-api N11, N12).
//!
//! Only the framing; `spike-crypto` decrypts.

use super::error::ErrorCode;

/// The only `Content-Type` that selects raw mode. Any other value, or none, means JSON.
pub const STREAM_CONTENT_TYPE: &str = "application/octet-stream";

/// The length of a nonce in bytes.
pub const NONCE_LEN: usize = 12;

/// The length of the version byte and the nonce.
pub const STREAM_HEADER_LEN: usize = 1 + NONCE_LEN;

/// The version byte that is written, in both modes.
pub const WRITTEN_VERSION: u8 = 0x01;

/// The version byte of older releases: the character `1` (K7).
const OLD_VERSION: u8 = 0x31;

/// The text that answers a raw ciphertext that cannot be decrypted. Not an error code.
pub const DECRYPTION_FAILED: &str = "decryption failed";

/// Whether ciphertext of this version can be decrypted.
pub const fn is_readable_version(version: u8) -> bool {
    matches!(version, WRITTEN_VERSION | OLD_VERSION)
}

/// The parts of a raw ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCiphertext<'a> {
    /// The nonce.
    pub nonce: &'a [u8; NONCE_LEN],
    /// Ciphertext and tag, of any length.
    pub ciphertext: &'a [u8],
}

impl<'a> StreamCiphertext<'a> {
    /// Splits a body.
    ///
    /// # Errors
    /// The code that the answer has as text: version missing, version unknown, or nonce incomplete.
    pub fn parse(body: &'a [u8]) -> Result<Self, ErrorCode> {
        let (&version, rest) = body.split_first().ok_or(ErrorCode::CryptoFailedToReadVersion)?;
        if !is_readable_version(version) {
            return Err(ErrorCode::CryptoUnsupportedVersion);
        }
        let (nonce, ciphertext) =
            rest.split_first_chunk().ok_or(ErrorCode::CryptoFailedToReadNonce)?;
        Ok(Self { nonce, ciphertext })
    }

    /// The body to send.
    pub fn encode(self) -> Vec<u8> {
        let mut body = Vec::with_capacity(STREAM_HEADER_LEN + self.ciphertext.len());
        body.push(WRITTEN_VERSION);
        body.extend_from_slice(self.nonce);
        body.extend_from_slice(self.ciphertext);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_taken_apart_is_what_was_put_together() {
        let parts = StreamCiphertext { nonce: b"twelve bytes", ciphertext: b"and the rest" };
        let body = parts.encode();
        assert_eq!(body, b"\x01twelve bytesand the rest");
        assert_eq!(StreamCiphertext::parse(&body), Ok(parts));
    }

    #[test]
    fn the_version_byte_of_older_releases_is_read() {
        let parts = StreamCiphertext { nonce: b"twelve bytes", ciphertext: b"" };
        assert_eq!(StreamCiphertext::parse(b"\x31twelve bytes"), Ok(parts));
    }

    #[test]
    fn each_way_to_be_cut_short_has_its_code() {
        for (body, code) in [
            (b"".as_slice(), ErrorCode::CryptoFailedToReadVersion),
            (b"\x02twelve bytes", ErrorCode::CryptoUnsupportedVersion),
            (b"\x01", ErrorCode::CryptoFailedToReadNonce),
            (b"\x01eleven byte", ErrorCode::CryptoFailedToReadNonce),
        ] {
            assert_eq!(StreamCiphertext::parse(body), Err(code));
        }
    }
}
