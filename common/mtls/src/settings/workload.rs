//! The settings of a workload that calls Nexus.

use std::time::Duration;

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
    /// How long a call may take with all its tries.
    pub deadline: Duration,
    /// How many times a call is tried; 0 means until the deadline.
    pub max_tries: u32,
}

impl WorkloadSettings {
    /// Reads all settings, and collects problems.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            identity: IdentitySettings::read(reader),
            client: HttpClientSettings::read(reader),
            api_url: reader.url(&table::SPIKE_NEXUS_API_URL),
            deadline: reader.duration(&table::SPIKE_SDK_DEADLINE),
            max_tries: reader.count(&table::SPIKE_SDK_MAX_TRIES),
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
