//! The settings of a workload that calls Nexus.

use spike_config::{Environment, HttpsUrl, Loaded, Process, Reader, load, table};

use super::{HttpClientSettings, IdentitySettings};

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
    /// [`spike_config::ConfigError`] with all problems, where at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        load(environment, Process::Workload, Self::read)
    }
}
