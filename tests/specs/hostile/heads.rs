//! Heads that take far more memory than their bytes, and heads that never end.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use spike_tests::{
    PATIENCE, eventually,
    hostile::{
        Http2Peer, MIB, PeerBehaviour,
        attack::post,
        heads::{
            at_once, connections, endless_http1, endless_http2, heads_of_many_fields, peers,
            post_with_large_head, sent_over,
        },
        hpack, post_in_frames, resident,
    },
    policies::allow,
    secrets,
};

use super::{
    GET, LIST, audit_record,
    bodies::{is_borne, memory_comes_back},
    http2_as, records_of_the_workload,
};
use crate::{WORKLOAD, scenario};

async fn are_borne(connections: usize, fields: usize) -> Result<()> {
    let mut cluster = scenario().start().await?;
    let dialer = Arc::new(http2_as(&cluster, WORKLOAD)?);
    let attack = Box::pin(heads_of_many_fields(&dialer, LIST, (connections, 127), fields));
    let held = is_borne(&mut cluster, attack).await?;
    for peer in &held.http2 {
        peer.ended(PATIENCE).await.context("it is not cut off")?;
    }
    let cuts = || -> Result<usize> {
        let records = records_of_the_workload(&cluster)?;
        Ok(records.iter().filter(|record| record["Action"] == "cut").count())
    };
    eventually("a line for each cut", PATIENCE / 6, async || {
        Ok((cuts()? == connections).then_some(()))
    })
    .await
    .with_context(|| format!("lines: {:?}", cuts()))?;
    drop(held);
    memory_comes_back(&mut cluster).await?;
    cluster.stop().await
}

#[tokio::test]
async fn heads_of_thousands_of_fields_take_no_memory_and_hold_up_nobody() -> Result<()> {
    are_borne(64, 1_700).await
}

/// The HTTP/2 library refuses these by itself.
#[tokio::test]
async fn heads_of_more_fields_than_the_http2_layer_takes_are_borne_too() -> Result<()> {
    are_borne(64, 4_000).await
}

