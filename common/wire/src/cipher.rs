//! Bodies of the cipher in JSON mode (N11, N12). Raw mode is in `stream`.
//!
//! Both requests may have a field `algorithm`, which is ignored.

use super::go_json::SecretBytes;
use super::go_json::{Adapter, Field, Writer};

bodies! {
    /// Encrypt (N11).
    #[derive(Debug)]
    pub struct EncryptRequest: Request {
        /// The plaintext; may be empty.
        pub plaintext: SecretBytes = "plaintext",
    }

    /// The data that decryption needs (N11).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct EncryptResponse: Reply {
        /// The version of the format; 1.
        pub version: u8 = "version",
        /// The nonce, 12 bytes.
        pub nonce: Vec<u8> = "nonce",
        /// Ciphertext and tag.
        pub ciphertext: Vec<u8> = "ciphertext",
    }

    /// Decrypt (N12).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DecryptRequest: Request {
        /// The version of the format, not checked yet.
        pub version: u8 = "version",
        /// The nonce; its length is not checked yet.
        pub nonce: Vec<u8> = "nonce",
        /// Ciphertext and tag.
        pub ciphertext: Vec<u8> = "ciphertext",
    }

    /// The plaintext (N12).
    #[derive(Debug)]
    pub struct DecryptResponse: Reply {
        /// The plaintext.
        pub plaintext: SecretBytes = "plaintext" as EmptyIsNull,
    }
}

/// Upstream decrypts an empty text to a slice that Go writes as `null`.
struct EmptyIsNull;

impl Adapter<SecretBytes> for EmptyIsNull {
    fn write(bytes: &SecretBytes, name: &str, out: &mut Writer) {
        let out = out.name(name);
        if bytes.expose_secret().is_empty() { out.null() } else { bytes.write(out) }
    }
}
