//! A fresh cluster in a directory of its own, and clients with any identity.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use spiffe::{SpiffeId, TrustDomain};
use spike_config::HttpsUrl;
use spike_daemon::settings::Backend;
use spike_dev::{
    cluster::{Cluster, ClusterConfig, ClusterError, Daemon, TrustDomains},
    workload_api::{self, Registration},
};
use spike_domain::TrustRootsByRole;
use spike_mtls::{ClientTimeouts, client::NexusClient, svid::SvidSource};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    Credential, PATIENCE, complete_lines, eventually,
    load::Load,
    logs::{AuditLine, Metrics},
    raw::{Answer, Dialer},
};

/// The path of the superuser's SPIFFE ID.
pub const SUPERUSER: &str = "/spike/pilot/role/superuser";

/// The lifetime of an identity: longer than any test.
const KEPT: Duration = Duration::from_hours(1);

/// The most starts of a cluster, since another process may take a port just before.
const TRIES: u32 = 5;
const PORT_TAKEN: &str = "Address already in use";

/// The configuration of a cluster. The default is the memory backend, free ports, and SVIDs that last an hour.
#[derive(Clone, Debug)]
pub struct Scenario {
    binary: PathBuf,
    parent: PathBuf,
    backend: Backend,
    svid_ttl: Duration,
    settings: Vec<(String, String)>,
}

impl Scenario {
    /// A cluster whose programs are all `binary`, in a new directory below `parent`. Both should be on one file system,
    /// so that programs are links and not copies.
    pub fn new(binary: impl Into<PathBuf>, parent: impl Into<PathBuf>) -> Self {
        let (binary, parent) = (binary.into(), parent.into());
        Self { binary, parent, backend: Backend::Memory, svid_ttl: KEPT, settings: Vec::new() }
    }

    /// Nexus keeps its data there. Backends other than memory come with three Keepers, two of which are a quorum.
    #[must_use]
    pub const fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// The lifetime of the SVIDs.
    #[must_use]
    pub const fn svid_ttl(mut self, ttl: Duration) -> Self {
        self.svid_ttl = ttl;
        self
    }

    /// One more setting for every daemon.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the cluster, gives it a root key if it needs one, and waits until it is ready.
    ///
    /// # Errors
    /// The reason why it is not ready, with the log of Nexus.
    pub async fn start(&self) -> Result<Running> {
        self.bring_up(async |cluster| {
            cluster.nexus().serving(PATIENCE).await?;
            cluster.unseal(PATIENCE).await?;
            cluster.ready(PATIENCE).await
        })
        .await
    }

    /// Starts the cluster without a root key, and waits until Nexus serves.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_sealed(&self) -> Result<Running> {
        self.bring_up(async |cluster| Ok(cluster.nexus().serving(PATIENCE).await?)).await
    }

    async fn bring_up(
        &self,
        up: impl AsyncFn(&mut Cluster) -> Result<(), ClusterError>,
    ) -> Result<Running> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match self.bring_up_once(&up).await {
                // Another process took the port after it was chosen.
                Err(error) if tries > 0 && format!("{error:#}").contains(PORT_TAKEN) => {}
                other => return other,
            }
        }
    }

    async fn bring_up_once(
        &self,
        up: impl AsyncFn(&mut Cluster) -> Result<(), ClusterError>,
    ) -> Result<Running> {
        let dir = tempfile::Builder::new().prefix("cluster-").tempdir_in(&self.parent)?;
        let config = ClusterConfig {
            dir: dir.path().to_owned(),
            binary: self.binary.clone(),
            trust_domain: TrustDomain::new("spike.ist")?,
            backend: self.backend,
            keepers: 3,
            threshold: 2,
            svid_ttl: self.svid_ttl,
            usual_ports: false,
            settings: self.settings.clone(),
        };
        let mut cluster = Cluster::start(&config).await?;
        if let Err(error) = up(&mut cluster).await {
            let log = std::fs::read_to_string(cluster.nexus().log()).unwrap_or_default();
            return Err(error).context(log);
        }
        Ok(Running { cluster, _dir: dir })
    }
}

