//! Settings: every environment variable of a SPIKE process, read once and checked together.
//!
//! [`table`] lists the variables: their names, readers, rules and defaults. A [`Reader`] reads an [`Environment`] by
//! that table for one [`Process`], and collects every [`Problem`], so that an operator can correct all of them at once.
//! Types such as `NexusSettings` in `spike-daemon` hold the values that were read, and cannot hold invalid ones.
//!
//! Upstream ends the process for some invalid values, and silently uses the default for all others. The same values are
//! fatal here. For the others the default is used too, but each is reported.
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
pub use directory::{
    DATA_DIRECTORY, Directory, DirectoryChoice, DirectoryError, Origin, check_output_directory,
    user_directory,
};
pub use duration::{DurationError, GoDuration};
pub use endpoint::{EndpointAddress, EndpointError, EndpointSocket, MAX_SOCKET_PATH};
pub use environment::Environment;
pub use peers::{KeeperPeers, KeeperPeersError};
pub use problem::{ConfigError, EXIT_CONFIG, Outcome, Problem};
pub use reader::Reader;
pub use table::{Process, Variable};
pub use url::{HttpsUrl, HttpsUrlError};

/// Settings, and their problems that are not fatal.
pub type Loaded<T> = Result<(T, Vec<Problem>), ConfigError>;

/// Reads the settings of `process` with `read`.
///
/// # Errors
/// [`ConfigError`] with all problems, if at least one is fatal.
pub fn load<T>(
    environment: &Environment,
    process: Process,
    read: impl FnOnce(&mut Reader<'_>) -> T,
) -> Loaded<T> {
    let mut reader = Reader::new(environment, process);
    let settings = read(&mut reader);
    reader.finish().map(|warnings| (settings, warnings))
}
