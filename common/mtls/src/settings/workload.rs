//! The settings of a workload that calls Nexus.

use spike_config::{Environment, HttpsUrl, Loaded, Process, Reader, load, table};

use super::{HttpClientSettings, IdentitySettings};

/// All settings of a workload.
#[derive(Clone, Debug)]
pub struct WorkloadSettings {
    /// The source of the SVID, and the trust roots of Nexus.
    pub identity: IdentitySettings,
    /// Limits of the calls.
    pub client: HttpClientSettings,
    /// The URL of Nexus.
    pub api_url: HttpsUrl,
}

impl WorkloadSettings {
    /// Reads all settings, and collects problems.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            identity: IdentitySettings::read(reader),
            client: HttpClientSettings::read(reader),
            api_url: reader.url(&table::SPIKE_NEXUS_API_URL),
        }
    }

    /// Loads the settings, with the problems that do not prevent a client from working.
    ///
    /// # Errors
    /// [`spike_config::ConfigError`] with all problems, if at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        load(environment, Process::Workload, Self::read)
    }
}
