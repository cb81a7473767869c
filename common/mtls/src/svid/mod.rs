//! The X.509-SVID of this process: fetched over the SPIFFE Workload API, kept fresh, shown to peers.
//!
//! One task holds the stream to the agent open and swaps new [`Material`] in; TLS reads the newest at every handshake, so
//! a rotation needs no restart and breaks no request. While the agent is away, the last SVID serves until it expires.
//! What a peer's certificate must look like is the business of [`crate`].

mod bundles;
mod follow;
mod material;
mod message;
mod shared;
mod source;
mod status;
#[cfg(test)]
mod tests;
mod visibility;

pub use bundles::{BundleFault, BundleProblem};
pub use material::{Material, MaterialError};
pub use source::{SvidError, SvidSource};
pub use status::SvidStatus;
pub use visibility::Visibility;
