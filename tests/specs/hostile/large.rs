//! Large bodies that arrive whole. Of whoever may do nothing they are not read, and of all others they leave no memory behind.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use spike_tests::{
    PATIENCE, Running, SUPERUSER, eventually,
    hostile::{
        LargeBody, MIB,
        attack::{Tally, post, requests, unfinished_bodies},
        resident,
    },
    policies::{allow, policy},
    raw::Dialer,
    secrets,
};
use spike_wire::Operation;

use super::{
    GET, PUT,
    bodies::{MOST, memory_comes_back},
    http2_as, operator_is_served, records_of_the_workload,
};
use crate::{WORKLOAD, scenario};

/// Above this length a body is large.
const LARGE: usize = 64 * 1024;

/// What allocators may keep, for a few threads, of the memory for bodies of 4 MiB, and when the rest must be back. The programs of
/// these tests have the allocator of the C library, which keeps more than that of the daemons: 61 MiB were seen, and 176 before
/// bodies were parsed in one piece.
const KEPT: u64 = 96 * MIB;
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// The requests of one attack, and its connections.
const REQUESTS: usize = 16;
const CONNECTIONS: usize = 8;

/// A request with a chunked body over HTTP/1.1, so that its length is not known.
fn chunked(target: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
         {length:x}\r\n{body}\r\n0\r\n\r\n"
    )
}

/// They were read and parsed first: what is no JSON was answered 400.
#[tokio::test]
async fn who_may_do_nothing_is_denied_before_a_large_body_is_read_over_every_protocol() -> Result<()>
{
    // So that every denial is answered as such.
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_DENIALS_PER_SECOND", "0").start().await?;
    let no_json = "x".repeat(2 * LARGE);
    let mut http1 = cluster.dial_as(WORKLOAD)?.connect().await?;
    let mut http2 = http2_as(&cluster, WORKLOAD)?.connect().await?.http2().await?;
    for operation in Operation::ALL.iter().copied() {
        let target = operation.path_and_query();
        let declared = http1.post(target, &no_json).await?;
        assert_eq!(declared.status, 401, "{operation}");
        let undeclared = http1.exchange(chunked(target, &no_json)).await?;
        assert_eq!(undeclared.status, 401, "{operation}");
        assert_eq!(http2.post(target, &no_json).await?.status(), 401, "{operation} over HTTP/2");
    }
    let small = http1.post(PUT, "x").await?;
    assert_eq!(small.status, 400, "small ones are parsed first, as upstream does");
    let records = records_of_the_workload(&cluster)?;
    let told = |record: &&serde_json::Value| {
        record["Err"].as_str().is_some_and(|error| error.contains("large body was not read"))
    };
    assert!(records.iter().any(|record| told(&record)), "{records:?}");
    cluster.stop().await
}

