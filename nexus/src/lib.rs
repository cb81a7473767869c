//! SPIKE Nexus: the encrypted secret store.
//!
//! From the outside in: [`start()`] brings the daemon up, [`routes`] turn requests into calls and results into answers,
//! [`nexus`] has each operation in domain words, [`access`] decides who may do what and alone makes a grant, [`seal`]
//! holds the root key and [`quorum`] gets it from the Keepers and back, [`store`] keeps rows encrypted, and the crates `spike-domain` and [`policy`]
//! are the pure rules.

pub mod access;
mod cache_metrics;
pub mod cipher;
pub mod error;
mod lists;
pub mod long_work;
pub mod nexus;
pub mod operator;
pub mod policies;
pub mod questions;
pub mod quorum;
pub mod routes;
pub mod seal;
mod start;
pub mod store;
mod store_watch;
mod survey;

pub use spike_policy as policy;
pub use start::{PROGRAM, Running, run, start};
