//! The keys below the root key: the keyring key wraps data keys, and data keys encrypt rows. The root key itself is a
//! cipher only where upstream's formats require it.
//!
//! The store decides which data key is active, counts its encryptions, and stores wrapped keys.

use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};
use zeroize::Zeroizing;

use crate::aead::{AeadKey, AssociatedData, DecryptError, Encrypted, Nonce};
use crate::random::{self, RandomError};
use crate::root_key::RootKey;

/// The label of the keyring key's derivation and of the format of a wrapped data key.
const LABEL: &str = "spike/v2/keyring";

/// A random 256-bit key that encrypts rows.
#[derive(Debug)]
pub struct DataKey {
    bytes: SecretBox<[u8; 32]>,
    aead: AeadKey,
}

impl DataKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// [`RandomError`] when the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let mut bytes = SecretBox::<[u8; 32]>::default();
        random::fill(bytes.expose_secret_mut())?;
        Ok(Self::from_secret(bytes))
    }

    /// The cipher for rows.
    pub const fn aead(&self) -> &AeadKey {
        &self.aead
    }

    fn from_secret(bytes: SecretBox<[u8; 32]>) -> Self {
        let aead = AeadKey::new(bytes.expose_secret());
        Self { bytes, aead }
    }
}

/// Wraps data keys, and nothing else. Derived: HKDF-SHA-256(root key, "spike/v2/keyring").
#[derive(Debug)]
pub struct KeyringKey(AeadKey);

impl KeyringKey {
    /// The keyring key of `root`.
    pub fn derive(root: &RootKey) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        root.derive(LABEL, key.as_mut_slice());
        Self(AeadKey::new(&key))
    }

    /// Encrypts `key` for storage, bound to its `number`.
    ///
    /// # Errors
    /// [`RandomError`] if no nonce could be drawn.
    pub fn wrap(&self, number: u32, key: &DataKey) -> Result<Encrypted, RandomError> {
        self.0.encrypt(key.bytes.expose_secret(), &binding(number))
    }

    /// Decrypts data key `number`, wrapped by [`wrap`](Self::wrap).
    ///
    /// # Errors
    /// [`DecryptError`]: another root key, another number, or changed bytes.
    pub fn unwrap(
        &self,
        number: u32,
        wrapped_nonce: &Nonce,
        wrapped: &[u8],
    ) -> Result<DataKey, DecryptError> {
        let plaintext = self.0.decrypt(wrapped_nonce, wrapped, &binding(number))?;
        let exact: &[u8; 32] = plaintext.as_slice().try_into().map_err(|_length| DecryptError)?;
        let mut bytes = SecretBox::<[u8; 32]>::default();
        bytes.expose_secret_mut().copy_from_slice(exact);
        Ok(DataKey::from_secret(bytes))
    }
}

/// Binds a wrapped key to its number.
fn binding(number: u32) -> AssociatedData {
    AssociatedData::new(LABEL).number(i64::from(number))
}

/// The root key as an AES key, as upstream uses it: for the cipher API, the proof to Bootstrap, and reading upstream's
/// databases (crypto-and-storage 7.3, 9). SPIKE's own rows never use it.
///
/// These formats bind nothing: use [`AssociatedData::none`].
#[derive(Debug)]
pub struct RootCipher(AeadKey);

impl RootCipher {
    /// Computes the key schedule once.
    pub fn new(root: &RootKey) -> Self {
        Self(AeadKey::new(root.expose_bytes()))
    }

    /// The cipher.
    pub const fn aead(&self) -> &AeadKey {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{DataKey, KeyringKey, binding};
    use crate::aead::AssociatedData;
    use crate::hex;
    use crate::root_key::RootKey;

    fn keyring() -> KeyringKey {
        let bytes: Vec<u8> = (1..=32).collect();
        KeyringKey::derive(&RootKey::from_bytes(&bytes.try_into().unwrap()).unwrap())
    }

    fn bytes<const N: usize>(digits: &str) -> [u8; N] {
        let mut bytes = [0; N];
        hex::decode(digits, &mut bytes).unwrap();
        bytes
    }

    /// Stored data depends on derivation, associated data and layout. Computed with Python's `hmac` and `cryptography`,
    /// not with this crate.
    #[test]
    fn a_wrapped_key_and_a_row_made_elsewhere_are_readable() {
        let nonce = bytes("101112131415161718191a1b");
        let wrapped: [u8; 48] = bytes(
            "de8fedf0dce644595b091058bc1f4f49ed3b7547d5e98849e01aecd843660ca6\
             85eda136a652e9bf2fd30842996f204e",
        );
        let data_key = keyring().unwrap(7, &nonce, &wrapped).unwrap();

        let row: [u8; 21] = bytes("115f51bd39d2a7cf87b3c07b470ebd1d80148fce30");
        let bound = AssociatedData::new("row").bytes(b"app/db").optional_number(None);
        assert_eq!(*data_key.aead().decrypt(&nonce, &row, &bound).unwrap(), b"hello");
    }

    #[test]
    fn an_unwrapped_key_reads_what_the_wrapped_key_wrote() {
        let (key, aad) = (DataKey::generate().unwrap(), AssociatedData::new("test"));
        let written = key.aead().encrypt(b"value", &aad).unwrap();
        let wrapped = keyring().wrap(3, &key).unwrap();

        let again = keyring().unwrap(3, &wrapped.nonce, &wrapped.ciphertext).unwrap();
        let read = again.aead().decrypt(&written.nonce, &written.ciphertext, &aad).unwrap();
        assert_eq!(*read, b"value");
    }

    #[test]
    fn a_wrapped_key_under_another_number_is_refused() {
        let wrapped = keyring().wrap(3, &DataKey::generate().unwrap()).unwrap();
        assert!(keyring().unwrap(4, &wrapped.nonce, &wrapped.ciphertext).is_err());
    }

    #[test]
    fn a_wrapped_key_of_another_root_key_is_refused() {
        let wrapped = keyring().wrap(3, &DataKey::generate().unwrap()).unwrap();
        let other = KeyringKey::derive(&RootKey::generate().unwrap());
        assert!(other.unwrap(3, &wrapped.nonce, &wrapped.ciphertext).is_err());
    }

    #[test]
    fn a_wrapped_key_of_another_length_is_refused() {
        for length in [0, 31, 33] {
            let wrapped = keyring().0.encrypt(&vec![7; length], &binding(3)).unwrap();
            let result = keyring().unwrap(3, &wrapped.nonce, &wrapped.ciphertext);
            assert!(result.is_err(), "{length} bytes");
        }
    }

    #[test]
    fn the_root_key_itself_does_not_unwrap() {
        let root = RootKey::generate().unwrap();
        let wrapped = KeyringKey::derive(&root).wrap(1, &DataKey::generate().unwrap()).unwrap();
        let direct = super::RootCipher::new(&root);
        assert!(direct.aead().decrypt(&wrapped.nonce, &wrapped.ciphertext, &binding(1)).is_err());
    }
}
