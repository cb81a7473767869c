//! The settings of those who call Nexus: the command line and workloads.

use super::{HttpClientSettings, IdentitySettings, Loaded, LogSettings};
use crate::config::{DirectoryChoice, Environment, HttpsUrl, Process, Reader, table};

/// Everything that the command line is told by its environment.
#[derive(Clone, Debug)]
pub struct PilotSettings {
    /// Who it is, and whom it believes.
    pub identity: IdentitySettings,
    /// Limits of its calls.
    pub client: HttpClientSettings,
    /// How it logs.
    pub log: LogSettings,
    /// Where Nexus is.
    pub api_url: HttpsUrl,
    /// Where recovery files go. Not checked until a command resolves it: most commands have no use for it.
    pub recovery: DirectoryChoice,
}

impl PilotSettings {
    /// Reads everything, and collects what is wrong.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            identity: IdentitySettings::read(reader),
            client: HttpClientSettings::read(reader),
            log: LogSettings::read(reader),
            api_url: reader.url(&table::SPIKE_NEXUS_API_URL),
            recovery: reader.directory_choice(&table::SPIKE_PILOT_RECOVERY_DIR, "recover"),
        }
    }

    /// The settings, and the problems that do not keep a command from running.
    ///
    /// # Errors
    /// [`crate::config::ConfigError`] with all problems, where at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        super::load(environment, Process::Pilot, Self::read)
    }
}

/// Everything that a workload's SDK is told by the environment.
#[derive(Clone, Debug)]
pub struct WorkloadSettings {
    /// Where the SVID comes from, and where Nexus lives.
    pub identity: IdentitySettings,
    /// Limits of the calls.
    pub client: HttpClientSettings,
    /// Where Nexus is.
    pub api_url: HttpsUrl,
}

impl WorkloadSettings {
    /// Reads everything, and collects what is wrong.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            identity: IdentitySettings::read(reader),
            client: HttpClientSettings::read(reader),
            api_url: reader.url(&table::SPIKE_NEXUS_API_URL),
        }
    }

    /// The settings, and the problems that do not keep a client from working.
    ///
    /// # Errors
    /// [`crate::config::ConfigError`] with all problems, where at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        super::load(environment, Process::Workload, Self::read)
    }
}
