//! The settings of each process, in types that cannot hold an invalid value.
//!
//! `main` calls `load` of its process's settings. Groups of settings that several processes have are types of their
//! own.

mod audit;
mod bootstrap;
mod http;
mod keeper;
mod key;
mod log;
mod nexus;
mod pilot;

pub use audit::{AuditSettings, AuditSync};
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
