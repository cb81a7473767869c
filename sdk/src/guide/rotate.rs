//! How to write a new version.
//!
//! A put adds a version with exactly its values: they are not merged with the version before. Older versions stay readable, ten
//! of them if Nexus has the default.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # let fake = spike_sdk::fake::Fake::new();
//! # let spike = fake.client();
//! spike.put("tenants/acme/db", [("user", "acme"), ("pass", "s3cret")]).await?;
//! spike.put("tenants/acme/db", [("user", "acme"), ("pass", "n3w")]).await?;
//! // Back to the version before: hide the new one.
//! spike.delete("tenants/acme/db", &[]).await?;
//! assert_eq!(spike.get("tenants/acme/db").await?.expose("pass"), Some("s3cret"));
//! // Show it again.
//! spike.undelete("tenants/acme/db", &[2]).await?;
//! assert_eq!(spike.get("tenants/acme/db").await?.expose("pass"), Some("n3w"));
//! # Ok::<(), spike_sdk::Error>(())
//! # }).unwrap();
//! ```
//!
//! **No answer.** If the connection breaks after the request was sent, nobody knows here whether the version was added. A put is
//! not repeated then: it could add a second one. [`Error::may_have_been_done`](crate::Error::may_have_been_done) says so. Read
//! before you write again:
//!
//! ```no_run
//! # async fn example(spike: &spike_sdk::Client, pass: &str) -> Result<(), spike_sdk::Error> {
//! let path = "tenants/acme/db";
//! while let Err(error) = spike.put(path, [("pass", pass)]).await {
//!     if !error.may_have_been_done() {
//!         return Err(error);
//!     }
//!     if spike.get(path).await?.expose("pass") == Some(pass) {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Two writers.** There is no check of the version before in a put: of two at the same time the later one is current, and the
//! other is a version too.
//!
//! **Cancel safety.** A future of a write that is dropped has done all of it or nothing, and you do not learn which.
