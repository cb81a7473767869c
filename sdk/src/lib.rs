//! Reads and writes secrets of SPIKE from a Rust workload.
//!
//! A workload needs no token and no password. Its credential is its X.509-SVID, from the SPIFFE Workload API of its
//! machine, and policies decide what it may do. Settings come from the environment: `SPIFFE_ENDPOINT_SOCKET`,
//! `SPIKE_NEXUS_API_URL`, `SPIKE_TRUST_ROOT_NEXUS` and the other variables in `docs/configuration.md`; or from code.
//!
//! ```no_run
//! # async fn example() -> Result<(), spike_sdk::Error> {
//! let spike = spike_sdk::Client::connect().await?;
//! let secret = spike.get("tenants/acme/db").await?;
//! let password = secret.expose("pass").unwrap_or_default();
//! # Ok(())
//! # }
//! ```
//!
//! Calls are retried, with jitter, until the client's deadline: a read after any failure that may be temporary, a write
//! only if the first try certainly had no effect. Values are redacted in `Debug` and wiped from memory when dropped.

mod builder;
mod calls;
mod client;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
pub mod guide;
mod metadata;
mod notices;
mod pages;
#[cfg(feature = "operator")]
mod policies;
mod retry;
mod secret;
mod server;
mod source;
#[cfg(test)]
mod tests;
mod watch;

/// # Examples
/// See [`Secret::expose_owned`].
#[doc(inline)]
pub use zeroize::Zeroizing;

pub use builder::Builder;
pub use client::{Client, Environment, Settings};
pub use error::{ConfigError, Error, Outcome, Problem, SvidError};
pub use metadata::{Metadata, Version};
pub use pages::Pages;
#[cfg(feature = "operator")]
pub use policies::{
    ExplainResponse, Grantee, LintFinding, LintResponse, NearMiss, Policies, Policy, WhoCanResponse,
};
pub use retry::Retry;
pub use secret::{DeserializeError, Secret};
pub use source::SvidSource;
pub use watch::Watch;