/// A running cluster. Dropping it kills it; [`Running::stop`] ends it in order.
#[derive(Debug)]
pub struct Running {
    cluster: Cluster,
    _dir: TempDir,
}

impl Running {
    /// The state directory.
    pub fn dir(&self) -> &Path {
        self.cluster.dir()
    }

    /// The Workload API of the cluster.
    pub fn workload_api(&self) -> &workload_api::Running {
        self.cluster.workload_api()
    }

    /// The trust domain of the cluster, and foreign ones to federate with.
    pub const fn trust_domains(&self) -> &Arc<TrustDomains> {
        self.cluster.trust_domains()
    }

    /// Nexus, to be signalled and waited for.
    pub const fn nexus(&mut self) -> &mut Daemon {
        self.cluster.nexus()
    }

    /// The SPIFFE ID with this path.
    ///
    /// # Errors
    /// If there is no SPIFFE ID with this path.
    pub fn id(&self, path: &str) -> Result<SpiffeId> {
        Ok(self.cluster.spiffe_id(path)?)
    }

    /// An identity that lasts longer than the test.
    ///
    /// # Errors
    /// If `path` is not the path of a SPIFFE ID.
    pub fn credential(&self, path: &str) -> Result<Credential> {
        Credential::valid(self.workload_api().ca(), self.id(path)?, KEPT)
    }

    /// A typed client with a kept identity.
    ///
    /// # Errors
    /// As [`Self::credential`].
    pub fn as_id(&self, path: &str) -> Result<NexusClient> {
        self.client(&self.credential(path)?.source()?)
    }

    /// A typed client with the identity of `source`.
    ///
    /// # Errors
    /// If the TLS library cannot be configured.
    pub fn client(&self, source: &SvidSource) -> Result<NexusClient> {
        client(source, &self.api()?)
    }

    /// A load of `kept` workers that keep their connections and `new` ones that do not, with the identity of `source`.
    ///
    /// # Errors
    /// Never, as long as Nexus has an address.
    pub fn load(&self, source: &SvidSource, kept: usize, new: usize) -> Result<Load> {
        let (source, api) = (source.clone(), self.api()?);
        Ok(Load::start(kept, new, move || client(&source, &api)))
    }

    fn api(&self) -> Result<HttpsUrl> {
        Ok(format!("https://{}", self.cluster.nexus_address()).parse()?)
    }

    /// The typed client of the superuser.
    ///
    /// # Errors
    /// As [`Self::as_id`].
    pub fn superuser(&self) -> Result<NexusClient> {
        self.as_id(SUPERUSER)
    }

    /// Makes this process follow the Workload API with the SPIFFE ID of this path, while the registration is kept. A process
    /// has one such ID per cluster at a time.
    ///
    /// # Errors
    /// If no SVID comes.
    pub async fn follow_as(&self, path: &str) -> Result<(SvidSource, Registration)> {
        let registry = self.workload_api().registry();
        let registration = registry.register(std::process::id(), self.id(path)?)?;
        let endpoint = self.workload_api().endpoint();
        let source = SvidSource::follow(&endpoint);
        source.first(&endpoint, PATIENCE).await?;
        Ok((source, registration))
    }

    /// A client that sends exactly the bytes of the test, without a certificate.
    pub fn stranger(&self) -> Dialer {
        Dialer::new(self.cluster.nexus_address())
    }

    /// A client that sends exactly the bytes of the test, with this identity.
    ///
    /// # Errors
    /// As [`Self::credential`].
    pub fn dial_as(&self, path: &str) -> Result<Dialer> {
        Ok(self.stranger().showing(&self.credential(path)?))
    }

