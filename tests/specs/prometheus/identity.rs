//! Alerts about SVIDs, the Workload API, trust bundles and the clock.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Prometheus;
use crate::scenario;

/// The alerts that fire and clear here.
pub(super) const FIRED: &[&str] = &[
    "SpikeTrustBundleFault",
    "SpikeClockWrong",
    "SpikeAttestationFails",
    "SpikeWorkloadApiAway",
    "SpikeWorkloadApiUnstable",
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

    cluster.workload_api().pause().await;
    let (away, stalled) = FIRED.split_at(3);
    assert_eq!(away.last(), Some(&"SpikeAttestationFails"));
    prometheus.fires(stalled).await?;
    cluster.workload_api().resume().await?;
    prometheus.is_quiet().await?;
    cluster.stop().await
}
