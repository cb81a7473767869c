//! The settings of Bootstrap.

use std::{path::PathBuf, time::Duration};

use spike_crypto::Quorum;

use super::{Backend, LogSettings, key::KeySettings};
use spike_config::{
    Directory, Environment, HttpsUrl, KeeperPeers, Loaded, Origin, Process, Reader, load, table,
};
use spike_mtls::settings::{HttpClientSettings, IdentitySettings};

/// All settings of Bootstrap.
#[derive(Clone, Debug)]
pub struct BootstrapSettings {
    /// Its identity, and the trust roots of each role.
    pub identity: IdentitySettings,
    /// Limits of its calls.
    pub client: HttpClientSettings,
    /// How it logs.
    pub log: LogSettings,
    /// Where Nexus is.
    pub api_url: HttpsUrl,
    /// The backend of Nexus, as configured for Bootstrap: with `memory` there is nothing to do.
    pub backend: Backend,
    /// How the root key is split.
    pub quorum: Quorum,
    /// The Keepers, one for each share; `None` with the `memory` backend.
    pub keepers: Option<KeeperPeers>,
    /// Whether to make a new root key although one seems to exist.
    pub force: bool,
    /// How long the whole run may take, if there is a limit.
    pub timeout: Option<Duration>,
    /// How long delivering one share may take, if there is a limit.
    pub keeper_timeout: Option<Duration>,
    /// The number of attempts for each Keeper, including the first; at least one.
    pub keeper_attempts: u32,
    /// The first pause between two attempts.
    pub retry_initial_interval: Duration,
    /// The longest pause between two attempts.
    pub retry_max_interval: Duration,
    /// How long to wait for the proof of Nexus, if there is a limit.
    pub verification_timeout: Option<Duration>,
    /// The ConfigMap that records that Bootstrap is done.
    pub config_map: String,
    /// Whether Bootstrap runs in Kubernetes.
    pub in_kubernetes: bool,
    /// Outside of Kubernetes: the directory of the file that records that Bootstrap is done, if a lasting one exists.
    /// Not created yet.
    pub state_directory: Option<PathBuf>,
    /// Why there is no such directory, if one could not be used.
    pub state_directory_trouble: Option<String>,
    /// The name of the pod or the machine, recorded with it.
    pub host_name: Option<String>,
}

impl BootstrapSettings {
    /// Reads all settings, and collects problems.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let backend = Backend::read(reader);
        let KeySettings { quorum, keepers } = KeySettings::read(reader, backend);
        let in_kubernetes = reader.is_set(&table::KUBERNETES_SERVICE_HOST)
            && reader.is_set(&table::KUBERNETES_SERVICE_PORT);
        let (state_directory, state_directory_trouble) =
            if in_kubernetes { (None, None) } else { state_directory(reader) };
        Self {
            identity: IdentitySettings::read(reader),
            client: HttpClientSettings::read(reader),
            log: LogSettings::read(reader),
            api_url: reader.url(&table::SPIKE_NEXUS_API_URL),
            backend,
            quorum,
            keepers,
            force: reader.flag(&table::SPIKE_BOOTSTRAP_FORCE),
            timeout: reader.time_limit(&table::SPIKE_BOOTSTRAP_TIMEOUT),
            keeper_timeout: reader.time_limit(&table::SPIKE_BOOTSTRAP_KEEPER_TIMEOUT),
            keeper_attempts: reader.count(&table::SPIKE_BOOTSTRAP_KEEPER_MAX_RETRIES),
            retry_initial_interval: reader
                .duration(&table::SPIKE_BOOTSTRAP_KEEPER_RETRY_INITIAL_INTERVAL),
            retry_max_interval: reader.duration(&table::SPIKE_BOOTSTRAP_KEEPER_RETRY_MAX_INTERVAL),
            verification_timeout: reader
                .time_limit(&table::SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT),
            config_map: reader.word(&table::SPIKE_BOOTSTRAP_CONFIGMAP_NAME, object_name),
            in_kubernetes,
            state_directory,
            state_directory_trouble,
            host_name: reader.any_text(&table::HOSTNAME),
        }
    }

    /// Loads the settings, with the problems that do not prevent a start.
    ///
    /// # Errors
    /// [`spike_config::ConfigError`] with all problems, if at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        load(environment, Process::Bootstrap, Self::read)
    }
}

/// The state directory. A configured one must be usable. If the default one is not, Bootstrap works without it, and
/// reports why.
fn state_directory(reader: &mut Reader<'_>) -> (Option<PathBuf>, Option<String>) {
    let variable = &table::SPIKE_BOOTSTRAP_STATE_DIR;
    if reader.is_set(variable) {
        return (reader.directory(variable, "bootstrap").map(|directory| directory.path), None);
    }
    match reader.directory_choice(variable, "bootstrap").resolve() {
        // /tmp does not last.
        Ok(Directory { origin: Origin::Temporary, .. }) => (None, None),
        Ok(directory) => (Some(directory.path), None),
        Err(_) if !reader.is_set(&table::HOME) => (None, None),
        Err(error) => (None, Some(error.to_string())),
    }
}

/// A DNS subdomain of RFC 1123, which Kubernetes requires for the name of a ConfigMap.
fn object_name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        label.starts_with(plain)
            && label.ends_with(plain)
            && label.chars().all(|c| plain(c) || c == '-')
    };
    (text.len() <= 253 && text.split('.').all(label)).then(|| text.to_owned())
}
