//! What SPIKE's words mean, and the rules that hold for them. Each rule stands here once.
//!
//! - [`Role`] and [`TrustRoots`]: who a SPIFFE ID is to SPIKE.
//! - [`SecretPath`] and [`rules`]: which texts are paths, names and patterns.
//! - [`RESERVED_PATHS`]: the paths that stand for something other than a secret.
//! - [`Permission`]: what a policy can allow.
//! - [`History`]: what put, delete, undelete and prune do to the versions of one path.
//!
//! This crate is pure: it reads no clock and no environment, stores nothing, and logs nothing. Left to others: how these
//! are written in JSON (`spike-wire`), what policies decide (`spike-policy`), and that a name was proved by a certificate
//! (`spike-mtls`).

mod history;
mod identity;
mod path;
mod permission;
mod reserved;
pub mod rules;

pub use history::{History, Inconsistent, NumbersUsedUp, Put, Selector, Version};
pub use identity::{DEFAULT_TRUST_ROOT, Role, TrustRoots, TrustRootsByRole, TrustRootsError};
pub use path::{PathError, SecretPath};
pub use permission::{PERMISSIONS, Permission, PermissionBits, Permissions};
pub use reserved::{ACL_PATH, CIPHER_PATH, RESERVED_PATHS, SECRET_PATH};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, so 1677 to 2262.
///
/// Whoever needs the time takes it as an argument; the edge reads the clock.
pub type UnixNanos = i64;
