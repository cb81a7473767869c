//! Alerts about requests, connections, descriptors and the audit log.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use spike_tests::{PATIENCE, Running, eventually, raw::Connection};

use super::{GET, Prometheus};
use crate::{WORKLOAD, scenario};

/// The alerts that fire and clear here.
pub(super) const FIRED: &[&str] = &[
    "SpikeSaturated",
    "SpikeSlow",
    "SpikeConnectionsRefused",
    "SpikeHandshakesFail",
    "SpikeDescriptorsNearlyUsedUp",
    "SpikeAuditFailing",
    "SpikeAuditLinesLost",
];

/// The most requests in flight. An eighth of them is kept back for operators.
const REQUESTS: &str = "8";
const HELD: usize = 7;

/// The most connections of one SPIFFE ID: as many as it may have requests, of so few.
const CONNECTIONS: &str = "3";
const BUSY: u32 = 3;

const BODY: &str = r#"{"path":"a"}"#;

fn pid(cluster: &mut Running) -> Result<Pid> {
    let pid = cluster.nexus().pid().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw).context("no process")
}

/// Sets the soft limit of a resource of Nexus, or removes it.
fn limit(cluster: &mut Running, resource: Resource, soft: Option<u64>) -> Result<()> {
    let pid = pid(cluster)?;
    let maximum = hard(pid, resource)?;
    prlimit(Some(pid), resource, Rlimit { current: soft.or(maximum), maximum })?;
    Ok(())
}

fn hard(pid: Pid, resource: Resource) -> Result<Option<u64>> {
    let text = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero()))?;
    let name = match resource {
        Resource::Fsize => "Max file size",
        _ => "Max open files",
    };
    let line = text.lines().find(|line| line.starts_with(name)).context("no such limit")?;
    // Its unit, and before that the hard limit.
    let hard = line.split_whitespace().rev().nth(1).context("no hard limit")?;
    Ok(hard.parse().ok())
}

/// A request whose body has not come yet.
async fn begun(cluster: &Running, path: &str) -> Result<Connection> {
    let mut connection = cluster.dial_as(path)?.connect().await?;
    let length = BODY.len();
    let head = format!("POST {GET} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    connection.send(head).await?;
    Ok(connection)
}

#[tokio::test]
async fn alerts_about_requests_connections_and_the_audit_log_fire_and_clear() -> Result<()> {
    let mut cluster = scenario()
        .setting("SPIKE_HTTP_SERVER_MAX_REQUESTS", REQUESTS)
        .setting("SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID", CONNECTIONS)
        .start()
        .await?;
    let target = cluster.nexus().telemetry();
    let Some(prometheus) = Prometheus::start(&[target]).await? else {
        return cluster.stop().await;
    };
    prometheus.is_quiet().await?;

    // The first read begins the counts of its operation; Prometheus sees what is added to them.
    assert_eq!(cluster.post_as(WORKLOAD, GET, BODY).await?.status, 401);
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Reads whose bodies take long: they fill the budget, and then they are slow ones.
    let mut held = Vec::new();
    for number in 0..HELD {
        held.push(begun(&cluster, &format!("/workload/{number}")).await?);
    }
    prometheus.fires(&["SpikeSaturated"]).await?;
    for connection in &mut held {
        assert_eq!(connection.exchange(BODY).await?.status, 401);
    }
    prometheus.fires(&["SpikeSlow"]).await?;
    drop(held);
    prometheus.is_quiet().await?;

    // Of an ID with idle connections the longest idle one would give way.
    let mut busy = Vec::new();
    for _ in 0..BUSY {
        busy.push(begun(&cluster, WORKLOAD).await?);
    }
    // Until its request has begun, a connection is idle.
    cluster.until_metric("spike_requests_in_flight", |begun| begun >= f64::from(BUSY)).await?;
    for _ in 0..10 {
        let mut refused = cluster.dial_as(WORKLOAD)?.connect().await?;
        assert!(refused.post(GET, BODY).await.is_err());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    prometheus.fires(&["SpikeConnectionsRefused"]).await?;
    drop(busy);
    prometheus.is_quiet().await?;

    for _ in 0..10 {
        // Without a certificate.
        let mut refused = cluster.stranger().connect().await;
        if let Ok(connection) = &mut refused {
            assert!(connection.post(GET, BODY).await.is_err());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    prometheus.fires(&["SpikeHandshakesFail"]).await?;
    prometheus.is_quiet().await?;

    let mut idle = Vec::new();
    for number in 0..50 {
        idle.push(cluster.dial_as(&format!("/workload/{number}"))?.connect().await?);
    }
    let open = cluster.until_metric("spike_process_open_fds", |open| open > 50.0).await?;
    // Room for a connection of Prometheus or two.
    let few = (0..u32::MAX).find(|few| f64::from(*few) > open + 3.0).context("no number")?;
    limit(&mut cluster, Resource::Nofile, Some(few.into()))?;
    prometheus.fires(&["SpikeDescriptorsNearlyUsedUp"]).await?;
    limit(&mut cluster, Resource::Nofile, None)?;
    drop(idle);
    prometheus.is_quiet().await?;

    // No file of Nexus may grow any more.
    let size = fs::metadata(cluster.nexus().audit())?.len();
    limit(&mut cluster, Resource::Fsize, Some(size + 1000))?;
    let mut client = cluster.dial_as(WORKLOAD)?.connect().await?;
    eventually("a request that fails", PATIENCE, async || {
        Ok((client.post(GET, BODY).await?.status == 500).then_some(()))
    })
    .await?;
    prometheus.fires(&["SpikeAuditFailing", "SpikeAuditLinesLost"]).await?;
    limit(&mut cluster, Resource::Fsize, None)?;
    prometheus.is_quiet().await?;
    cluster.stop().await
}
