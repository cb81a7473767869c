//! The domain of versioned secrets, pure: what a path is ([`SecretPath`]), and what put, delete,
//! undelete and prune do to the versions of one path ([`History`]).
//!
//! Values are no part of it: the rules need only numbers and times, and the store keeps the
//! values as opaque bytes. Left to others: who may do it (`access`), where it is kept (`store`).

mod history;
mod path;

pub use history::{History, Inconsistent, NumbersUsedUp, Put, Selector, Version};
pub use path::{PathError, SecretPath};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, so 1677 to 2262.
///
/// Domain and store take the time as an argument; the edge reads the clock.
pub type UnixNanos = i64;
