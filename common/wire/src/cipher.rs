//! Bodies of the cipher in JSON mode: N11 and N12. Its raw mode is in `stream`.
//!
//! `algorithm` exists in both requests, and is accepted and passed over.

use super::go_json::SecretBytes;
use super::go_json::{Adapter, Field, Writer};

bodies! {
    /// N11: encrypt.
    #[derive(Debug)]
    pub struct EncryptRequest: Request {
        /// What to encrypt; may be empty.
        pub plaintext: SecretBytes = "plaintext",
    }

    /// N11: all it takes to decrypt.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct EncryptResponse: Reply {
        /// The version of the format; 1.
        pub version: u8 = "version",
        /// The nonce, 12 bytes.
        pub nonce: Vec<u8> = "nonce",
        /// Ciphertext and tag.
        pub ciphertext: Vec<u8> = "ciphertext",
    }

    /// N12: decrypt.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DecryptRequest: Request {
        /// The version of the format, not checked yet.
        pub version: u8 = "version",
        /// The nonce, of any length so far.
        pub nonce: Vec<u8> = "nonce",
        /// Ciphertext and tag.
        pub ciphertext: Vec<u8> = "ciphertext",
    }

    /// N12: the plaintext.
    #[derive(Debug)]
    pub struct DecryptResponse: Reply {
        /// What had been encrypted.
        pub plaintext: SecretBytes = "plaintext" as EmptyIsNull,
    }
}

/// What upstream decrypts to nothing is a slice that Go writes as `null`.
struct EmptyIsNull;

impl Adapter<SecretBytes> for EmptyIsNull {
    fn write(bytes: &SecretBytes, name: &str, out: &mut Writer) {
        let out = out.name(name);
        if bytes.expose_secret().is_empty() { out.null() } else { bytes.write(out) }
    }
}
