//! Settings of a process that calls others.

mod http;
mod identity;
mod workload;

pub use http::HttpClientSettings;
pub use identity::IdentitySettings;
pub use workload::WorkloadSettings;
