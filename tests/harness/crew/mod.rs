//! A whole crew: Nexus with Keepers and a root key, any of which can be lost, changed and brought back.

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
use crate::{Credential, PATIENCE, SUPERUSER, eventually, logs::Metrics, raw::Dialer};

/// The path of the SPIFFE ID that may take recovery shares out.
pub const RECOVERER: &str = "/spike/pilot/role/recover";
/// The path of the SPIFFE ID that may feed recovery shares back.
pub const RESTORER: &str = "/spike/pilot/role/restore";

/// How long an identity lasts: longer than any test.
const KEPT: Duration = Duration::from_hours(1);

/// A running crew. Dropping it kills it; [`Crew::stop`] ends it in good order.
#[derive(Debug)]
pub struct Crew {
    cluster: Cluster,
    keepers: u16,
    _dir: TempDir,
}

/// How a run of Bootstrap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The exit status.
    pub status: i32,
    /// What it said.
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
    /// Where there is none.
    pub fn keeper(&mut self, index: u16) -> Result<&mut Daemon> {
        self.cluster.keeper(index.into()).with_context(|| format!("no Keeper {index}"))
    }

    /// The address of a Keeper, as `SPIKE_NEXUS_KEEPER_PEERS` has it.
    ///
    /// # Errors
    /// Where there is none.
    pub fn keeper_url(&mut self, index: u16) -> Result<String> {
        Ok(format!("https://localhost:{}", self.keeper(index)?.tls().port()))
    }

    /// Ends these Keepers without asking: their shares are gone.
    ///
    /// # Errors
    /// Where one cannot be killed.
    pub async fn lose_keepers(&mut self, indexes: impl IntoIterator<Item = u16>) -> Result<()> {
        for index in indexes {
            self.keeper(index)?.kill().await?;
        }
        Ok(())
    }

    /// Starts these Keepers again, and waits until they serve. They hold nothing.
    ///
    /// # Errors
    /// Where one does not.
    pub async fn bring_back_keepers(
        &mut self,
        indexes: impl IntoIterator<Item = u16>,
    ) -> Result<()> {
        for index in indexes {
            self.cluster.restart_keeper(index.into())?;
            self.keeper(index)?.serving(PATIENCE).await?;
        }
        Ok(())
    }

    /// Ends Nexus without asking, and starts it again with the settings that it then has. Waits until it serves.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn crash_nexus(&mut self) -> Result<()> {
        self.nexus().kill().await?;
        self.start_nexus().await
    }

    /// Starts Nexus again after it has ended, and waits until it serves.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn start_nexus(&mut self) -> Result<()> {
        self.cluster.restart_nexus()?;
        Ok(self.nexus().serving(PATIENCE).await?)
    }

    /// Loses everything that is not on a disk: every Keeper and Nexus end, and start again.
    ///
    /// # Errors
    /// Where one does not.
    pub async fn black_out(&mut self) -> Result<()> {
        self.nexus().kill().await?;
        self.lose_keepers(1..=self.keepers).await?;
        self.bring_back_keepers(1..=self.keepers).await?;
        self.start_nexus().await
    }

    /// Waits until Nexus says that it is ready, and tells how long that took.
    ///
    /// # Errors
    /// With its own reason, where it is not within `limit`.
    pub async fn ready(&mut self, limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        self.nexus().ready(limit).await?;
        Ok(start.elapsed())
    }

    /// Waits until Nexus says that it is not ready, in words that contain `part`.
    ///
    /// # Errors
    /// With what it says instead.
    pub async fn sealed_because(&mut self, part: &str) -> Result<String> {
        let mut said = String::new();
        let waited = eventually(part, PATIENCE, async || {
            let (status, body) = self.nexus().get("/readyz").await?;
            said.clone_from(&body);
            Ok((status == 503 && body.contains(part)).then_some(body))
        })
        .await;
        waited.with_context(|| format!("/readyz says {said:?}"))
    }

    /// Waits until the health check of that name fails in words that contain `part`.
    ///
    /// # Errors
    /// With what it says instead.
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

    /// What `/healthz` of Nexus says of one check; `null` where there is none of that name.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn health_check(&mut self, name: &str) -> Result<Value> {
        let report: Value = serde_json::from_str(&self.nexus().get("/healthz").await?.1)?;
        Ok(report.pointer(&format!("/checks/{name}")).cloned().unwrap_or_default())
    }

    /// The metrics of Nexus.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn metrics(&mut self) -> Result<Metrics> {
        Ok(Metrics::parse(&self.nexus().get("/metrics").await?.1))
    }

    /// Runs `bootstrap -init` with more settings.
    ///
    /// # Errors
    /// Where it does not run at all.
    pub async fn bootstrap(&self, settings: &[(&str, &str)]) -> Result<Told> {
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        match self.cluster.run_bootstrap(&settings).await {
            Ok(text) => Ok(Told { status: 0, text }),
            Err(ClusterError::Bootstrap { status, told }) => {
                Ok(Told { status: status.code().context("ended by a signal")?, text: told })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// An identity that lasts longer than the test.
    ///
    /// # Errors
    /// Where `path` is not one of a SPIFFE ID.
    pub fn credential(&self, path: &str) -> Result<Credential> {
        let id = self.cluster.spiffe_id(path)?;
        Credential::sound(self.cluster.workload_api().ca(), id, KEPT)
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

    /// A client of Nexus that decides every byte itself.
    ///
    /// # Errors
    /// As [`Self::credential`].
    pub fn dial_as(&self, path: &str) -> Result<Dialer> {
        Ok(Dialer::new(self.cluster.nexus_address()).showing(&self.credential(path)?))
    }

    /// A client of a Keeper that decides every byte itself.
    ///
    /// # Errors
    /// As [`Self::credential`]; where there is no such Keeper.
    pub fn dial_keeper_as(&mut self, index: u16, path: &str) -> Result<Dialer> {
        let address = self.keeper(index)?.tls();
        Ok(Dialer::new(address).showing(&self.credential(path)?))
    }

    /// Takes the recovery shares out, as an operator does.
    ///
    /// # Errors
    /// Where Nexus refuses, or sends something else.
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
    /// Where Nexus refuses.
    pub async fn feed(&self, share: &Share) -> Result<RestoreResponse> {
        self.feed_with_more(share, false).await
    }

    /// The same, and whether more follow that are to be judged together with it.
    ///
    /// # Errors
    /// As [`Self::feed`].
    pub async fn feed_with_more(&self, share: &Share, more: bool) -> Result<RestoreResponse> {
        let value = Shard::new(share.value.expose_bytes());
        let request = RestoreRequest { id: share.index.get().into(), shard: value, more };
        Ok(self.as_id(RESTORER)?.restore(&request).await?)
    }

    /// Feeds one recovery share that Nexus must refuse with 400, and gives back its words.
    ///
    /// # Errors
    /// Where it is not refused, or without a word.
    pub async fn feed_in_vain(&self, share: &Share) -> Result<String> {
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

    /// What an operator is told.
    ///
    /// # Errors
    /// Where Nexus refuses.
    pub async fn status(&self) -> Result<StatusResponse> {
        Ok(self.superuser()?.status().await?)
    }

    /// Waits until Nexus says that every Keeper holds its share of the key in use.
    ///
    /// # Errors
    /// With how they are instead.
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

    /// What a daemon has written to its log so far.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn log(&self, daemon: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.dir().join(format!("logs/{daemon}.log")))?)
    }

    /// Waits until the log of a daemon contains `part`: a line is written a moment after what it tells of.
    ///
    /// # Errors
    /// With the whole log, where it does not.
    pub async fn log_says(&self, daemon: &str, part: &str) -> Result<()> {
        let written =
            eventually(part, PATIENCE, async || Ok(self.log(daemon)?.contains(part).then_some(())));
        written.await.with_context(|| self.log(daemon).unwrap_or_default())
    }

    /// Ends everything in good order.
    ///
    /// # Errors
    /// Where a daemon did not end well.
    pub async fn stop(self) -> Result<()> {
        ensure!(self.cluster.stop().await, "a daemon did not end well");
        Ok(())
    }
}
