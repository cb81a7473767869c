//! SPIKE Nexus: the encrypted secret store.
//!
//! From the outside in: [`start()`] starts the daemon; [`serve`] turns requests into calls and results into answers;
//! [`service`] has each operation in domain words; [`access`] decides who may do what, and is the only maker of a grant;
//! [`keys`] holds the root key and exchanges shares with the Keepers; [`store`] keeps rows encrypted; the crates `spike-domain`
//! and [`policy`] are the pure rules.

pub mod access;
mod cache_metrics;
pub mod error;
pub mod keys;
mod offline;
pub mod policies;
pub mod serve;
pub mod service;
mod start;
pub mod store;
mod store_watch;

pub use spike_policy as policy;
pub use start::{PROGRAM, Running, run, start};
