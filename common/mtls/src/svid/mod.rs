//! The X.509-SVID of this process, from the SPIFFE Workload API.
//!
//! One task keeps the stream to the agent open and stores each new [`Material`]. TLS reads the newest at every
//! handshake, so a rotation needs no restart and breaks no request. Without the agent, the last SVID is used until it
//! expires. [`crate::Peer`] says what a peer's certificate must be.

mod bundle_changes;
mod bundles;
#[cfg(test)]
mod endless;
mod failure;
mod follow;
mod forbidden;
mod material;
mod message;
mod shared;
mod source;
mod status;
#[cfg(test)]
mod tests;
mod visibility;

pub use bundles::{BundleFault, BundleProblem};
pub use failure::{FailureCounts, FetchFailure};
pub use forbidden::may_not_open;
pub use material::{Material, MaterialError};
pub use source::{SvidError, SvidSource};
pub use status::SvidStatus;
pub use visibility::Visibility;
