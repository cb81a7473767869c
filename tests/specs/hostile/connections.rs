//! The budget of connections: one identity does not use up those of others, and does not lock itself out.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use spike_tests::{
    Running, SUPERUSER,
    hostile::attack::{half_open, idle_connections, post},
    raw::Dialer,
};
use tokio::{task::JoinSet, time::timeout};

use super::{LIST, operator_is_served};
use crate::{WORKLOAD, scenario};

const PER_ID: &str = "SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID";
const IN_ALL: &str = "SPIKE_HTTP_SERVER_MAX_CONNECTIONS";

#[tokio::test]
async fn over_its_limit_an_identity_loses_its_longest_idle_connection_and_is_served() -> Result<()>
{
    let cluster = scenario().setting(PER_ID, "3").start().await?;
    let dialer = cluster.dial_as(SUPERUSER)?;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut connection = dialer.connect().await?;
        assert_eq!(connection.post(LIST, "{}").await?.status, 200);
        kept.push(connection);
    }
    // The first is no longer the longest-idle one. Idle time is counted in milliseconds, and a quick machine needs less for a request.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut first = kept.remove(0);
    assert_eq!(first.post(LIST, "{}").await?.status, 200);

    let mut fourth = dialer.connect().await?;
    assert_eq!(fourth.post(LIST, "{}").await?.status, 200);
    kept.remove(0).ended().await?;
    let mut fifth = dialer.offering("h2").connect().await?.http2().await?;
    assert_eq!(fifth.post(LIST, "{}").await?.status(), 200);
    kept.remove(0).ended().await?;
    assert_eq!(first.post(LIST, "{}").await?.status, 200);
    assert_eq!(fourth.post(LIST, "{}").await?.status, 200);
    cluster.stop().await
}

/// If every connection of an identity is active, none is closed.
#[tokio::test]
async fn a_connection_with_a_request_in_flight_does_not_give_way_to_a_new_one() -> Result<()> {
    let cluster = scenario().setting(PER_ID, "2").start().await?;
    let dialer = cluster.dial_as(SUPERUSER)?;
    let mut busy = dialer.connect().await?;
    busy.send(format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{")).await?;
    for _ in 0..5 {
        assert_eq!(dialer.connect().await?.post(LIST, "{}").await?.status, 200);
    }
    assert_eq!(busy.exchange("}").await?.status, 200);
    cluster.stop().await
}

#[tokio::test]
async fn one_identity_with_all_connections_it_can_get_does_not_lock_operators_out() -> Result<()> {
    let cluster = scenario().setting(IN_ALL, "64").setting(PER_ID, "64").start().await?;
    let attacker = cluster.dial_as(WORKLOAD)?;
    let held = idle_connections(&attacker, &post(LIST, "{}"), 200).await?;
    assert!(!held.http1.is_empty());
    for _ in 0..10 {
        operator_is_served(&cluster).await?;
    }
    drop(held);
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// The limit of connections, and twice that. Only their address is known.
#[tokio::test]
async fn handshakes_that_do_not_begin_do_not_lock_operators_out() -> Result<()> {
    let cluster = scenario().setting(IN_ALL, "64").start().await?;
    let held = half_open(cluster.stranger().address(), 128).await?;
    for _ in 0..5 {
        // This must be before the time limit of a handshake (10 s) ends the first of them.
        let served = timeout(Duration::from_secs(8), operator_is_served(&cluster)).await;
        served.context("the operator waits")??;
    }
    drop(held);
    cluster.stop().await
}

/// The Go SDK opens a connection for each call and leaves it idle for 30 s.
#[tokio::test]
async fn a_connection_for_each_call_that_is_left_idle_never_makes_a_call_fail() -> Result<()> {
    let cluster = scenario().setting(PER_ID, "32").start().await?;
    let dialer = Arc::new(cluster.dial_as(SUPERUSER)?);
    let failures = call_like_the_go_sdk(&cluster, &dialer, 8, 40).await?;
    assert_eq!(failures, Vec::<String>::new());
    cluster.stop().await
}

/// `callers` tasks with `calls` calls each, every one over a new connection; all stay open to the end.
async fn call_like_the_go_sdk(
    cluster: &Running,
    dialer: &Arc<Dialer>,
    callers: usize,
    calls: usize,
) -> Result<Vec<String>> {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let dialer = Arc::clone(dialer);
        tasks.spawn(async move {
            let (mut left_idle, mut failures) = (Vec::new(), Vec::new());
            for _ in 0..calls {
                let call = async {
                    let mut connection = dialer.connect().await?;
                    let status = connection.post(LIST, "{}").await?.status;
                    anyhow::ensure!(status == 200, "{status}");
                    left_idle.push(connection);
                    Ok(())
                };
                failures.extend(call.await.err().map(|error| format!("{error:#}")));
            }
            (left_idle, failures)
        });
    }
    let done = tasks.join_all().await;
    operator_is_served(cluster).await?;
    Ok(done.into_iter().flat_map(|(_, failures)| failures).collect())
}
