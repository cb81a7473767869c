//! A share of a root key in JSON: a list of 32 numbers. On the wire it is called a shard.

use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};

/// The length of a share in bytes.
pub const SHARD_LEN: usize = 32;

/// A share from a request, or for an answer. It may not be valid.
///
/// Go pads a short list with zeros and cuts a long one (wire-api 4.2). So [`Shard::expose_secret`] always has 32 bytes,
/// and [`Shard::is_whole`] says whether they are what was sent. A missing share and `null` have no elements.
#[derive(Debug)]
pub struct Shard {
    bytes: SecretBox<[u8; SHARD_LEN]>,
    elements: usize,
    nulls: bool,
}

impl Shard {
    /// A whole share.
    pub fn new(bytes: &[u8; SHARD_LEN]) -> Self {
        let bytes =
            SecretBox::init_with_mut(|own: &mut [u8; SHARD_LEN]| own.copy_from_slice(bytes));
        Self { bytes, elements: SHARD_LEN, nulls: false }
    }

    /// Lends the bytes.
    pub fn expose_secret(&self) -> &[u8; SHARD_LEN] {
        self.bytes.expose_secret()
    }

    /// The number of elements in the list; 0 if there was none.
    pub const fn elements(&self) -> usize {
        self.elements
    }

    /// Whether there were exactly 32 elements, all numbers.
    pub const fn is_whole(&self) -> bool {
        self.elements == SHARD_LEN && !self.nulls
    }

    /// Whether all bytes are zero, which upstream reads as "no share" (wire-api 6.5).
    pub fn is_zero(&self) -> bool {
        self.expose_secret().iter().fold(0, |seen, byte| seen | byte) == 0
    }

    /// Counts one more element. Returns where to store its value; `None` after the 32nd.
    pub(super) fn next_element(&mut self) -> Option<&mut u8> {
        let slot = self.bytes.expose_secret_mut().get_mut(self.elements);
        self.elements += 1;
        slot
    }

    pub(super) const fn note_null(&mut self) {
        self.nulls = true;
    }
}

impl Default for Shard {
    /// No share.
    fn default() -> Self {
        Self { bytes: SecretBox::default(), elements: 0, nulls: false }
    }
}
