//! The imported rows, and the interface that keeps them.

use std::num::NonZeroU32;

use spike_domain::{UnixNanos, Version};
use zeroize::Zeroizing;

use crate::error::ImportError;

/// One path, after all its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its versions, ascending by number.
    pub versions: Vec<Version>,
    /// The highest number that was ever used.
    pub last_version: i64,
    /// How many versions it keeps.
    pub max_versions: NonZeroU32,
    /// When it was created.
    pub created: UnixNanos,
    /// When it was last changed.
    pub updated: UnixNanos,
}

/// One policy. Its patterns are not checked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The pattern of SPIFFE IDs.
    pub spiffe_id_pattern: String,
    /// The pattern of paths.
    pub path_pattern: String,
    /// The permissions.
    pub permissions: Vec<String>,
    /// When it was created.
    pub created: UnixNanos,
    /// When it was last changed.
    pub updated: UnixNanos,
}

/// Keeps the rows. For each path, its versions come first and the path last; a path that is not accepted is not passed.
pub trait Sink {
    /// The error of keeping a row, or of reading one.
    type Error: From<ImportError>;

    /// Checks whether a secret can have this name.
    ///
    /// # Errors
    /// Why it cannot, in words.
    fn accepts(&self, path: &str) -> Result<(), String>;

    /// The value in its stored form. `None`: upstream writes no such value.
    fn value(&self, plaintext: &[u8]) -> Option<Zeroizing<Vec<u8>>>;

    /// Keeps one version of a path that is accepted.
    ///
    /// # Errors
    /// The error that ends the import.
    fn version(&mut self, path: &str, version: Version, value: &[u8]) -> Result<(), Self::Error>;

    /// Keeps a path, after its versions.
    ///
    /// # Errors
    /// The error that ends the import.
    fn secret(&mut self, path: &str, secret: Secret) -> Result<(), Self::Error>;

    /// Checks whether the policy has the effect that it states. It is kept in either case.
    ///
    /// # Errors
    /// The difference, in words.
    fn judges(&self, policy: &Policy) -> Result<(), String>;

    /// Keeps a policy.
    ///
    /// # Errors
    /// The error that ends the import.
    fn policy(&mut self, policy: Policy) -> Result<(), Self::Error>;
}

/// The settings of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How many versions a path keeps if its own limit cannot be read.
    pub default_limit: NonZeroU32,
    /// Import although rows have to be left out.
    pub with_losses: bool,
}
