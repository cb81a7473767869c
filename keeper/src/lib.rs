//! SPIKE Keeper: holds one share of the root key, in memory only.
//!
//! A Keeper knows neither its number nor how many others there are, nor the key: it takes a share from Nexus or Bootstrap
//! ([`keeper::Keeper::contribute`]), gives it back to Nexus ([`keeper::Keeper::share`]), and forgets it when it ends.
//!
//! From the outside in: [`start()`] brings the daemon up, [`routes`] turn requests into calls and results into answers,
//! [`keeper`] decides who may do what, and [`slot`] holds the share.

pub mod error;
pub mod keeper;
mod note;
pub mod routes;
pub mod slot;
mod start;

pub use start::{PROGRAM, Running, run, start};
