//! The root key: whether Nexus has it, where it comes from, and how it is exchanged with the Keepers.

pub mod quorum;
pub mod seal;
mod source;

pub use source::{KeySource, Shares};
