//! SPIKE Keeper: holds one share of the root key, in memory only.
//!
//! A Keeper does not know its number, the other Keepers, or the key. It stores a share from Nexus or Bootstrap
//! ([`keeper::Keeper::contribute`]), returns it to Nexus ([`keeper::Keeper::share`]), and wipes it at its end.
//!
//! [`start()`] starts the daemon. [`routes`] turns requests into calls and results into answers. [`keeper`] authorizes
//! and acts. [`slot`] holds the share.

pub mod error;
pub mod keeper;
mod note;
pub mod routes;
pub mod slot;
mod start;

pub use start::{PROGRAM, Running, run, start};
