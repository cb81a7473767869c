//! The attacks of one identity, each a function with its amount as an argument. All use valid frames; the others are in
//! [`super::flood`], those with heads in [`super::heads`].

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{Http2Peer, PeerBehaviour, frame::MAX_PAYLOAD};
use crate::raw::{Connection, Dialer};

/// How long an attacker waits for a window from the server before it goes on without.
const STALL: Duration = Duration::from_secs(1);

/// The connections that an attack holds open. Dropping it closes them.
#[derive(Debug, Default)]
pub struct Held {
    /// HTTP/2 connections.
    pub http2: Vec<Http2Peer>,
    /// HTTP/1.1 connections.
    pub http1: Vec<Connection>,
    /// Connections without a handshake.
    pub tcp: Vec<TcpStream>,
    /// Bytes of bodies that the server accepted.
    pub sent: u64,
}

/// The results of many requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many answers had each status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer, connections that were refused among them.
    pub unanswered: u64,
    /// Answers with `Retry-After`.
    pub retry_after: u64,
}

impl Tally {
    /// How many answers had this status.
    pub fn count(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.retry_after += other.retry_after;
    }
}

/// Sends bodies of `bytes` bytes without their last byte on `streams` streams of each of `connections` connections, as far as
/// the windows of the server permit. `dialer` must offer `h2`.
///
/// # Errors
/// If a connection does not come to be.
pub async fn unfinished_bodies(
    dialer: &Dialer,
    target: &str,
    (connections, streams): (usize, usize),
    bytes: usize,
) -> Result<Held> {
    let connector = dialer.connector()?;
    let mut attackers = JoinSet::new();
    for _ in 0..connections {
        let connection = dialer.connect_with(&connector).await?;
        let peer = Http2Peer::over(connection, PeerBehaviour::GOOD).await?;
        attackers.spawn(fill_streams(peer, target.to_owned(), streams, bytes.saturating_sub(1)));
    }
    let mut held = Held::default();
    for (peer, sent) in attackers.join_all().await {
        held.http2.push(peer);
        held.sent += sent;
    }
    Ok(held)
}

async fn fill_streams(
    mut peer: Http2Peer,
    target: String,
    streams: usize,
    bytes: usize,
) -> (Http2Peer, u64) {
    let piece = vec![b'x'; MAX_PAYLOAD];
    let mut sent = 0;
    let mut open = Vec::new();
    for _ in 0..streams {
        match peer.open(&target).await {
            Ok(stream) => open.push((stream, bytes)),
            // The server refuses it.
            Err(_) => return (peer, sent),
        }
    }
    loop {
        let mut progress = 0;
        for (stream, left) in &mut open {
            let room = peer.room_now(*stream).min(*left).min(piece.len());
            let Some(bytes) = piece.get(..room).filter(|bytes| !bytes.is_empty()) else { continue };
            match timeout(STALL, peer.feed(*stream, bytes, false)).await {
                Ok(Ok(taken)) => {
                    *left -= taken;
                    progress += taken;
                }
                Ok(Err(_)) | Err(_) => return (peer, sent),
            }
        }
        sent += progress as u64;
        open.retain(|(stream, left)| *left > 0 && !peer.so_far(*stream).is_over());
        let streams: Vec<u32> = open.iter().map(|(stream, _)| *stream).collect();
        if streams.is_empty() || progress == 0 && !peer.may_send_on(&streams, STALL).await {
            return (peer, sent);
        }
    }
}

/// Sends requests on `streams` streams of each of `connections` HTTP/2 connections, and accepts no answer. `dialer` must offer
/// `h2`.
///
/// # Errors
/// If a connection does not come to be.
pub async fn untaken_answers(
    dialer: &Dialer,
    (target, body): (&str, &[u8]),
    (connections, streams): (usize, usize),
) -> Result<Held> {
    let connector = dialer.connector()?;
    let mut held = Held::default();
    for _ in 0..connections {
        let connection = dialer.connect_with(&connector).await?;
        let mut peer = Http2Peer::over(connection, PeerBehaviour::TAKES_NOTHING).await?;
        for _ in 0..streams {
            if peer.ask(target, body).await.is_err() {
                break;
            }
        }
        held.http2.push(peer);
    }
    Ok(held)
}

/// Sends `requests` requests, one after the other, over each of `connections` HTTP/1.1 connections, and reads nothing.
///
/// # Errors
/// If a connection does not come to be.
pub async fn unread_answers(
    dialer: &Dialer,
    request: &[u8],
    (connections, requests): (usize, usize),
) -> Result<Held> {
    let connector = dialer.connector()?;
    let mut held = Held::default();
    for _ in 0..connections {
        let mut connection = dialer.connect_with(&connector).await?;
        for _ in 0..requests {
            // A server that has read enough takes no more.
            match timeout(STALL, connection.send(request)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => break,
            }
        }
        held.http1.push(connection);
    }
    Ok(held)
}

/// Opens `count` connections, reads one answer over each, and leaves them open. Refused ones are not tried again.
///
/// # Errors
/// If the TLS side cannot be configured.
pub async fn idle_connections(dialer: &Dialer, request: &[u8], count: usize) -> Result<Held> {
    let connector = dialer.connector()?;
    let mut held = Held::default();
    for _ in 0..count {
        let Ok(mut connection) = dialer.connect_with(&connector).await else { continue };
        // The connection is kept until the server ends it, whatever the answer is.
        connection.exchange(request).await.ok();
        held.http1.push(connection);
    }
    Ok(held)
}

/// Opens `count` TCP connections and sends nothing.
///
/// # Errors
/// If the kernel refuses a connection.
pub async fn half_open(address: SocketAddr, count: usize) -> Result<Held> {
    let mut held = Held::default();
    for _ in 0..count {
        held.tcp.push(TcpStream::connect(address).await?);
    }
    Ok(held)
}

/// Sends `requests` requests in all over `connections` HTTP/1.1 connections, as fast as they are answered. A connection
/// that ends is opened again.
///
/// # Errors
/// If the TLS side cannot be configured.
pub async fn requests(
    dialer: &Arc<Dialer>,
    request: &[u8],
    connections: usize,
    requests: usize,
) -> Result<Tally> {
    let mut attackers = JoinSet::new();
    for number in 0..connections {
        let share = requests / connections + usize::from(number < requests % connections);
        attackers.spawn(one_after_the_other(Arc::clone(dialer), request.to_vec(), share));
    }
    let mut tally = Tally::default();
    while let Some(part) = attackers.join_next().await {
        tally.add(&part??);
    }
    Ok(tally)
}

async fn one_after_the_other(
    dialer: Arc<Dialer>,
    request: Vec<u8>,
    requests: usize,
) -> Result<Tally> {
    let connector = dialer.connector()?;
    let mut tally = Tally::default();
    let mut kept: Option<Connection> = None;
    for _ in 0..requests {
        let answer = async {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => dialer.connect_with(&connector).await?,
            };
            let answer = connection.exchange(&request).await?;
            anyhow::Ok((connection, answer))
        };
        match answer.await {
            Ok((connection, answer)) => {
                *tally.statuses.entry(answer.status).or_default() += 1;
                tally.retry_after += u64::from(answer.header("retry-after").is_some());
                if answer.header("connection") != Some("close") {
                    kept = Some(connection);
                }
            }
            Err(_) => tally.unanswered += 1,
        }
    }
    Ok(tally)
}

/// A POST over HTTP/1.1 as bytes.
pub fn post(target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}
