//! The rows that are handed over, and who keeps them.

use std::num::NonZeroU32;

use spike_domain::{UnixNanos, Version};
use zeroize::Zeroizing;

use crate::error::ImportError;

/// One path, when all its versions were handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its versions, ascending by number.
    pub versions: Vec<Version>,
    /// The highest number that was ever used.
    pub last_version: i64,
    /// How many versions it keeps.
    pub max_versions: NonZeroU32,
    /// When it was made.
    pub created: UnixNanos,
    /// When it was last changed.
    pub updated: UnixNanos,
}

/// One policy. Whether its patterns are ones that Nexus would accept is not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Whom it is for.
    pub spiffe_id_pattern: String,
    /// Which paths it is about.
    pub path_pattern: String,
    /// What it allows.
    pub permissions: Vec<String>,
    /// When it was made.
    pub created: UnixNanos,
    /// When it was last changed.
    pub updated: UnixNanos,
}

/// Who keeps the rows. For each path, its versions come first and the path last; a path that is not accepted does not come.
pub trait Sink {
    /// What can go wrong in keeping a row, and in reading one.
    type Error: From<ImportError>;

    /// Whether a secret can have this name.
    ///
    /// # Errors
    /// Why it cannot, in words.
    fn accepts(&self, path: &str) -> Result<(), String>;

    /// The value in the form in which it is kept. `None`: upstream writes no such value.
    fn value(&self, plaintext: &[u8]) -> Option<Zeroizing<Vec<u8>>>;

    /// Keeps one version of a path that is accepted.
    ///
    /// # Errors
    /// What ends the import.
    fn version(&mut self, path: &str, version: Version, value: &[u8]) -> Result<(), Self::Error>;

    /// Keeps a path, whose versions were kept before.
    ///
    /// # Errors
    /// What ends the import.
    fn secret(&mut self, path: &str, secret: Secret) -> Result<(), Self::Error>;

    /// Whether the policy does here what it says. One that does not is kept all the same.
    ///
    /// # Errors
    /// What it does not, in words.
    fn judges(&self, policy: &Policy) -> Result<(), String>;

    /// Keeps a policy.
    ///
    /// # Errors
    /// What ends the import.
    fn policy(&mut self, policy: Policy) -> Result<(), Self::Error>;
}

/// What an operator has said about an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How many versions a path keeps whose own limit cannot be read.
    pub default_limit: NonZeroU32,
    /// Go on where rows have to be left out.
    pub with_losses: bool,
}
