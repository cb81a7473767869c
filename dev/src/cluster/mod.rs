//! A whole SPIKE on this machine: a Workload API in this process, and each daemon in a process of its own.
//!
//! Owns the addresses and settings of the daemons, and their start and end. It holds no secret of the daemons. A daemon is
//! ready when its telemetry says so.

mod daemon;
mod dev_shares;
mod end_reason;
mod plan;
mod ports;
mod short_paths;
mod state_dir;
mod trust_domains;

use std::{
    io,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::Signal;
use spiffe::{SpiffeId, TrustDomain};
use spike_config::{HttpsUrl, HttpsUrlError};
use spike_daemon::settings::Backend;
use spike_mtls::clock;
use tokio::process::Command;

pub(crate) use self::trust_domains::Api;
pub use self::{
    daemon::{Daemon, DaemonError},
    dev_shares::DevSharesError,
    state_dir::StateDirError,
    trust_domains::{FederationError, TrustDomains},
};
use self::{
    dev_shares::DevShares,
    plan::{Plans, Settings, api_url, identity_settings, program_id},
    ports::Ports,
    short_paths::ShortPaths,
    state_dir::StateDir,
};
use crate::{
    ca::{Ca, CaError},
    links,
    workload_api::{self, RegisterError, WorkloadApi},
};

/// The configuration of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The state directory. It is made if it is missing.
    pub dir: PathBuf,
    /// The binary that runs as every program: see [`crate::programs`].
    pub binary: PathBuf,
    /// The trust domain of every identity.
    pub trust_domain: TrustDomain,
    /// Where Nexus keeps its data.
    pub backend: Backend,
    /// The number of Keepers and shares. The memory backend has no Keepers.
    pub keepers: u16,
    /// How many shares rebuild the root key.
    pub threshold: u16,
    /// How long an X.509-SVID lasts.
    pub svid_ttl: Duration,
    /// Use the usual ports if they are free. If this is false, always use others.
    pub usual_ports: bool,
    /// More settings for every daemon. They have priority over those of the cluster.
    pub settings: Vec<(String, String)>,
}

/// The database of Nexus in the state directory.
const DATABASE: &str = "data/nexus.db";

/// A running cluster. Dropping it kills every daemon; [`Cluster::stop`] ends them in order.
#[derive(Debug)]
pub struct Cluster {
    trust_domain: TrustDomain,
    /// Shared with the control socket.
    trust_domains: Arc<TrustDomains>,
    threshold: u16,
    /// Whether Nexus keeps a database.
    has_database: bool,
    nexus: Daemon,
    keepers: Vec<Daemon>,
    bootstrap: Settings,
    /// The paths that cannot be in the state directory.
    short_paths: ShortPaths,
    /// The last field, so that the directory is unlocked after everything else of this cluster has ended.
    state: StateDir,
}

/// A daemon that has ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// The daemon.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its own messages about the end; empty if it wrote none.
    pub told: String,
    /// The process that has taken its place.
    pub next: Option<u32>,
}

