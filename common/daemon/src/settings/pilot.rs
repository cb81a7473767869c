//! The settings of the command line.

use super::LogSettings;
use spike_config::{DirectoryChoice, Environment, HttpsUrl, Loaded, Process, Reader, load, table};
use spike_mtls::settings::{HttpClientSettings, IdentitySettings};

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
    /// [`spike_config::ConfigError`] with all problems, where at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        load(environment, Process::Pilot, Self::read)
    }
}
