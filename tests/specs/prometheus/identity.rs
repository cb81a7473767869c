//! Alerts about SVIDs, the Workload API, trust bundles and the clock.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::Prometheus;
use crate::scenario;

/// The alerts that fire and clear here.
pub(super) const FIRED: &[&str] = &[
    "SpikeTrustBundleFault",
    "SpikeClockWrong",
    "SpikeAttestationFails",
    "SpikeWorkloadApiUnstable",
    "SpikeDown",
    "SpikeWorkloadApiAway",
    "SpikeSvidNotRenewed",
    "SpikeSvidEndsSoon",
    "SpikeSvidExpired",
];

#[tokio::test]
async fn alerts_about_the_identity_of_a_daemon_fire_and_clear() -> Result<()> {
    // Half of it is over twelve seconds after a renewal that does not come.
    let mut cluster = scenario().svid_ttl(Duration::from_secs(24)).start().await?;
    let target = cluster.nexus().telemetry();
    let pid = cluster.nexus().pid().context("Nexus runs")?;
    let Some(prometheus) = Prometheus::start(&[target]).await? else {
        return cluster.stop().await;
    };
    prometheus.is_quiet().await?;

    cluster.workload_api().send_unsound_bundle("spiffe://broken.example", b"no certificate");
    prometheus.fires(&["SpikeTrustBundleFault"]).await?;
    let sound = cluster.workload_api().ca().root_der().to_vec();
    cluster.workload_api().send_unsound_bundle("spiffe://broken.example", &sound);
    prometheus.is_quiet().await?;

    cluster.workload_api().set_clock_ahead(120);
    cluster.workload_api().rotate();
    prometheus.fires(&["SpikeClockWrong"]).await?;
    cluster.workload_api().set_clock_ahead(0);
    cluster.workload_api().rotate();
    prometheus.is_quiet().await?;

    // Its registration entry is removed.
    let withheld = cluster.workload_api().registry().withhold(pid)?;
    cluster.workload_api().pause().await;
    cluster.workload_api().resume().await?;
    prometheus.fires(&["SpikeAttestationFails"]).await?;
    drop(withheld);
    prometheus.is_quiet().await?;

    // The agent ends again and again.
    for _ in 0..8 {
        cluster.workload_api().pause().await;
        cluster.workload_api().resume().await?;
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    prometheus.fires(&["SpikeWorkloadApiUnstable"]).await?;
    prometheus.is_quiet().await?;

    // Nexus hangs.
    let process = Pid::from_raw(i32::try_from(pid)?).context("a process")?;
    kill_process(process, Signal::STOP)?;
    let fired = prometheus.fires(&["SpikeDown"]).await;
    kill_process(process, Signal::CONT)?;
    fired?;
    prometheus.is_quiet().await?;

    cluster.workload_api().pause().await;
    let (mended, stalled) = FIRED.split_at(5);
    assert_eq!(mended.last(), Some(&"SpikeDown"));
    prometheus.fires(stalled).await?;
    cluster.workload_api().resume().await?;
    prometheus.is_quiet().await?;
    cluster.stop().await
}