/// Why a cluster does not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The authority cannot be made or read.
    #[error("no certificate authority")]
    Ca(#[from] CaError),
    /// The Workload API does not start.
    #[error("no SPIFFE Workload API")]
    WorkloadApi(#[from] workload_api::Error),
    /// No port is free.
    #[error("no free port")]
    Port(#[source] io::Error),
    /// A daemon does not start, or does not become ready.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Bootstrap failed.
    #[error("bootstrap ended with {status}:\n{}", end_reason::plain_lines(told).join("\n"))]
    Bootstrap {
        /// How it ended.
        status: ExitStatus,
        /// Its output.
        told: String,
    },
    /// Bootstrap does not start.
    #[error("bootstrap does not start")]
    BootstrapStart(#[source] RegisterError),
    /// Bootstrap cannot be waited for.
    #[error("bootstrap cannot be waited for")]
    BootstrapWait(#[source] io::Error),
    /// The shares of an earlier run cannot be kept or used.
    #[error(transparent)]
    DevShares(#[from] DevSharesError),
    /// The address of Nexus is invalid, which is a bug.
    #[error("the address of Nexus is invalid")]
    Address(#[source] HttpsUrlError),
}

impl Cluster {
    /// Starts the Workload API and every daemon, and returns when all processes run. [`Self::ready`] waits until they are ready.
    ///
    /// # Errors
    /// [`ClusterError`] says what failed.
    pub async fn start(config: &ClusterConfig) -> Result<Self, ClusterError> {
        let state = StateDir::open(&config.dir)?;
        let dir = state.path();
        let in_dir = |part: &str| {
            let path = dir.join(part);
            move |source| StateDirError::File { path, source }
        };
        links::install(&config.binary, &dir.join("bin")).map_err(in_dir("bin"))?;
        let ca = Ca::load_or_new(&dir.join("ca"), config.trust_domain.clone(), clock::now())?;
        let short_paths = ShortPaths::of(dir).map_err(in_dir(""))?;
        let workload_api = WorkloadApi::start(workload_api::Config {
            socket: short_paths.socket.clone(),
            ca: Arc::new(ca),
            svid_ttl: config.svid_ttl,
        })
        .await?;
        let mut ports = Ports::new(config.usual_ports);
        let identity = identity_settings(&config.trust_domain, &workload_api);
        let plans = Plans::new(config, dir, &identity, &mut ports).map_err(ClusterError::Port)?;
        drop(ports);
        let registry = workload_api.registry();
        let keepers = plans.keepers.into_iter().map(|plan| Daemon::start(plan, registry));
        let keepers = keepers.collect::<Result<_, _>>()?;
        let nexus = Daemon::start(plans.nexus, registry)?;
        let trust_domains = TrustDomains::new(workload_api, dir, config.svid_ttl);
        Ok(Self {
            trust_domain: config.trust_domain.clone(),
            trust_domains: Arc::new(trust_domains),
            threshold: config.threshold,
            has_database: config.backend == Backend::Sqlite,
            nexus,
            keepers,
            bootstrap: plans.bootstrap,
            short_paths,
            state,
        })
    }

    /// Gives Nexus its root key: feeds back the shares that an earlier run kept, or makes a key and keeps its shares. Does nothing
    /// on the memory backend.
    ///
    /// # Errors
    /// [`ClusterError`] with the message of Bootstrap or Nexus.
    pub async fn unseal(&mut self, limit: Duration) -> Result<(), ClusterError> {
        if self.keepers.is_empty() {
            return Ok(());
        }
        let nexus = self.api_url()?;
        let shares = DevShares::of(self.dir());
        let quorum = (self.keepers.len(), self.threshold);
        let database = self.dir().join(DATABASE);
        shares.check(quorum, self.has_database.then_some(database.as_path()))?;
        self.nexus.serving(limit).await?;
        if shares.exist() {
            let ca = self.workload_api().ca();
            return Ok(shares.restore(self.threshold, ca, &nexus).await?);
        }
        self.run_bootstrap(&[]).await?;
        self.nexus.ready(limit).await?;
        Ok(shares.save(quorum, self.workload_api().ca(), &nexus).await?)
    }

    /// Runs `bootstrap -init` to its end with these additional settings, and returns its output.
    ///
    /// # Errors
    /// [`ClusterError::Bootstrap`] with its status and output.
    pub async fn run_bootstrap(
        &self,
        settings: &[(String, String)],
    ) -> Result<String, ClusterError> {
        let mut command = Command::new(self.dir().join("bin/bootstrap"));
        command
            .arg("-init")
            .envs(self.bootstrap.iter().chain(settings).map(|(name, value)| (name, value)))
            .env(links::CHILD, "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let id = program_id(&self.trust_domain, "/spike/bootstrap");
        let (child, _registration) = self
            .workload_api()
            .registry()
            .spawn(&mut command, id)
            .map_err(ClusterError::BootstrapStart)?;
        let output = child.wait_with_output().await.map_err(ClusterError::BootstrapWait)?;
        let mut told = String::from_utf8_lossy(&output.stdout).into_owned();
        told.push_str(&String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            Ok(told)
        } else {
            Err(ClusterError::Bootstrap { status: output.status, told })
        }
    }

    /// Waits until every daemon is ready.
    ///
    /// # Errors
    /// [`ClusterError::Daemon`] after `limit`, with the daemon that is not ready and its reason.
    pub async fn ready(&mut self, limit: Duration) -> Result<(), ClusterError> {
        for daemon in self.daemons_mut() {
            daemon.ready(limit).await?;
        }
        Ok(())
    }

    /// Ends every daemon with SIGTERM, and then the Workload API. Returns whether all ended without failure.
    pub async fn stop(mut self) -> bool {
        let mut clean = true;
        for daemon in self.daemons_mut() {
            clean &= daemon.terminate().await.is_ok_and(ended_as_asked);
        }
        self.trust_domains.stop().await;
        clean
    }

    /// The state directory, as an absolute path.
    pub fn dir(&self) -> &Path {
        self.state.path()
    }

    /// The directory of the programs. Its path contains no colon, so it can be on `PATH`.
    pub fn bin(&self) -> &Path {
        &self.short_paths.bin
    }

    /// The Workload API: for registering processes, rotating SVIDs, and pausing it.
    pub fn workload_api(&self) -> &workload_api::Running {
        self.trust_domains.own()
    }

    /// The trust domain of the cluster, and foreign ones to federate with.
    pub const fn trust_domains(&self) -> &Arc<TrustDomains> {
        &self.trust_domains
    }

    /// Nexus.
    pub const fn nexus(&mut self) -> &mut Daemon {
        &mut self.nexus
    }

    /// Starts Nexus again after it has ended, with the same settings.
    ///
    /// # Errors
    /// [`ClusterError::Daemon`].
    pub fn restart_nexus(&mut self) -> Result<(), ClusterError> {
        Ok(self.nexus.restart(self.trust_domains.own().registry())?)
    }

    /// A Keeper, by the index of its share.
    pub fn keeper(&mut self, index: usize) -> Option<&mut Daemon> {
        self.keepers.get_mut(index.checked_sub(1)?)
    }

    /// Starts a Keeper again after it has ended, with the same settings.
    ///
    /// # Errors
    /// [`ClusterError::Daemon`].
    pub fn restart_keeper(&mut self, index: usize) -> Result<(), ClusterError> {
        let registry = self.workload_api().registry().clone();
        match self.keeper(index) {
            Some(keeper) => Ok(keeper.restart(&registry)?),
            None => Ok(()),
        }
    }

    /// Waits until any daemon ends, and starts it again after `pause`. Returns which one ended, and how.
    ///
    /// # Errors
    /// [`ClusterError::Daemon`] if it does not start again.
    pub async fn restart_next(&mut self, pause: Duration) -> Result<Ended, ClusterError> {
        let registry = self.trust_domains.own().registry();
        let waits = std::iter::once(&mut self.nexus).chain(&mut self.keepers).map(|daemon| {
            Box::pin(async move {
                let status = daemon.wait().await;
                (daemon, status)
            })
        });
        let ((daemon, status), _, _) = futures_util::future::select_all(waits).await;
        let status = status?;
        let told = daemon.end_reason(status);
        tokio::time::sleep(pause).await;
        daemon.restart(registry)?;
        Ok(Ended { name: daemon.name().to_owned(), status, told, next: daemon.pid() })
    }

    /// Every daemon, Nexus first.
    pub fn daemons_mut(&mut self) -> impl Iterator<Item = &mut Daemon> {
        std::iter::once(&mut self.nexus).chain(&mut self.keepers)
    }

    /// Every daemon, Nexus first, read-only.
    pub fn daemons(&self) -> impl Iterator<Item = &Daemon> {
        std::iter::once(&self.nexus).chain(&self.keepers)
    }

    /// The address of Nexus.
    pub const fn nexus_address(&self) -> SocketAddr {
        self.nexus.tls()
    }

    /// The settings that a client needs, except `PATH`.
    pub fn client_settings(&self) -> Vec<(String, String)> {
        let mut settings = identity_settings(&self.trust_domain, self.workload_api());
        settings.push(("SPIKE_NEXUS_API_URL".to_owned(), api_url(self.nexus.tls())));
        settings
    }

    fn api_url(&self) -> Result<HttpsUrl, ClusterError> {
        api_url(self.nexus.tls()).parse().map_err(ClusterError::Address)
    }

    /// The SPIFFE ID with this path in the cluster's trust domain.
    ///
    /// # Errors
    /// The reason, if the path is not that of a SPIFFE ID.
    pub fn spiffe_id(&self, path: &str) -> Result<SpiffeId, spiffe::SpiffeIdError> {
        SpiffeId::new(format!("{}{path}", self.trust_domain.id_string()))
    }
}

/// Whether a daemon ended without failure after SIGTERM. A daemon that has just started does not handle the signal yet, and has
/// nothing to finish.
fn ended_as_asked(status: ExitStatus) -> bool {
    status.success() || status.signal() == Some(Signal::TERM.as_raw())
}
