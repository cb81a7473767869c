//! Settings: every environment variable that a SPIKE process reads, read once and checked whole.
//!
//! [`table`] lists the variables; it is the one place that says what each is called, who reads it, what it may be and
//! what it is when unset. A [`Reader`] reads an [`Environment`] by that table for one [`Process`] and collects every
//! [`Problem`], so that an operator mends a configuration in one go. The groups (`NexusSettings` and the others) turn
//! what was read into types that cannot hold a bad value.
//!
//! Upstream ends the process for some bad values and silently takes the default for all others. The same values are
//! fatal here; the fall-backs stay too, but each is reported.
//!
//! Not here: opening what a setting names (sockets, directories, databases), and command-line arguments.

mod address;
mod directory;
mod duration;
mod endpoint;
mod environment;
mod peers;
mod problem;
mod reader;
pub mod table;
mod unknown;
mod url;

#[cfg(test)]
mod document;

pub use address::{ListenAddress, ListenAddressError};
pub use directory::{Directory, DirectoryChoice, DirectoryError, Origin, user_directory};
pub use duration::{DurationError, GoDuration};
pub use endpoint::{EndpointAddress, EndpointError, EndpointSocket, MAX_SOCKET_PATH};
pub use environment::Environment;
pub use peers::{KeeperPeers, KeeperPeersError};
pub use problem::{ConfigError, EXIT_CONFIG, Outcome, Problem};
pub use reader::Reader;
pub use table::{Process, Variable};
pub use url::{HttpsUrl, HttpsUrlError};

/// Settings, and what was not as it should be but does no harm.
pub type Loaded<T> = Result<(T, Vec<Problem>), ConfigError>;

/// Reads the settings of `process` with `read`.
///
/// # Errors
/// [`ConfigError`] with all problems, where at least one is fatal.
pub fn load<T>(
    environment: &Environment,
    process: Process,
    read: impl FnOnce(&mut Reader<'_>) -> T,
) -> Loaded<T> {
    let mut reader = Reader::new(environment, process);
    let settings = read(&mut reader);
    reader.finish().map(|warnings| (settings, warnings))
}