#[tokio::test]
async fn a_large_body_of_who_may_do_nothing_counts_for_as_many_denials_as_it_has_bytes()
-> Result<()> {
    let cluster = scenario().start().await?;
    let dialer = Arc::new(cluster.dial_as(WORKLOAD)?);
    let body = LargeBody::Value.body(usize::try_from(4 * MIB)?);
    let tally = requests(&dialer, &post(PUT, &body), 1, 10).await?;
    // Four of 256 each are more than the burst and what a few seconds add.
    assert!((1..=4).contains(&tally.count(401)), "{tally:?}");
    assert!(tally.count(429) > 0, "{tally:?}");
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// The decision of a large body is that of its path, like the one of a small body.
#[tokio::test]
async fn who_may_write_somewhere_may_write_large_bodies_there_and_nowhere_else() -> Result<()> {
    let cluster = scenario().start().await?;
    let own = policy("own", &format!("^spiffe://spike.ist{WORKLOAD}$"), "^own/", &["write"]);
    cluster.superuser()?.put_policy(&own).await?;
    let mut connection = cluster.dial_as(WORKLOAD)?.connect().await?;
    let put = |path: &str| {
        LargeBody::Value
            .body(3 * LARGE)
            .replace(r#""path":"large""#, &format!(r#""path":"{path}""#))
    };
    assert_eq!(connection.post(PUT, put("own/large")).await?.status, 200);
    assert_eq!(connection.post(PUT, put("another/large")).await?.status, 401);
    let get = format!(r#"{{"path":"own/large"}}{}"#, " ".repeat(LARGE));
    assert_eq!(connection.post(GET, get).await?.status, 401, "it may only write");
    let read = cluster.post(GET, r#"{"path":"own/large"}"#).await?;
    assert!(read.status == 200 && read.body.len() > 2 * LARGE, "{}", read.status);
    cluster.stop().await
}

/// Sends many large bodies of a kind at once. Meanwhile an operator is served.
async fn sent(cluster: &mut Running, dialer: &Arc<Dialer>, kind: LargeBody) -> Result<Tally> {
    let request = post(kind.target(), &kind.body(usize::try_from(4 * MIB)?));
    let attack = {
        let dialer = Arc::clone(dialer);
        tokio::spawn(async move { requests(&dialer, &request, CONNECTIONS, REQUESTS).await })
    };
    let pid = cluster.nexus().pid().context("Nexus runs")?;
    while !attack.is_finished() {
        operator_is_served(cluster).await.with_context(|| format!("{kind:?}"))?;
        let taken = resident(pid)?;
        assert!(taken <= MOST, "{kind:?}: Nexus takes {} MiB", taken / MIB);
    }
    attack.await?
}

/// The memory was locked, and in pieces too small to be given back: 110 MiB after eight bodies.
#[tokio::test]
async fn complete_large_bodies_of_who_may_do_nothing_take_no_memory_that_does_not_come_back()
-> Result<()> {
    let mut cluster = scenario().start().await?;
    let dialer = Arc::new(cluster.dial_as(WORKLOAD)?);
    for kind in LargeBody::ALL {
        let tally = sent(&mut cluster, &dialer, kind).await?;
        let denied = tally.count(401) + tally.count(429) + tally.unanswered;
        assert_eq!(denied, REQUESTS as u64, "{kind:?}: {tally:?}");
    }
    memory_comes_back(&mut cluster).await?;
    cluster.stop().await
}

#[tokio::test]
async fn complete_large_bodies_of_who_may_write_everywhere_take_no_memory_that_does_not_come_back()
-> Result<()> {
    let mut cluster = scenario().start().await?;
    let everywhere = policy("all", &format!("^spiffe://spike.ist{WORKLOAD}$"), ".*", &["write"]);
    cluster.superuser()?.put_policy(&everywhere).await?;
    let workload = Arc::new(cluster.dial_as(WORKLOAD)?);
    let superuser = Arc::new(cluster.dial_as(SUPERUSER)?);
    let pid = cluster.nexus().pid().context("Nexus runs")?;
    operator_is_served(&cluster).await?;
    let before = resident(pid)?;
    for kind in LargeBody::ALL {
        let dialer = if kind == LargeBody::Permissions { &superuser } else { &workload };
        let tally = sent(&mut cluster, dialer, kind).await?;
        assert_eq!(tally.count(500), 0, "{kind:?}: {tally:?}");
    }
    let mut kept = 0;
    let back = eventually("memory back", BACK_WITHIN, async || {
        kept = resident(pid)?.saturating_sub(before);
        Ok((kept <= KEPT).then_some(()))
    });
    back.await.with_context(|| format!("Nexus has kept {} MiB", kept / MIB))?;
    cluster.stop().await
}

/// Declared bodies just below 64 KiB took memory from the budget before anybody was asked, and three SPIFFE IDs without any right
/// had others refused.
#[tokio::test]
async fn who_may_do_nothing_takes_no_memory_from_others_for_bodies_it_only_declares() -> Result<()>
{
    const OTHERS: [&str; 3] = ["/workload/one", "/workload/two", "/workload/three"];
    let cluster = scenario().start().await?;
    let own = policy("own", &format!("^spiffe://spike.ist{WORKLOAD}$"), "^own/", &["write"]);
    cluster.superuser()?.put_policy(&own).await?;
    let mut held = Vec::new();
    for id in OTHERS {
        let dialer = http2_as(&cluster, id)?;
        held.push(unfinished_bodies(&dialer, PUT, (CONNECTIONS, 64), LARGE - 100).await?);
    }
    let body =
        LargeBody::Value.body(3 * LARGE).replace(r#""path":"large""#, r#""path":"own/large""#);
    let mut connection = cluster.dial_as(WORKLOAD)?.connect().await?;
    for _ in 0..5 {
        assert_eq!(connection.post(PUT, body.clone()).await?.status, 200);
    }
    drop(held);
    cluster.stop().await
}

/// The answer had its memory already, and was refused when it turned out to need no more.
#[tokio::test]
async fn a_large_answer_that_got_what_was_free_is_sent_while_another_id_holds_memory() -> Result<()>
{
    const OTHER: &str = "/workload/other";
    let most = usize::try_from(4 * MIB)?;
    let cluster = scenario()
        .setting("SPIKE_HTTP_SERVER_MAX_MEMORY", "12582912")
        .setting("SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID", &most.to_string())
        .start()
        .await?;
    let superuser = cluster.superuser()?;
    let value = "x".repeat(most - 1024);
    superuser.put_secret(&secrets::put("large", &[("k", &value)])).await?;
    superuser.put_policy(&allow("reader", WORKLOAD, "^large$", &["read"])).await?;
    superuser.put_policy(&allow("writer", OTHER, "^.*$", &["write"])).await?;
    let held = async || -> Result<f64> {
        Ok(cluster.metrics().await?.get("spike_request_memory_bytes").unwrap_or_default())
    };
    for part in 1..=4 {
        let mut holder = cluster.dial_as(OTHER)?.connect().await?;
        let length = most * part / 4;
        holder
            .send(format!("POST {PUT} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"))
            .await?;
        holder.send(&LargeBody::Value.body(length)[..length / 2]).await?;
        eventually("its memory is taken", PATIENCE, async || {
            Ok((held().await? >= f64::from(u32::try_from(length)?)).then_some(()))
        })
        .await?;
        let mut reader = cluster.dial_as(WORKLOAD)?.connect().await?;
        let answer = reader.post(GET, r#"{"path":"large"}"#).await?;
        assert_eq!(answer.status, 200, "while {part} MiB are held");
        drop(holder);
        eventually("its memory is back", PATIENCE, async || Ok((held().await? < 1.).then_some(())))
            .await?;
    }
    cluster.stop().await
}
