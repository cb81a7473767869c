//! What requests that are refused for a budget cost: their answers when nobody takes them, their connections, and the time of the
//! server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use spike_tests::{
    PATIENCE, Running, eventually,
    hostile::{Http2Peer, PeerBehaviour, post_in_frames},
    policies::allow,
    secrets,
};

use super::{GET, http2_as, operator_is_served};
use crate::{WORKLOAD, scenario};

const REQUESTS_PER_ID: &str = "SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID";
const NOTHING: &str = "/nothing";

/// The most refused answers of one identity with a body that wait for their peer.
const WAITING: usize = 256;

/// Who may do nothing, and does what it can.
const ATTACKERS: [&str; 4] = ["/workload/a", "/workload/b", "/workload/c", "/workload/d"];

async fn peers(
    cluster: &Running,
    id: &str,
    count: usize,
    behaviour: PeerBehaviour,
) -> Result<Vec<Http2Peer>> {
    let dialer = http2_as(cluster, id)?;
    let connector = dialer.connector()?;
    let mut peers = Vec::new();
    for _ in 0..count {
        peers.push(Http2Peer::over(dialer.connect_with(&connector).await?, behaviour).await?);
    }
    Ok(peers)
}

/// Sends so many requests in one write, and returns their streams.
async fn burst(peer: &mut Http2Peer, count: usize) -> Result<Vec<u32>> {
    let streams: Vec<u32> = (0..count).map(|_| peer.new_stream()).collect();
    let requests = streams.iter().flat_map(|stream| post_in_frames(*stream, NOTHING, b""));
    peer.send_bytes(&requests.collect::<Vec<u8>>()).await?;
    Ok(streams)
}

/// No budget counted them: four identities without rights took hundreds of megabytes.
#[tokio::test]
async fn of_the_answers_to_refused_requests_that_nobody_takes_few_have_a_body() -> Result<()> {
    const CONNECTIONS: usize = 8;
    const STREAMS: usize = 120;
    const IN_FLIGHT: usize = 16;
    let cluster = scenario()
        .setting(REQUESTS_PER_ID, "16")
        // Otherwise they would be read slowly.
        .setting("SPIKE_HTTP_SERVER_DENIALS_PER_SECOND", "0")
        .start()
        .await?;
    let mut held = peers(&cluster, WORKLOAD, CONNECTIONS, PeerBehaviour::TAKES_NOTHING).await?;
    let (mut waiting, mut sent) = (0, 0);
    for peer in &mut held {
        for stream in burst(peer, STREAMS).await? {
            let status = peer.status(stream).await?;
            let reply = peer.so_far(stream);
            if !reply.finished {
                waiting += 1;
                continue;
            }
            sent += 1;
            assert_eq!((status, reply.length), (Some(429), 0), "{reply:?}");
            assert_eq!(reply.field("retry-after"), Some("1"), "{reply:?}");
            assert!(reply.field("x-request-id").is_some(), "{reply:?}");
        }
    }
    assert!(waiting <= IN_FLIGHT + WAITING, "{waiting} wait, and {sent} were sent");
    operator_is_served(&cluster).await?;

    // All of it is given back.
    drop(held);
    cluster.until_metric("spike_requests_in_flight", |count| count <= 0.0).await?;
    let mut held = peers(&cluster, WORKLOAD, 1, PeerBehaviour::TAKES_NOTHING).await?;
    burst(&mut held[0], IN_FLIGHT).await?;
    cluster.until_metric("spike_requests_in_flight", |count| count >= 16.0).await?;
    let mut reader = peers(&cluster, WORKLOAD, 1, PeerBehaviour::GOOD).await?;
    eventually("a refusal with a body", PATIENCE / 6, async || {
        let reply = reader[0].post(NOTHING, b"").await?;
        assert_eq!(reply.status, Some(429));
        Ok((reply.length > 0).then_some(()))
    })
    .await?;
    cluster.stop().await
}

/// An answer that was not taken kept its connection, whatever the answer: nobody else could connect for thirty seconds.
#[tokio::test]
async fn a_connection_with_nothing_but_refused_requests_gives_way() -> Result<()> {
    let cluster = scenario()
        .setting("SPIKE_HTTP_SERVER_MAX_CONNECTIONS", "64")
        .setting("SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID", "16")
        .setting("SPIKE_HTTP_SERVER_MAX_REQUESTS", "64")
        .setting(REQUESTS_PER_ID, "16")
        .start()
        .await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&secrets::put("open", &[("k", "v")])).await?;
    superuser.put_policy(&allow("open", WORKLOAD, "^open$", &["read"])).await?;
    let mut held = Vec::new();
    for id in ATTACKERS {
        let dialer = http2_as(&cluster, id)?;
        for _ in 0..16 {
            let peer = Http2Peer::connect(&dialer, PeerBehaviour::TAKES_NOTHING).await;
            // There may be no place any more.
            let Ok(mut peer) = peer else { continue };
            if let Ok(stream) = peer.ask(NOTHING, b"").await {
                peer.status(stream).await?;
                held.push(peer);
            }
        }
    }
    let honest = cluster.dial_as(WORKLOAD)?;
    for _ in 0..5 {
        let answer = honest.connect().await?.post(GET, r#"{"path":"open"}"#).await;
        assert_eq!(answer.context("the honest one")?.status, 200);
    }
    operator_is_served(&cluster).await?;
    // Those whose requests have a place stay.
    let open = held.iter().filter(|peer| !peer.has_ended()).count();
    assert!(open >= 40, "{open} of {}", held.len());
    cluster.stop().await
}

/// The pause of a connection began behind all that had arrived with the first of its heads: each connection had more than a hundred
/// refused requests a second.
#[tokio::test]
async fn however_many_connections_an_identity_has_few_of_its_refused_requests_are_read()
-> Result<()> {
    const CONNECTIONS: usize = 32;
    const STREAMS: usize = 120;
    const TIME: Duration = Duration::from_secs(4);
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&secrets::put("open", &[("k", "v")])).await?;
    superuser.put_policy(&allow("open", WORKLOAD, "^open$", &["read"])).await?;
    let mut attackers = peers(&cluster, WORKLOAD, CONNECTIONS, PeerBehaviour::GOOD).await?;
    // The same identity: what it may do it may.
    let mut honest = cluster.dial_as(WORKLOAD)?.connect().await?;
    let begun = Instant::now();
    let mut streams = Vec::new();
    for peer in &mut attackers {
        streams.push(burst(peer, STREAMS).await?);
    }
    let mut reads = Vec::new();
    while begun.elapsed() < TIME {
        reads.push(honest.post(GET, r#"{"path":"open"}"#).await?.status);
    }
    let answered: usize = attackers
        .iter()
        .zip(&streams)
        .map(|(peer, streams)| {
            streams.iter().filter(|stream| peer.so_far(**stream).status.is_some()).count()
        })
        .sum();
    let seconds = usize::try_from(begun.elapsed().as_secs())? + 1;
    // Denials, one refusal for each connection and second, and what was read before the first refusal.
    let most = 200 + 50 * seconds + CONNECTIONS * seconds + 4 * STREAMS;
    assert!(answered <= most, "{answered} answers in {seconds} s");
    assert!(answered >= 200, "{answered} answers: it is served as far as its limit goes");
    assert!(reads.len() > 10 && reads.iter().all(|status| *status == 200), "{reads:?}");
    cluster.stop().await
}