/// Between its parts it was taken for one that the HTTP/2 library had refused: it had one more line, and counted as a denial.
#[tokio::test]
async fn a_head_that_arrives_in_two_parts_has_one_line() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut peer = Http2Peer::connect(&http2_as(&cluster, WORKLOAD)?, PeerBehaviour::GOOD).await?;
    peer.has_read_all().await?;
    for length in [1, 9, 20] {
        let stream = peer.new_stream();
        let request = post_in_frames(stream, LIST, b"{}");
        let (first, second) = request.split_at(length);
        peer.send_bytes(first).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        peer.send_bytes(second).await?;
        assert_eq!(peer.status(stream).await?, Some(401));
    }
    let actions = || -> Result<Vec<String>> {
        let records = records_of_the_workload(&cluster)?;
        Ok(records.iter().map(|record| record["Action"].to_string()).collect())
    };
    eventually("three lines", PATIENCE / 6, async || Ok((actions()?.len() >= 3).then_some(())))
        .await?;
    assert_eq!(actions()?, [r#""list""#; 3]);
    cluster.stop().await
}

/// Each connection had a whole head in memory, hundreds of megabytes in all, and it did not come back.
#[tokio::test]
async fn heads_that_do_not_end_are_bounded_over_all_connections_of_an_id() -> Result<()> {
    const CONNECTIONS: usize = 40;
    let cluster = scenario().start().await?;
    let dialer = Arc::new(cluster.dial_as(WORKLOAD)?);
    let http1 = endless_http1(&dialer, LIST, CONNECTIONS, 60 << 10).await?;
    let cuts = async |least: usize| {
        eventually("cut connections", PATIENCE / 6, async || {
            let records = records_of_the_workload(&cluster)?;
            let is_cut = |record: &&serde_json::Value| {
                record["Action"] == "cut"
                    && record["Err"]
                        .as_str()
                        .is_some_and(|why| why.contains("heads that do not end"))
            };
            let cut = records.iter().filter(is_cut).count();
            Ok((cut >= least).then_some(cut))
        })
        .await
    };
    // 1 MiB in heads of 60 KiB.
    let cut = cuts(CONNECTIONS - 18).await?;
    assert!(cut < CONNECTIONS - 10, "{cut} were cut");
    drop(http1);
    let dialer = Arc::new(http2_as(&cluster, WORKLOAD)?);
    let mut http2 = endless_http2(&dialer, LIST, CONNECTIONS, 60 << 10).await?;
    cuts(cut + CONNECTIONS / 4).await?;
    // Others may have large heads meanwhile, and one alone is no matter.
    for id in [WORKLOAD, "/workload/other"] {
        if id == WORKLOAD {
            http2.http2.clear();
        }
        let mut connection = cluster.dial_as(id)?.connect().await?;
        let ask = post_with_large_head(LIST, 20 << 10, "{}");
        assert_eq!(connection.exchange(ask).await?.status, 401, "{id}");
    }
    cluster.stop().await
}

/// All requests of all connections were in memory before the first of them was counted: half a gigabyte of one ID, that did not
/// come back.
#[tokio::test]
async fn many_requests_that_arrive_at_once_on_many_connections_take_no_memory() -> Result<()> {
    const CONNECTIONS: usize = 250;
    const STREAMS: usize = 120;
    let mut cluster = scenario().start().await?;
    let pid = cluster.nexus().pid().context("Nexus runs")?;
    let peers = peers(&Arc::new(http2_as(&cluster, WORKLOAD)?), CONNECTIONS).await?;
    let before = resident(pid)?;
    let held = at_once(peers, STREAMS, |stream| post_in_frames(stream, LIST, b"{}")).await;
    assert_eq!(held.http2.len(), CONNECTIONS, "the attack took place");
    eventually("half of them are answered", PATIENCE, async || {
        let metrics = cluster.metrics().await?;
        let of_list = r#"spike_requests_total{route="secret_list""#;
        let names = metrics.names().filter(|name| name.starts_with(of_list));
        let answered: f64 = names.filter_map(|name| metrics.get(name)).sum();
        let half = u32::try_from(CONNECTIONS * STREAMS / 2)?;
        Ok((answered >= f64::from(half)).then_some(()))
    })
    .await?;
    let taken = resident(pid)?.saturating_sub(before);
    assert!(taken < 64 * MIB, "{} MiB", taken / MIB);
    cluster.stop().await
}

/// What was sent behind a request waited in memory for it, 64 KiB on each connection, and so did the room for a large head.
#[tokio::test]
async fn requests_sent_ahead_and_large_heads_leave_little_memory_on_a_connection() -> Result<()> {
    const CONNECTIONS: usize = 300;
    let ahead = post(LIST, "{}").repeat(500);
    let large = post_with_large_head(LIST, 45 << 10, "{}");
    for (what, bytes) in [("requests ahead", ahead), ("large heads", large)] {
        let mut cluster = scenario().start().await?;
        let pid = cluster.nexus().pid().context("Nexus runs")?;
        let connections = connections(&Arc::new(cluster.dial_as(WORKLOAD)?), CONNECTIONS).await?;
        let before = resident(pid)?;
        let mut held = sent_over(connections, &bytes).await;
        let mut answers = 0;
        for connection in &mut held.http1 {
            // Over the budget of heads a connection is cut.
            if let Ok(answer) = connection.answer().await {
                assert!([401, 429].contains(&answer.status), "{what}: {}", answer.status);
                answers += 1;
            }
        }
        assert!(
            answers == CONNECTIONS || answers > 40 && what == "large heads",
            "{what}: {answers}"
        );
        let each = resident(pid)?.saturating_sub(before) / CONNECTIONS as u64;
        assert!(each < 50 * 1024, "{what}: {} KiB each", each / 1024);
        cluster.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_head_with_too_many_fields_is_answered_431_and_its_line_names_the_limit() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut peer = Http2Peer::connect(&http2_as(&cluster, WORKLOAD)?, PeerBehaviour::GOOD).await?;
    let stream = peer.ask_with_block(LIST, &hpack::unfolding(1, 200), b"{}").await?;
    assert_eq!(peer.status(stream).await?, Some(431));
    let mut http1 = cluster.dial_as(WORKLOAD)?.connect().await?;
    let fields = "x: y\r\n".repeat(101);
    let answer = http1.exchange(format!("POST {LIST} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).await?;
    assert_eq!(answer.status, 431);
    for action in ["list", "request"] {
        audit_record(&cluster, action, |record| {
            record["Action"] == action
                && record["Status"] == 431
                && record["Err"].as_str().is_some_and(|reason| reason.contains("100 fields"))
        })
        .await?;
    }
    cluster.stop().await
}

/// The time limit of a head ends none of these connections: no head is on its way.
#[tokio::test]
async fn a_peer_that_sent_requests_ahead_or_an_empty_line_may_be_idle_afterwards() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT", "1s").start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&secrets::put("open", &[("k", "v")])).await?;
    superuser.put_policy(&allow("open", WORKLOAD, "^open$", &["read"])).await?;
    let request = post(GET, r#"{"path":"open"}"#);
    let mut idle = Vec::new();
    for (what, bytes, answers) in [
        ("two at once", request.repeat(2), 2),
        ("five at once", request.repeat(5), 5),
        ("an empty line behind one", [&request[..], b"\r\n"].concat(), 1),
    ] {
        let mut connection = cluster.dial_as(WORKLOAD)?.connect().await?;
        connection.send(bytes).await?;
        for _ in 0..answers {
            assert_eq!(connection.answer().await.context(what)?.status, 200, "{what}");
        }
        idle.push((what, connection));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    for (what, mut connection) in idle {
        assert_eq!(connection.exchange(&request).await.context(what)?.status, 200, "{what}");
    }
    let records = records_of_the_workload(&cluster)?;
    assert!(records.iter().all(|record| record["Status"] == 200), "{records:?}");
    cluster.stop().await
}

#[tokio::test]
async fn a_head_that_is_never_completed_has_one_line_on_both_protocols() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut http1 = cluster.dial_as(WORKLOAD)?.connect().await?;
    http1.send("POST /v1/store HTT").await?;
    drop(http1);
    let reason = |record: &serde_json::Value| record["Err"].as_str().map(str::to_owned);
    audit_record(&cluster, "half a head", |record| {
        reason(record).is_some_and(|reason| reason.contains("before the head of the request"))
    })
    .await?;
    // A connection that ends between two requests has none.
    let mut http1 = cluster.dial_as(WORKLOAD)?.connect().await?;
    assert_eq!(http1.post(LIST, "{}").await?.status, 401);
    drop(http1);
    let mut next = cluster.dial_as(WORKLOAD)?.connect().await?;
    assert_eq!(next.post(LIST, "{}").await?.status, 401);
    let lines: Vec<_> = records_of_the_workload(&cluster)?.iter().map(reason).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    cluster.stop().await
}