    /// One POST of the superuser over a connection of its own.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Result<Answer> {
        self.post_as(SUPERUSER, target, body).await
    }

    /// One POST over a connection of its own.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post_as(
        &self,
        path: &str,
        target: &str,
        body: impl AsRef<[u8]>,
    ) -> Result<Answer> {
        self.dial_as(path)?.connect().await?.post(target, body).await
    }

    /// One GET of Nexus's telemetry listener: status and body.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn telemetry(&self, path: &str) -> Result<(u16, String)> {
        let nexus = self.cluster.daemons().next().context("no daemon")?;
        Ok(nexus.get(path).await?)
    }

    /// The metrics of Nexus.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn metrics(&self) -> Result<Metrics> {
        let (status, text) = self.telemetry("/metrics").await?;
        ensure!(status == 200, "/metrics answered {status}");
        Ok(Metrics::parse(&text))
    }

    /// The log of Nexus so far.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log(&self) -> Result<String> {
        complete_lines(&self.dir().join("logs/nexus.log"))
    }

    /// The audit log of Nexus so far, as text.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn audit_text(&self) -> Result<String> {
        complete_lines(&self.dir().join("logs/nexus-audit.log"))
    }

    /// The audit line of the request with this id.
    ///
    /// # Errors
    /// If there is none.
    pub fn audit_of(&self, request_id: &str) -> Result<AuditLine> {
        AuditLine::find(&self.audit_text()?, request_id)
    }

    /// Waits until a metric of Nexus satisfies `reached`.
    ///
    /// # Errors
    /// After [`PATIENCE`].
    pub async fn until_metric(&self, name: &str, reached: impl Fn(f64) -> bool) -> Result<f64> {
        eventually(name, PATIENCE, async || {
            Ok(self.metrics().await?.get(name).filter(|value| reached(*value)))
        })
        .await
    }

    /// A program of the cluster with the settings of a client and nothing else in its environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.dir().join("bin").join(program));
        command.env_clear().envs(self.cluster.client_settings());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// The settings of a client of this cluster.
    pub fn client_settings(&self) -> Vec<(String, String)> {
        self.cluster.client_settings()
    }

    /// Runs a command to its end under the SPIFFE ID with this path.
    ///
    /// # Errors
    /// If it does not start, or does not end within [`PATIENCE`].
    pub async fn run_as(&self, path: &str, command: &mut Command) -> Result<Output> {
        self.run_as_for(path, command, PATIENCE).await
    }

    /// As [`Self::run_as`], with a time limit.
    ///
    /// # Errors
    /// If it does not start, or does not end within `limit`.
    pub async fn run_as_for(
        &self,
        path: &str,
        command: &mut Command,
        limit: Duration,
    ) -> Result<Output> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (child, _registration) =
            self.workload_api().registry().spawn(command, self.id(path)?)?;
        let ended = tokio::time::timeout(limit, child.wait_with_output());
        Ok(ended.await.context("the command does not end")??)
    }

    /// Ends Nexus with SIGTERM and returns how it ended.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        Ok(self.nexus().terminate().await?)
    }

    /// Runs Bootstrap to its end, and returns its output.
    ///
    /// # Errors
    /// If it failed.
    pub async fn run_bootstrap(&self) -> Result<String> {
        Ok(self.cluster.run_bootstrap(&[]).await?)
    }

    /// Starts Nexus again after it has ended, and waits until it is ready.
    ///
    /// # Errors
    /// If it is not.
    pub async fn restart_nexus(&mut self) -> Result<()> {
        self.cluster.restart_nexus()?;
        self.nexus().serving(PATIENCE).await?;
        Ok(self.cluster.ready(PATIENCE).await?)
    }

    /// Ends everything in order.
    ///
    /// # Errors
    /// If a daemon ended with a failure.
    pub async fn stop(self) -> Result<()> {
        ensure!(self.cluster.stop().await, "a daemon did not end well");
        Ok(())
    }
}

fn client(source: &SvidSource, api: &HttpsUrl) -> Result<NexusClient> {
    let roots = Arc::new(TrustRootsByRole::default());
    Ok(NexusClient::new(source, roots, api, ClientTimeouts::default())?)
}
