//! Secrets in types that do not give them away.

pub use spike_wire::SecretValues;

/// The values of one version of a secret. `Debug` shows no value, and memory is wiped when it is dropped.
#[derive(Debug)]
pub struct Secret(SecretValues);

impl Secret {
    pub(crate) const fn new(values: SecretValues) -> Self {
        Self(values)
    }

    /// Lends the value under `name`. Every use of a plain value is a call of this method.
    pub fn expose(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(spike_wire::SecretText::expose_secret)
    }

    /// The names, in the order of their bytes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names()
    }
}
