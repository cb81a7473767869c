//! The root key: whether it is here, where it comes from, and how it gets from and to the Keepers.

pub mod quorum;
pub mod seal;
mod source;

pub use source::{KeySource, Shares};
