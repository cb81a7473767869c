//! Settings: every environment variable that a SPIKE process reads, read once and checked whole.
//!
//! [`table`] lists the variables; it is the one place that says what each is called, who reads it, what it may be and
//! what it is when unset. A [`Reader`] reads an [`Environment`] by that table for one [`Process`] and collects every
//! [`Problem`], so that an operator mends a configuration in one go. The groups ([`NexusSettings`] and the others) turn
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
mod settings;
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
pub use settings::{
    Backend, BootstrapSettings, DatabaseSettings, HttpClientSettings, HttpServerSettings,
    IdentitySettings, ImportSettings, JournalMode, KeeperSettings, Level, LogSettings,
    NexusSettings, PilotSettings, ReservedPaths, TelemetrySettings, WorkloadSettings,
};
pub use table::{Process, Variable};
pub use url::{HttpsUrl, HttpsUrlError};
