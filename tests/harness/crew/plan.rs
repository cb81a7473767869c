//! The configuration of a crew, and its start.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use spiffe::TrustDomain;
use spike_daemon::settings::Backend;
use spike_dev::cluster::{Cluster, ClusterConfig};
use spike_domain::DEFAULT_TRUST_ROOT;

use super::{Crew, KEPT};
use crate::PATIENCE;

/// The most starts of a cluster, since another process may take a port just before.
const TRIES: u32 = 5;
const PORT_TAKEN: &str = "Address already in use";

/// The configuration of a crew. The default is sqlite and three Keepers, of which two are a quorum.
#[derive(Clone, Debug)]
pub struct CrewPlan {
    binary: PathBuf,
    parent: PathBuf,
    trust_domain: String,
    backend: Backend,
    keepers: u16,
    threshold: u16,
    svid_ttl: Duration,
    settings: Vec<(String, String)>,
}

impl CrewPlan {
    /// A crew whose programs are all `binary`, in a new directory below `parent`.
    pub fn new(binary: impl Into<PathBuf>, parent: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            parent: parent.into(),
            trust_domain: DEFAULT_TRUST_ROOT.to_owned(),
            backend: Backend::Sqlite,
            keepers: 3,
            threshold: 2,
            svid_ttl: KEPT,
            settings: Vec::new(),
        }
    }

    /// Everybody lives in this trust domain, and not in the one that settings have by default.
    #[must_use]
    pub fn trust_domain(mut self, trust_domain: impl Into<String>) -> Self {
        self.trust_domain = trust_domain.into();
        self
    }

    /// Nexus keeps its data there.
    #[must_use]
    pub const fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// So many Keepers, and how many of them are a quorum.
    #[must_use]
    pub const fn keepers(mut self, keepers: u16, threshold: u16) -> Self {
        (self.keepers, self.threshold) = (keepers, threshold);
        self
    }

    /// The lifetime of the SVIDs. The default is longer than any test.
    #[must_use]
    pub const fn svid_ttl(mut self, ttl: Duration) -> Self {
        self.svid_ttl = ttl;
        self
    }

    /// No Keepers of the cluster's own: those at `urls`, and how many of them are a quorum.
    #[must_use]
    pub fn keepers_at(mut self, urls: &[String], threshold: u16) -> Self {
        self.keepers = 0;
        self.threshold = threshold;
        self.setting("SPIKE_NEXUS_KEEPER_PEERS", urls.join(","))
            .setting("SPIKE_NEXUS_SHAMIR_SHARES", urls.len().to_string())
    }

    /// One more setting for every daemon and for Bootstrap.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    /// Starts every daemon, and waits until all serve. There is no root key yet.
    ///
    /// # Errors
    /// The reason why a daemon does not serve, with its log.
    pub async fn start_sealed(&self) -> Result<Crew> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match self.start_once().await {
                // Another process took the port after it was chosen.
                Err(error) if tries > 0 && format!("{error:#}").contains(PORT_TAKEN) => {}
                other => return other,
            }
        }
    }

    /// Starts every daemon, runs Bootstrap, and waits until all are ready.
    ///
    /// # Errors
    /// As [`Self::start_sealed`].
    pub async fn start(&self) -> Result<Crew> {
        let mut crew = self.start_sealed().await?;
        let told = crew.bootstrap(&[]).await?;
        ensure!(told.status == 0, "{}", told.text);
        crew.cluster.ready(PATIENCE).await?;
        Ok(crew)
    }

    async fn start_once(&self) -> Result<Crew> {
        let dir = tempfile::Builder::new().prefix("crew-").tempdir_in(&self.parent)?;
        let config = ClusterConfig {
            dir: dir.path().to_owned(),
            binary: self.binary.clone(),
            trust_domain: TrustDomain::new(&self.trust_domain)?,
            backend: self.backend,
            keepers: self.keepers,
            threshold: self.threshold,
            svid_ttl: self.svid_ttl,
            usual_ports: false,
            settings: self.settings.clone(),
        };
        let mut cluster = Cluster::start(&config).await?;
        // All of them, since a test may call a Keeper first.
        for daemon in cluster.daemons_mut() {
            if let Err(error) = daemon.serving(PATIENCE).await {
                let log = std::fs::read_to_string(daemon.log()).unwrap_or_default();
                return Err(error).context(log);
            }
        }
        Ok(Crew { cluster, keepers: self.keepers, _dir: dir })
    }
}
