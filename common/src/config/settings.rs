//! What each process is told by its environment, in types that cannot hold a bad value.
//!
//! `load` of the settings of a process is the one call a `main` makes; the groups in it are what several processes
//! share.

mod bootstrap;
mod http;
mod identity;
mod keeper;
mod key;
mod log;
mod nexus;
mod pilot;

pub use bootstrap::BootstrapSettings;
pub use http::{HttpClientSettings, HttpServerSettings};
pub use identity::IdentitySettings;
pub use keeper::KeeperSettings;
pub use log::{Level, LogSettings, TelemetrySettings};
pub use nexus::{
    Backend, DatabaseSettings, ImportSettings, JournalMode, NexusSettings, ReservedPaths,
};
pub use pilot::{PilotSettings, WorkloadSettings};

use super::{ConfigError, Environment, Problem, Process, Reader};

/// Settings, and what was not as it should be but does no harm.
type Loaded<T> = Result<(T, Vec<Problem>), ConfigError>;

fn load<T>(
    environment: &Environment,
    process: Process,
    read: impl FnOnce(&mut Reader<'_>) -> T,
) -> Loaded<T> {
    let mut reader = Reader::new(environment, process);
    let settings = read(&mut reader);
    reader.finish().map(|warnings| (settings, warnings))
}

#[cfg(test)]
mod tests;
