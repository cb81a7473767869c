//! How to read.
//!
//! A secret is a set of named values under a path, with versions.
//!
//! ```no_run
//! # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
//! let secret = spike.get("tenants/acme/db").await?;
//! let password = secret.expose("pass").unwrap_or_default();
//! for (name, value) in secret.expose_all() {
//!     println!("{name} has {} bytes", value.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Values are lent by methods that begin with `expose`, so that a search for this word finds each use. `Debug` shows names
//! only, and the memory is wiped when the [`Secret`](crate::Secret) is dropped.
//! [`expose_owned`](crate::Secret::expose_owned) is a copy that is wiped too.
//!
//! **A type of your own.** Numbers and booleans are read from the texts. A field of the type `&str` borrows its value, so
//! that there is no copy that nobody wipes. An error names the field, and never a value.
//!
//! ```
//! #[derive(serde::Deserialize)]
//! struct Database<'v> {
//!     user: &'v str,
//!     pass: &'v str,
//!     port: Option<u16>,
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # let fake = spike_sdk::fake::Fake::new();
//! # fake.put("tenants/acme/db", [("user", "acme"), ("pass", "s3cret")]);
//! # let spike = fake.client();
//! let secret = spike.get("tenants/acme/db").await.unwrap();
//! let database: Database<'_> = secret.deserialize().unwrap();
//! assert_eq!((database.user, database.port), ("acme", None));
//! # })
//! ```
//!
//! **Versions.** [`get_version`](crate::Client::get_version) reads an older one,
//! [`metadata`](crate::Client::metadata) lists them. The answer to a read has no version number on the wire:
//! [`get_current`](crate::Client::get_current) asks for the metadata first, which is a second request.
//!
//! **Paths.** [`list`](crate::Client::list) returns all paths with a prefix that the workload may list,
//! [`pages`](crate::Client::pages) returns them page by page, also as a `Stream`.
