//! An answer always arrives, even if it is sent before the end of the request (design 5).

use anyhow::{Context, Result};
use spike_daemon::settings::Backend;
use spike_tests::{
    Running, SUPERUSER,
    hostile::{Http2Peer, MIB, PeerBehaviour},
};

use super::{PUT, http2_as};
use crate::{WORKLOAD, scenario};

/// How often each answer must arrive.
const TIMES: usize = 20;

/// A put with a value of this many bytes.
fn put(bytes: u64) -> Result<String> {
    let value = "v".repeat(usize::try_from(bytes)?);
    Ok(format!(r#"{{"path":"app/large","values":{{"k":"{value}"}}}}"#))
}

/// A client that writes its whole request before it reads, as Go's does while there is no answer.
async fn over_http1(cluster: &Running, path: &str, body: &str) -> Result<u16> {
    let mut connection = cluster.dial_as(path)?.connect().await?;
    let length = body.len();
    let head = format!("POST {PUT} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    connection.send(head).await?;
    for piece in body.as_bytes().chunks(64 * 1024) {
        connection.send(piece).await.context("the request cannot be written")?;
    }
    Ok(connection.answer().await?.status)
}

/// A client that sends within the windows of the server, and reads the answer.
async fn over_http2(cluster: &Running, path: &str, body: &str) -> Result<Option<u16>> {
    let mut peer = Http2Peer::connect(&http2_as(cluster, path)?, PeerBehaviour::GOOD).await?;
    let stream = peer.open(PUT).await?;
    peer.feed(stream, body.as_bytes(), true).await?;
    peer.status(stream).await
}

async fn every_time(cluster: &Running, path: &str, body: &str, status: u16) -> Result<()> {
    let (mut http1, mut http2) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        http1.push(over_http1(cluster, path, body).await.map_err(|error| format!("{error:#}")));
        http2.push(over_http2(cluster, path, body).await.map_err(|error| format!("{error:#}")));
    }
    assert_eq!(http1, vec![Ok(status); TIMES], "HTTP/1.1");
    assert_eq!(http2, vec![Ok(Some(status)); TIMES], "HTTP/2");
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_413_and_the_client_reads_it() -> Result<()> {
    let cluster = scenario().start().await?;
    every_time(&cluster, SUPERUSER, &put(5 * MIB)?, 413).await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_large_put_by_a_workload_without_rights_is_answered_401_and_the_client_reads_it()
-> Result<()> {
    // Otherwise most of them would get 429.
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_DENIALS_BURST", "0").start().await?;
    every_time(&cluster, WORKLOAD, &put(3 * MIB)?, 401).await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_large_put_to_a_sealed_nexus_is_answered_503_and_the_client_reads_it() -> Result<()> {
    let cluster = scenario().backend(Backend::Sqlite).start_sealed().await?;
    every_time(&cluster, SUPERUSER, &put(3 * MIB)?, 503).await?;
    cluster.stop().await
}
