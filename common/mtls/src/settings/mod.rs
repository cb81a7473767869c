//! What a process that calls others is told by its environment.

mod http;
mod identity;
mod workload;

pub use http::HttpClientSettings;
pub use identity::IdentitySettings;
pub use workload::WorkloadSettings;
