//! How to test a service without a Nexus.
//!
//! With the feature `fake` there is a Nexus in memory, `spike_sdk::fake::Fake`. It gives out ordinary clients, so the code under
//! test is the code that runs:
//!
//! ```toml
//! [dev-dependencies]
//! spike-sdk = { git = "https://github.com/spiffe/spike-rs", tag = "v0.1.0", features = ["fake"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! ```
//! use std::time::Duration;
//!
//! use spike_sdk::{Client, Error, fake::{Failure, Fake}};
//!
//! /// The code under test.
//! async fn password(spike: &Client) -> Result<String, Error> {
//!     Ok(spike.get("tenants/acme/db").await?.expose("pass").unwrap_or_default().to_owned())
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! // #[tokio::test(start_paused = true)]
//! let fake = Fake::new();
//! fake.put("tenants/acme/db", [("pass", "s3cret")]);
//! assert_eq!(password(&fake.client()).await.unwrap(), "s3cret");
//!
//! // Nexus restarts: the client tries again, and the test does not wait.
//! fake.fail_next(5, Failure::Unreachable);
//! assert_eq!(password(&fake.client()).await.unwrap(), "s3cret");
//!
//! // It stays away.
//! fake.fail(Failure::Sealed);
//! assert!(matches!(password(&fake.client()).await, Err(Error::Deadline { .. })));
//! fake.recover();
//!
//! // The policy has gone.
//! fake.deny("tenants/acme/");
//! assert!(matches!(password(&fake.client()).await, Err(Error::Denied { .. })));
//!
//! // Somebody rotates the password.
//! fake.allow("tenants/acme/");
//! let mut watch = fake.client().watch("tenants/acme/db", Duration::from_secs(30));
//! watch.next().await.unwrap();
//! fake.put("tenants/acme/db", [("pass", "n3w")]);
//! assert_eq!(watch.next().await.unwrap().version(), Some(2));
//! # })
//! ```
//!
//! The fake follows the rules of Nexus for paths, names and versions, because it uses the same code. A test of this project runs
//! one long story against both and compares. It has no clock: each change happens a second after the one before. Policies that are
//! put into it decide nothing; `deny` does.
//!
//! **With everything.** `spike-dev run -- CMD` starts a whole SPIKE on the machine, with an identity for the command, and
//! needs neither SPIRE nor root. The `README.md` of the repository names it.
