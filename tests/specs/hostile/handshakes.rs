//! Peers without a certificate: what they cost.

use std::time::Duration;

use anyhow::{Result, ensure};
use spike_tests::{Running, SUPERUSER, hostile::handshake::begun};

use super::{LIST, operator_is_served};
use crate::scenario;

const IN_ALL: &str = "SPIKE_HTTP_SERVER_MAX_CONNECTIONS";

/// Whoever had sent nothing yet was cut for each new one: everybody whose first byte was on the way.
#[tokio::test]
async fn handshakes_that_begin_and_stall_do_not_lock_out_whoever_is_30_ms_away() -> Result<()> {
    // 256 of them may be in their handshakes: filled in less than 2 s.
    let cluster = scenario().setting(IN_ALL, "2048").start().await?;
    let attacker = cluster.stranger();
    let flood = tokio::spawn(async move { begun(&attacker, 200, Duration::from_secs(6)).await });
    let cut = r#"spike_connections_refused_total{reason="too_many"}"#;
    cluster.until_metric(cut, |count| count >= 1.0).await?;
    let mut failures = Vec::new();
    for _ in 0..20 {
        failures.extend(call_from_away(&cluster).await.err().map(|error| format!("{error:#}")));
    }
    assert!(!flood.is_finished(), "the flood was over too soon");
    assert_eq!(failures, Vec::<String>::new());
    drop(flood.await??);
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

async fn call_from_away(cluster: &Running) -> Result<()> {
    let dialer = cluster.dial_as(SUPERUSER)?;
    let connector = dialer.connector()?;
    let mut connection = dialer.connect_after(&connector, Duration::from_millis(30)).await?;
    let status = connection.post(LIST, "{}").await?.status;
    ensure!(status == 200, "{status}");
    Ok(())
}
