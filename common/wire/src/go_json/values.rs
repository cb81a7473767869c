//! The secrets in bodies: texts and bytes. Redacted, wiped, not comparable. The named values of one version are in
//! `named`.

use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

/// One value of a secret.
#[derive(Debug)]
pub struct SecretText(SecretBox<str>);

impl SecretText {
    /// Lends the text.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(SecretBox::new(text.into()))
    }
}

impl From<String> for SecretText {
    /// Takes the text, and wipes its buffer if that is too large to keep.
    fn from(text: String) -> Self {
        if text.len() == text.capacity() {
            return Self(SecretBox::new(text.into_boxed_str()));
        }
        Self::from(Zeroizing::new(text).as_str())
    }
}

impl Default for SecretText {
    fn default() -> Self {
        Self::from("")
    }
}

/// Secret bytes: a plaintext of the cipher API.
#[derive(Debug)]
pub struct SecretBytes(SecretBox<[u8]>);

impl SecretBytes {
    /// Lends the bytes.
    pub fn expose_secret(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(SecretBox::new(bytes.into()))
    }
}

impl From<Zeroizing<Vec<u8>>> for SecretBytes {
    /// Takes the bytes, and wipes their buffer if that is too large to keep.
    fn from(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        if bytes.len() == bytes.capacity() {
            return Self(SecretBox::new(std::mem::take(&mut *bytes).into_boxed_slice()));
        }
        Self::from(bytes.as_slice())
    }
}

impl Default for SecretBytes {
    fn default() -> Self {
        Self::from([].as_slice())
    }
}
