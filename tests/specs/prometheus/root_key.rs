//! Alerts about the root key, its shares, and restarts.

use std::time::Duration;

use anyhow::{Result, ensure};
use spike_tests::PATIENCE;

use super::{GET, Prometheus, back_up, targets};
use crate::{WORKLOAD, bootstrap::on_fakes, crew};

/// The alerts that fire and clear here.
pub(super) const FIRED: &[&str] = &[
    "SpikeSealed",
    "SpikeNotReady",
    "SpikeShareMissing",
    "SpikeErrors",
    "SpikeShareReplaced",
    "SpikeRestartsAgain",
    "SpikeKeeperForgets",
];

#[tokio::test]
async fn alerts_about_the_root_key_and_restarts_fire_and_clear() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let Some(prometheus) = Prometheus::start(&targets(&mut crew)?).await? else {
        return crew.stop().await;
    };
    // Every request is answered 503.
    let dialer = crew.dial_as(WORKLOAD)?;
    for _ in 0..20 {
        assert_eq!(dialer.connect().await?.post(GET, r#"{"path":"a"}"#).await?.status, 503);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let sealed = ["SpikeSealed", "SpikeNotReady", "SpikeShareMissing", "SpikeErrors"];
    prometheus.fires(&sealed).await?;
    let made = crew.bootstrap(&[]).await?;
    ensure!(made.status == 0, "{}", made.text);
    crew.ready(PATIENCE).await?;
    back_up(&crew).await?;
    prometheus.is_quiet().await?;

    // A share of another key, as from a Nexus with another root key.
    let mut foreign = crew.dial_keeper_as(1, "/spike/nexus")?.connect().await?;
    let share: Vec<String> = (1..=32).map(|byte: u8| byte.to_string()).collect();
    let body = format!(r#"{{"shard":[{}]}}"#, share.join(","));
    assert_eq!(foreign.post("/v1/store/contribute", &body).await?.status, 200);
    prometheus.fires(&["SpikeShareReplaced"]).await?;
    // Nexus leaves it there.
    crew.check_fails("quorum", "holds a share of another root key").await?;
    crew.kill_keepers([1]).await?;
    crew.restart_keepers([1]).await?;
    crew.keepers_good().await?;
    prometheus.is_quiet().await?;

    // The time of a start is in whole seconds.
    for _ in 0..3 {
        crew.kill_keepers([3]).await?;
        crew.restart_keepers([3]).await?;
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    prometheus.fires(&["SpikeRestartsAgain"]).await?;
    crew.keepers_good().await?;
    prometheus.is_quiet().await?;
    crew.stop().await
}

#[tokio::test]
async fn the_alert_about_a_keeper_that_forgets_fires_and_clears() -> Result<()> {
    let (mut crew, keepers) = on_fakes(3, 2).await?;
    let made = crew.bootstrap(&[]).await?;
    ensure!(made.status == 0, "{}", made.text);
    crew.ready(PATIENCE).await?;
    back_up(&crew).await?;
    let target = crew.nexus().telemetry();
    let Some(prometheus) = Prometheus::start(&[target]).await? else {
        return crew.stop().await;
    };
    prometheus.is_quiet().await?;
    keepers[0].forget(true);
    prometheus.fires(&["SpikeKeeperForgets"]).await?;
    keepers[0].forget(false);
    prometheus.is_quiet().await?;
    crew.stop().await
}
