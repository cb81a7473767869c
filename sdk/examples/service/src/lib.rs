//! A service that keeps the password of its database up to date.
//!
//! It reads a secret when it starts, watches it, and takes each new version into use without a restart. It goes on with
//! the version that it has while Nexus cannot be reached, restarts, or denies the read. If that lasts longer than
//! [`Rules::keep`], it wipes the password and stops serving, until it can read the secret again.
//!
//! [`run`] is all of it: it takes a client, so that the unit tests give it one of a fake. [`program`] is the process around
//! it.

mod credentials;
mod program;
mod service;
#[cfg(test)]
mod tests;

pub use credentials::Credentials;
pub use program::program;
pub use service::{Event, Rules, Tally, run};
