//! What each process is told by its environment, in types that cannot hold a bad value.
//!
//! `load` of the settings of a process is the one call a `main` makes; the groups in it are what several processes
//! share.

mod bootstrap;
mod http;
mod keeper;
mod key;
mod log;
mod nexus;
mod pilot;

pub use bootstrap::BootstrapSettings;
pub use http::HttpServerSettings;
pub use keeper::KeeperSettings;
pub use log::{Level, LogSettings, TelemetrySettings};
pub use nexus::{
    Backend, DatabaseSettings, ImportSettings, JournalMode, NexusSettings, ReservedPaths,
};
pub use pilot::PilotSettings;

#[cfg(test)]
mod tests;
