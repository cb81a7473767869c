//! How to connect.
//!
//! A client needs three things: the SPIFFE Workload API of its machine, the URL of Nexus, and the trust roots of Nexus.
//! They come from the environment, from code, or from both; code wins.
//!
//! ```no_run
//! use spike_sdk::Client;
//!
//! # async fn example() -> Result<(), spike_sdk::Error> {
//! // From SPIFFE_ENDPOINT_SOCKET, SPIKE_NEXUS_API_URL, SPIKE_TRUST_ROOT_NEXUS and the others.
//! let spike = Client::connect().await?;
//! // The same, but another Nexus.
//! let far = Client::builder().nexus_url("https://nexus.far:8553").connect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::connect`](crate::Client::connect) waits for the identity, not for Nexus: a service can start before Nexus does.
//! It needs a tokio runtime, and makes one task that follows the Workload API. Clones of a client share everything.
//!
//! **What is wrong with the settings.** A bad address or bad trust roots are an error. It lists all problems, so that they
//! can be corrected together. Other problems of the environment are logged at WARN through `tracing`, and
//! [`Client::notices`](crate::Client::notices) returns them: a bad time limit whose default is used, or a misspelt name.
//! In code, each of them is an error.
//!
//! ```
//! use spike_sdk::{Client, Environment, Error};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let connected = Client::builder()
//!     .environment(Environment::default())
//!     .nexus_url("http://nexus")
//!     .setting("SPIKE_HTTP_CLIENT_TIMEOUT", "soon")
//!     .connect()
//!     .await;
//! let Err(Error::Configuration(error)) = connected else { panic!() };
//! assert_eq!(error.problems().len(), 2);
//! # })
//! ```
//!
//! **Several clients.** Each client follows the Workload API by itself, unless they get one [`SvidSource`](crate::SvidSource):
//!
//! ```no_run
//! use spike_sdk::{Client, SvidSource};
//!
//! # async fn example() -> Result<(), spike_sdk::Error> {
//! let source = SvidSource::from_environment().await?;
//! println!("policies know this process as {}", source.spiffe_id());
//! let here = Client::builder().svid_source(&source).connect().await?;
//! let there = Client::builder().svid_source(&source).nexus_url("https://nexus.far:8553").connect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Time.** A call may take 30 s with all its tries ([`Builder::deadline`](crate::Builder::deadline)).
//! [`Retry`](crate::Retry) says how often it is tried and with which pauses.
