//! The terms of SPIKE and their rules. Each rule is written once, here.
//!
//! - [`Role`] and [`TrustRoots`]: the roles of SPIFFE IDs.
//! - [`CoveredIds`]: lists of SPIFFE IDs that a setting names.
//! - [`SecretPath`] and [`rules`]: which texts are paths, names and patterns.
//! - [`RESERVED_PATHS`]: the paths that do not name secrets.
//! - [`Permission`]: what a policy can allow.
//! - [`is_hidden`]: the characters that a log or a terminal must not show as they are.
//! - [`History`]: how put, delete, undelete and prune change the versions of one path.
//!
//! This crate is pure: it reads no clock and no environment, stores nothing, and logs nothing. `spike-wire` writes
//! these as JSON, `spike-policy` decides by policies, and `spike-mtls` verifies the certificates that prove names.

mod covered;
mod hidden;
mod history;
mod identity;
mod path;
mod permission;
mod reserved;
pub mod rules;

pub use covered::{CoveredIds, CoveredIdsError};
pub use hidden::is_hidden;
pub use history::{History, Inconsistent, NumbersUsedUp, Put, Selector, Version};
pub use identity::{
    DEFAULT_TRUST_ROOT, Role, TrustRoots, TrustRootsByRole, TrustRootsError, trust_domain_of,
};
pub use path::{PathError, SecretPath};
pub use permission::{PERMISSIONS, Permission, PermissionBits, Permissions};
pub use reserved::{ACL_PATH, CIPHER_PATH, RESERVED_PATHS, SECRET_PATH};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, from 1677 to 2262. Always an argument here; only the
/// programs read the clock.
pub type UnixNanos = i64;
