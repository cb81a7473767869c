//! Settings of a process that calls others.

mod foreign_roots;
mod http;
mod identity;
mod workload;

pub use foreign_roots::{ForeignRoots, OwnTrustDomain, foreign_roots};
pub use http::HttpClientSettings;
pub use identity::IdentitySettings;
pub use workload::WorkloadSettings;
