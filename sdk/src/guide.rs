//! A page for each task. Every example compiles with the tests of this crate.
//!
//! - [`connect`]: settings, identity, several clients in one process
//! - [`read`]: values, types of your own, versions, listings
//! - [`watch`]: a password that changes while the service runs, and what polling costs
//! - [`rotate`]: writing a new version, and what happened to a write without an answer
//! - [`test`](mod@test): unit tests with a Nexus in memory
//! - [`errors`]: which are for later, which are for people, and what is in the logs
//!
//! How to depend on this crate, its features, and what it brings into a build, are in `docs/sdk.md`. The crate in
//! `sdk/examples/service` is a whole service with its unit tests.

pub mod connect;
pub mod errors;
pub mod read;
pub mod rotate;
pub mod test;
pub mod watch;
