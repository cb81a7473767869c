//! A crew: a cluster of Nexus and Keepers with a root key. A test can kill, change and restart each daemon.

mod plan;
mod surroundings;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use spike_crypto::{Share, ShareIndex, ShareValue};
use spike_dev::cluster::{Cluster, ClusterError, Daemon};
use spike_domain::{TrustRoots, TrustRootsByRole};
use spike_mtls::{
    ClientTimeouts,
    client::{CallError, NexusClient},
};
use spike_wire::{KeeperStatusKind, RestoreRequest, RestoreResponse, Shard, StatusResponse};
use tempfile::TempDir;

pub use self::plan::CrewPlan;
use crate::{
    Credential, PATIENCE, SUPERUSER, complete_lines, eventually, logs::Metrics, raw::Dialer,
};

/// The path of the SPIFFE ID that may take recovery shares out.
pub const RECOVERER: &str = "/spike/pilot/role/recover";
/// The path of the SPIFFE ID that may feed recovery shares back.
pub const RESTORER: &str = "/spike/pilot/role/restore";

/// The lifetime of an identity: longer than any test.
const KEPT: Duration = Duration::from_hours(1);

/// A running crew. Dropping it kills it; [`Crew::stop`] ends it in order.
#[derive(Debug)]
pub struct Crew {
    cluster: Cluster,
    keepers: u16,
    _dir: TempDir,
}

/// The result of a run of Bootstrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapRun {
    /// The exit status.
    pub status: i32,
    /// Everything that it printed.
    pub text: String,
}

