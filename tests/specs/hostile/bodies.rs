//! Endless bodies take no more memory than their budget, and release it.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result, ensure};
use spike_tests::{
    Running, SUPERUSER, eventually,
    hostile::{
        MIB,
        attack::{Held, post, unfinished_bodies},
        resident, taken,
    },
};
use tokio::time::Instant;

use super::{PUT, http2_as, operator_is_served};
use crate::{WORKLOAD, scenario};

/// The memory bound during the attack, the bound after it, and when that must hold.
pub(super) const MOST: u64 = 256 * MIB;
/// 64 MiB, of which the program that is shipped has 14 at most. One that is built for tests has twice as much.
const BACK: u64 = (64 - 14) * MIB;
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// A complete attack is held until memory has not grown for this long, and at most for the second time.
const STILL: Duration = Duration::from_secs(2);
const HELD: Duration = Duration::from_secs(20);

/// Runs an attack and holds its connections for a while. Meanwhile Nexus stays within its bound and serves an operator.
/// Afterwards it releases the memory.
pub(super) async fn is_borne(
    cluster: &mut Running,
    attack: impl Future<Output = Result<Held>>,
) -> Result<Held> {
    let pid = cluster.nexus().pid().context("Nexus runs")?;
    let mut attack = pin!(attack);
    let (mut held, mut complete) = (None, None);
    let (mut most, mut grown) = (0, Instant::now());
    while complete.is_none_or(|at: Instant| grown.max(at).elapsed() < STILL && at.elapsed() < HELD)
    {
        let pause = tokio::time::sleep(Duration::from_millis(50));
        tokio::select! {
            done = &mut attack, if held.is_none() => {
                held = Some(done?);
                complete = Some(Instant::now());
            }
            () = pause => {}
        }
        let taken = resident(pid)?;
        ensure!(taken <= MOST, "Nexus takes {} MiB", taken / MIB);
        if taken > most + MIB {
            (most, grown) = (taken, Instant::now());
        }
        operator_is_served(cluster).await?;
    }
    held.context("the attack is complete")
}

pub(super) async fn memory_comes_back(cluster: &mut Running) -> Result<()> {
    let pid = cluster.nexus().pid().context("Nexus runs")?;
    let mut left = 0;
    let back = eventually("memory back", BACK_WITHIN, async || {
        left = taken(pid)?;
        Ok((left <= BACK).then_some(()))
    })
    .await;
    back.with_context(|| format!("Nexus still takes {} MiB", left / MIB))
}

async fn unfinished(connections: usize, streams: usize, bytes: u64) -> Result<()> {
    let mut cluster = scenario().start().await?;
    let dialer = http2_as(&cluster, WORKLOAD)?;
    let bytes = usize::try_from(bytes)?;
    let attack = unfinished_bodies(&dialer, PUT, (connections, streams), bytes);
    let held = is_borne(&mut cluster, attack).await?;
    assert_eq!(held.http2.len(), connections, "the attack took place");
    drop(held);
    memory_comes_back(&mut cluster).await?;
    cluster.stop().await
}

/// The end of each body counted as something behind it, until one SPIFFE ID had a mebibyte of it: others of its own were cut.
#[tokio::test]
async fn many_bodies_at_once_over_http_1_1_are_all_taken() -> Result<()> {
    let cluster = scenario().start().await?;
    let body = format!(r#"{{"path":"large","values":{{"k":"{}"}}}}"#, "x".repeat(100 << 10));
    let request = post(PUT, &body);
    let (begun, rest) = request.split_at(3_000);
    let mut connections = Vec::new();
    for _ in 0..60 {
        let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
        connection.send(begun).await?;
        connections.push(connection);
    }
    for connection in &mut connections {
        connection.send(rest).await?;
    }
    for connection in &mut connections {
        assert_eq!(connection.answer().await?.status, 200);
    }
    cluster.stop().await
}

#[tokio::test]
async fn unfinished_bodies_on_one_connection_stay_within_the_budget_and_give_it_back() -> Result<()>
{
    unfinished(1, 128, 4 * MIB).await
}

#[tokio::test]
async fn unfinished_bodies_on_eight_connections_stay_within_the_budget_and_give_it_back()
-> Result<()> {
    unfinished(8, 128, MIB).await
}
