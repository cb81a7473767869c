//! The settings of each daemon.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use spiffe::{SpiffeId, TrustDomain};
use spike_daemon::settings::Backend;

use super::{ClusterConfig, ports::Ports};
use crate::workload_api;

/// Settings as names and values of the environment.
pub(super) type Settings = Vec<(String, String)>;

/// How a daemon is started: its identity, addresses, settings and logs.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) id: SpiffeId,
    pub(super) settings: Settings,
    pub(super) tls: SocketAddr,
    pub(super) telemetry: SocketAddr,
    pub(super) log: PathBuf,
    pub(super) audit: PathBuf,
}

/// The plans of all daemons, and the settings of the other programs.
#[derive(Debug)]
pub(super) struct Plans {
    pub(super) nexus: Plan,
    pub(super) keepers: Vec<Plan>,
    /// The settings of Bootstrap.
    pub(super) bootstrap: Settings,
}

impl Plans {
    pub(super) fn new(
        config: &ClusterConfig,
        dir: &Path,
        identity: &Settings,
        ports: &mut Ports,
    ) -> io::Result<Self> {
        let count = if config.backend == Backend::Memory { 0 } else { config.keepers };
        let keepers = (1..=count)
            .map(|number| keeper(config, dir, identity, number, ports))
            .collect::<io::Result<Vec<_>>>()?;
        let root_key = root_key_settings(config, &keepers);
        let mut nexus =
            daemon(config, dir, identity, "nexus", "/spike/nexus", (8553, 9553), ports)?;
        let (tls, telemetry) = (nexus.tls, nexus.telemetry);
        add(
            &mut nexus.settings,
            [
                ("SPIKE_NEXUS_TLS_PORT", tls.to_string()),
                ("SPIKE_NEXUS_TELEMETRY_ADDR", telemetry.to_string()),
                ("SPIKE_NEXUS_DATA_DIR", dir.display().to_string()),
            ],
        );
        nexus.settings.extend(root_key.iter().cloned());
        nexus.settings.extend(config.settings.iter().cloned());
        let mut bootstrap = identity.clone();
        bootstrap.extend(root_key);
        add(
            &mut bootstrap,
            [
                ("SPIKE_NEXUS_API_URL", api_url(tls)),
                ("SPIKE_BOOTSTRAP_STATE_DIR", dir.display().to_string()),
            ],
        );
        bootstrap.extend(config.settings.iter().cloned());
        Ok(Self { nexus, keepers, bootstrap })
    }
}

/// The address of a Nexus on this machine, for its clients.
pub(super) fn api_url(tls: SocketAddr) -> String {
    format!("https://localhost:{}", tls.port())
}

/// The trust roots of all roles, and the address of the Workload API.
pub(super) fn identity_settings(
    trust_domain: &TrustDomain,
    workload_api: &workload_api::Running,
) -> Settings {
    let mut settings = vec![("SPIFFE_ENDPOINT_SOCKET".to_owned(), workload_api.endpoint())];
    for role in ["", "_NEXUS", "_KEEPER", "_BOOTSTRAP", "_PILOT", "_LITE_WORKLOAD"] {
        settings.push((format!("SPIKE_TRUST_ROOT{role}"), trust_domain.to_string()));
    }
    settings
}

/// The SPIFFE ID of one of our own programs.
pub(super) fn program_id(trust_domain: &TrustDomain, path: &str) -> SpiffeId {
    #[expect(clippy::expect_used, reason = "both parts are valid, so is the whole")]
    SpiffeId::new(format!("{}{path}", trust_domain.id_string())).expect("a valid SPIFFE ID")
}

fn keeper(
    config: &ClusterConfig,
    dir: &Path,
    identity: &Settings,
    number: u16,
    ports: &mut Ports,
) -> io::Result<Plan> {
    let name = format!("keeper-{number}");
    // Upstream's ports on one machine: 8443, 8543, 8643 and so on.
    let usual = number.saturating_sub(1).saturating_mul(100).saturating_add(8443);
    let usual = (usual, usual.saturating_add(1000));
    let mut plan = daemon(config, dir, identity, &name, "/spike/keeper", usual, ports)?;
    let (tls, telemetry) = (plan.tls, plan.telemetry);
    add(
        &mut plan.settings,
        [
            ("SPIKE_KEEPER_TLS_PORT", tls.to_string()),
            ("SPIKE_KEEPER_TELEMETRY_ADDR", telemetry.to_string()),
        ],
    );
    plan.settings.extend(config.settings.iter().cloned());
    Ok(plan)
}

fn daemon(
    config: &ClusterConfig,
    dir: &Path,
    identity: &Settings,
    name: &str,
    id: &str,
    usual: (u16, u16),
    ports: &mut Ports,
) -> io::Result<Plan> {
    let program = name.split('-').next().unwrap_or(name);
    let mut settings = identity.clone();
    let log = [("SPIKE_SYSTEM_LOG_LEVEL", "INFO"), ("SPIKE_BANNER_ENABLED", "false")];
    add(&mut settings, log.map(|(name, value)| (name, value.to_owned())));
    Ok(Plan {
        name: name.to_owned(),
        program: dir.join("bin").join(program),
        id: program_id(&config.trust_domain, id),
        settings,
        tls: ports.take(usual.0)?,
        telemetry: ports.take(usual.1)?,
        log: dir.join(format!("logs/{name}.log")),
        audit: dir.join(format!("logs/{name}-audit.log")),
    })
}

/// The settings that Nexus and Bootstrap must have in common.
fn root_key_settings(config: &ClusterConfig, keepers: &[Plan]) -> Settings {
    let mut settings = Settings::new();
    add(&mut settings, [("SPIKE_NEXUS_BACKEND_STORE", config.backend.to_string())]);
    if config.backend == Backend::Memory {
        return settings;
    }
    let peers: Vec<String> = keepers.iter().map(|keeper| api_url(keeper.tls)).collect();
    add(
        &mut settings,
        [
            ("SPIKE_NEXUS_KEEPER_PEERS", peers.join(",")),
            ("SPIKE_NEXUS_SHAMIR_SHARES", config.keepers.to_string()),
            ("SPIKE_NEXUS_SHAMIR_THRESHOLD", config.threshold.to_string()),
        ],
    );
    settings
}

fn add<const N: usize>(settings: &mut Settings, more: [(&str, String); N]) {
    settings.extend(more.map(|(name, value)| (name.to_owned(), value)));
}