impl Crew {
    /// The cluster itself.
    pub const fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        self.cluster.dir()
    }

    /// Nexus.
    pub const fn nexus(&mut self) -> &mut Daemon {
        self.cluster.nexus()
    }

    /// A Keeper, by the index of its share.
    ///
    /// # Errors
    /// If there is none.
    pub fn keeper(&mut self, index: u16) -> Result<&mut Daemon> {
        self.cluster.keeper(index.into()).with_context(|| format!("no Keeper {index}"))
    }

    /// The address of a Keeper, as `SPIKE_NEXUS_KEEPER_PEERS` has it.
    ///
    /// # Errors
    /// If there is none.
    pub fn keeper_url(&mut self, index: u16) -> Result<String> {
        Ok(format!("https://localhost:{}", self.keeper(index)?.tls().port()))
    }

    /// Kills these Keepers. Their shares are lost.
    ///
    /// # Errors
    /// If one cannot be killed.
    pub async fn kill_keepers(&mut self, indexes: impl IntoIterator<Item = u16>) -> Result<()> {
        for index in indexes {
            self.keeper(index)?.kill().await?;
        }
        Ok(())
    }

    /// Starts these Keepers again, and waits until they serve. They hold nothing.
    ///
    /// # Errors
    /// If one does not.
    pub async fn restart_keepers(&mut self, indexes: impl IntoIterator<Item = u16>) -> Result<()> {
        for index in indexes {
            self.cluster.restart_keeper(index.into())?;
            self.keeper(index)?.serving(PATIENCE).await?;
        }
        Ok(())
    }

    /// Kills Nexus, starts it again with its current settings, and waits until it serves.
    ///
    /// # Errors
    /// If it does not.
    pub async fn crash_nexus(&mut self) -> Result<()> {
        self.nexus().kill().await?;
        self.start_nexus().await
    }

    /// Starts Nexus again after it has ended, and waits until it serves.
    ///
    /// # Errors
    /// If it does not.
    pub async fn start_nexus(&mut self) -> Result<()> {
        self.cluster.restart_nexus()?;
        Ok(self.nexus().serving(PATIENCE).await?)
    }

    /// Kills and restarts every Keeper and Nexus, so that everything that is not on a disk is lost.
    ///
    /// # Errors
    /// If one does not.
    pub async fn black_out(&mut self) -> Result<()> {
        self.nexus().kill().await?;
        self.kill_keepers(1..=self.keepers).await?;
        self.restart_keepers(1..=self.keepers).await?;
        self.start_nexus().await
    }

    /// Waits until Nexus says that it is ready, and returns how long that took.
    ///
    /// # Errors
    /// The reason of Nexus, if it is not ready within `limit`.
    pub async fn ready(&mut self, limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        self.nexus().ready(limit).await?;
        Ok(start.elapsed())
    }

    /// Waits until Nexus says that it is not ready, with a reason that contains `part`.
    ///
    /// # Errors
    /// What Nexus says instead.
    pub async fn sealed_because(&mut self, part: &str) -> Result<String> {
        let mut said = String::new();
        let waited = eventually(part, PATIENCE, async || {
            // A daemon that starts, or a busy machine, may reset a probe.
            let Ok((status, body)) = self.nexus().get("/readyz").await else { return Ok(None) };
            said.clone_from(&body);
            Ok((status == 503 && body.contains(part)).then_some(body))
        })
        .await;
        waited.with_context(|| format!("/readyz says {said:?}"))
    }

    /// Waits until the health check of that name fails, with a reason that contains `part`.
    ///
    /// # Errors
    /// What Nexus says instead.
    pub async fn check_fails(&mut self, check: &str, part: &str) -> Result<String> {
        let mut said = Value::Null;
        let waited = eventually(part, PATIENCE, async || {
            said = self.health_check(check).await?;
            let text = |field| said.get(field).and_then(Value::as_str).unwrap_or_default();
            let fails = text("status") != "ok" && text("reason").contains(part);
            Ok(fails.then(|| text("reason").to_owned()))
        })
        .await;
        waited.with_context(|| format!("{check} says {said}"))
    }

    /// The entry of one check in `/healthz` of Nexus; `null` if there is none of that name.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn health_check(&mut self, name: &str) -> Result<Value> {
        let report: Value = serde_json::from_str(&self.nexus().get("/healthz").await?.1)?;
        Ok(report.pointer(&format!("/checks/{name}")).cloned().unwrap_or_default())
    }

    /// The metrics of Nexus.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn metrics(&mut self) -> Result<Metrics> {
        Ok(Metrics::parse(&self.nexus().get("/metrics").await?.1))
    }

    /// Runs `bootstrap -init` with more settings.
    ///
    /// # Errors
    /// If it does not run at all.
    pub async fn bootstrap(&self, settings: &[(&str, &str)]) -> Result<BootstrapRun> {
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        match self.cluster.run_bootstrap(&settings).await {
            Ok(text) => Ok(BootstrapRun { status: 0, text }),
            Err(ClusterError::Bootstrap { status, told }) => {
                Ok(BootstrapRun { status: status.code().context("ended by a signal")?, text: told })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// An identity that lasts longer than the test.
    ///
    /// # Errors
    /// If `path` is not the path of a SPIFFE ID.
    pub fn credential(&self, path: &str) -> Result<Credential> {
        let id = self.cluster.spiffe_id(path)?;
        Credential::valid(self.cluster.workload_api().ca(), id, KEPT)
    }

    /// A typed client of Nexus.
    ///
    /// # Errors
    /// As [`Self::credential`].
    pub fn as_id(&self, path: &str) -> Result<NexusClient> {
        let source = self.credential(path)?.source()?;
        let api = format!("https://{}", self.cluster.nexus_address()).parse()?;
        let root = TrustRoots::parse(self.cluster.spiffe_id("/spike")?.trust_domain_name())?;
        let roots = Arc::new(TrustRootsByRole {
            nexus: root.clone(),
            keeper: root.clone(),
            bootstrap: root.clone(),
            pilot: root.clone(),
            lite_workload: root,
        });
        Ok(NexusClient::new(&source, roots, &api, ClientTimeouts::default())?)
    }

    /// The typed client of the superuser.
    ///
    /// # Errors
    /// As [`Self::credential`].
    pub fn superuser(&self) -> Result<NexusClient> {
        self.as_id(SUPERUSER)
    }

    /// A client of Nexus that sends exactly the bytes of the test.
    ///
    /// # Errors
    /// As [`Self::credential`].
    pub fn dial_as(&self, path: &str) -> Result<Dialer> {
        Ok(Dialer::new(self.cluster.nexus_address()).showing(&self.credential(path)?))
    }

    /// A client of a Keeper that sends exactly the bytes of the test.
    ///
    /// # Errors
    /// As [`Self::credential`], or if there is no such Keeper.
    pub fn dial_keeper_as(&mut self, index: u16, path: &str) -> Result<Dialer> {
        let address = self.keeper(index)?.tls();
        Ok(Dialer::new(address).showing(&self.credential(path)?))
    }

    /// Takes the recovery shares out, as an operator does.
    ///
    /// # Errors
    /// If Nexus refuses, or sends something else.
    pub async fn recover(&self) -> Result<Vec<Share>> {
        let answer = self.as_id(RECOVERER)?.recover().await?;
        let share = |(index, shard): (&i64, &Shard)| {
            let index = ShareIndex::try_from(*index)?;
            Ok(Share { index, value: ShareValue::from_bytes(shard.expose_secret())? })
        };
        answer.shards.iter().map(share).collect()
    }

    /// Feeds one recovery share back, as an operator does.
    ///
    /// # Errors
    /// If Nexus refuses.
    pub async fn feed(&self, share: &Share) -> Result<RestoreResponse> {
        self.feed_with_more(share, false).await
    }

    /// The same; `more` says whether more shares of the same set follow.
    ///
    /// # Errors
    /// As [`Self::feed`].
    pub async fn feed_with_more(&self, share: &Share, more: bool) -> Result<RestoreResponse> {
        let value = Shard::new(share.value.expose_bytes());
        let request = RestoreRequest { id: share.index.get().into(), shard: value, more };
        Ok(self.as_id(RESTORER)?.restore(&request).await?)
    }

    /// Feeds one recovery share that Nexus must refuse with 400, and returns the reason.
    ///
    /// # Errors
    /// If it is not refused, or without a reason.
    pub async fn feed_refused(&self, share: &Share) -> Result<String> {
        let refused = match self.feed(share).await {
            Ok(progress) => bail!("share {} was taken: {progress:?}", share.index),
            Err(error) => error.downcast()?,
        };
        match refused {
            CallError::Refused(refusal) if refusal.status == 400 => {
                refusal.reason.context("refused without a reason")
            }
            error => Err(error.into()),
        }
    }

    /// The status that an operator gets.
    ///
    /// # Errors
    /// If Nexus refuses.
    pub async fn status(&self) -> Result<StatusResponse> {
        Ok(self.superuser()?.status().await?)
    }

    /// Waits until Nexus says that every Keeper holds its share of the key in use.
    ///
    /// # Errors
    /// The state of the Keepers.
    pub async fn keepers_good(&self) -> Result<()> {
        let mut said = Vec::new();
        let waited = eventually("good Keepers", PATIENCE, async || {
            said = self.status().await?.keepers;
            let good = said.iter().all(|keeper| keeper.state == KeeperStatusKind::Good);
            Ok(good.then_some(()))
        })
        .await;
        waited.with_context(|| format!("{said:?}"))
    }

    /// The log of a daemon so far.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log(&self, daemon: &str) -> Result<String> {
        complete_lines(&self.dir().join(format!("logs/{daemon}.log")))
    }

    /// Waits until the log of a daemon contains `part`, since a line is written a moment after the event.
    ///
    /// # Errors
    /// The whole log.
    pub async fn log_says(&self, daemon: &str, part: &str) -> Result<()> {
        let written =
            eventually(part, PATIENCE, async || Ok(self.log(daemon)?.contains(part).then_some(())));
        written.await.with_context(|| self.log(daemon).unwrap_or_default())
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
