//! How a Rust workload reads and writes secrets in SPIKE.
//!
//! A workload needs no token and no password: its X.509-SVID, which it gets from the SPIFFE Workload API of its machine,
//! is the credential, and a policy says what it may do. Settings come from the environment, under the names that every
//! SPIKE program reads: `SPIFFE_ENDPOINT_SOCKET`, `SPIKE_NEXUS_API_URL`, `SPIKE_TRUST_ROOT_NEXUS`.
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
//! Calls are tried again, with jitter, until the client's deadline: reads after anything that may pass, writes only where
//! it is certain that the first try did nothing. Values are redacted in `Debug` and wiped from memory when dropped.

mod client;
mod error;
mod retry;
mod secret;
mod watch;

pub use client::{Client, Settings};
pub use error::Error;
pub use secret::{Secret, SecretValues};
pub use watch::Watch;
