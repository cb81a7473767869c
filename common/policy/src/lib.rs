//! Policies: their rules, their decisions, and their probable mistakes.
//!
//! This crate is pure: it reads no clock, no environment and no store, and logs nothing. It owns
//!
//! - [`Policy`], [`Permission`], [`Permissions`], and the rules for a new policy ([`Policy::validate_new`]; its
//!   [`PolicyError`] has field, position and reason);
//! - [`Pattern`]: Go's regular expression syntax with Go's meaning ([`go_syntax`]);
//! - [`PolicySet`]: all stored policies behind an index, changed one at a time. [`PolicySet::decide`] answers a
//!   request with its reason. [`PolicySet::explain`] tells an operator which policies nearly allow it and which change
//!   would. [`PolicySet::paths_open_to`] answers for many paths of one peer. [`PolicySet::who_can`] lists who has a
//!   permission;
//! - [`lint`]: probable mistakes.
//!
//! A caller that changes policies while it decides keeps the set behind a read-write lock: a change takes some ten
//! microseconds, a decision about one, and neither blocks on anything else.
//!
//! Others own the built-in roles, the storage of policies, and the answer to a denied peer.

mod decide;
mod error;
mod explain;
pub mod go_syntax;
mod index;
pub mod lint;
mod miss;
mod open_paths;
mod pattern;
mod plain;
mod postings;
mod reserved;
mod rewrite;
mod scan;
mod suggest;
mod validate;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use time::OffsetDateTime;

pub use decide::{Decision, MAX_LOOSE_WIDTH, PolicySet};
pub use error::{Field, PolicyError, Refusal, ReservedCause};
pub use explain::{Explanation, Grantee, NearMiss, Question, WhoCan, unlimited};
pub use go_syntax::{SyntaxError, SyntaxErrorKind};
pub use miss::Miss;
pub use open_paths::OpenPaths;
pub use pattern::{Matcher, Pattern};
pub use reserved::ReservedRule;
// The types of `spike-domain` in this crate's interface.
pub use spike_domain::{
    ACL_PATH, CIPHER_PATH, Permission, Permissions, RESERVED_PATHS, SECRET_PATH,
};
pub use suggest::{ASK_FOR, Suggestion};
pub use validate::{MAX_WIDTH, check_name, check_path_pattern, check_spiffe_id_pattern};

/// A stored policy: SPIFFE IDs that match one pattern have permissions on the paths that match the other.
///
/// A new one passes [`Policy::validate_new`]. One from an older store may have invalid patterns; then it never matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The name, which is the identity.
    pub name: String,
    /// Go regular expression, searched for in the peer's SPIFFE ID.
    pub spiffe_id_pattern: String,
    /// Go regular expression, searched for in the path.
    pub path_pattern: String,
    /// The permissions, as given.
    pub permissions: Permissions,
    /// When it was first put.
    pub created_at: OffsetDateTime,
    /// When it was last put.
    pub updated_at: OffsetDateTime,
}
