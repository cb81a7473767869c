//! The secrets in bodies: texts, bytes, and the named values of one version. Redacted, wiped, not comparable.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

use super::{self as go_json, Field, JsonError};

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

/// The named values of one version of a secret, sorted by name. Names are not secret, values are.
#[derive(Debug, Default)]
pub struct SecretValues(BTreeMap<String, SecretText>);

impl SecretValues {
    /// Sets a value, and replaces an earlier one of that name.
    pub fn insert(&mut self, name: String, value: SecretText) {
        self.0.insert(name, value);
    }

    /// The value with that name.
    pub fn get(&self, name: &str) -> Option<&SecretText> {
        self.0.get(name)
    }

    /// Names and values, in the order of the names' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretText)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The names, in the order of their bytes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values as a JSON object, which is also their stored form: `SecretGetResponse::encode_stored` sends it
    /// unchanged.
    pub fn to_json_object(&self) -> Zeroizing<Vec<u8>> {
        go_json::secret_json(|out| self.write(out))
    }

    /// Reads a JSON object of strings. `null` is `None`: upstream stores it for a version without values.
    ///
    /// # Errors
    /// [`JsonError`] if it is anything else.
    pub fn from_json_object(json: &[u8]) -> Result<Option<Self>, JsonError> {
        let mut values = None;
        go_json::decode(json, |reader| values.read(reader))?;
        Ok(values)
    }
}

impl FromIterator<(String, SecretText)> for SecretValues {
    fn from_iter<I: IntoIterator<Item = (String, SecretText)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}
