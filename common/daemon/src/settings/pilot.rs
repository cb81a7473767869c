//! The settings of the command line.

use super::LogSettings;
use spike_config::{DirectoryChoice, Environment, HttpsUrl, Loaded, Process, Reader, load, table};
use spike_mtls::settings::{HttpClientSettings, IdentitySettings};

/// All settings of the command line.
#[derive(Clone, Debug)]
pub struct PilotSettings {
    /// Its identity, and the trust roots of each role.
    pub identity: IdentitySettings,
    /// Limits of its calls.
    pub client: HttpClientSettings,
    /// How it logs.
    pub log: LogSettings,
    /// Where Nexus is.
    pub api_url: HttpsUrl,
    /// Where recovery files are stored. It is checked only when a command needs it.
    pub recovery: DirectoryChoice,
}

impl PilotSettings {
    /// Reads all settings, and collects problems.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            identity: IdentitySettings::read(reader),
            client: HttpClientSettings::read(reader),
            log: LogSettings::read(reader),
            api_url: reader.url(&table::SPIKE_NEXUS_API_URL),
            recovery: reader.directory_choice(&table::SPIKE_PILOT_RECOVERY_DIR, "recover"),
        }
    }

    /// Loads the settings, with the problems that do not prevent a command.
    ///
    /// # Errors
    /// [`spike_config::ConfigError`] with all problems, if at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        load(environment, Process::Pilot, Self::read)
    }
}
