//! The end of Nexus while peers take answers and send bodies: whoever goes on has its time, and whoever does not holds nobody up.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE, Running, SUPERUSER, Scenario,
    hostile::{
        Http2Peer, PeerBehaviour,
        attack::{post, unread_answers, untaken_answers},
        frame::{Frame, flag, kind},
    },
    raw::Connection,
};
use tokio::time::timeout;

use super::{
    GET, LIST, audit_records, http2_as,
    readers::{ANSWER, ASK, large_secret, read_frames_slowly, read_slowly, take_slowly},
    spiffe_id,
};
use crate::{WORKLOAD, scenario};

const IN_FLIGHT: &str = "spike_requests_in_flight";

/// How long the slow readers of this file take, far less than the drain may.
const SLOW: Duration = Duration::from_secs(16);

/// The error code of a stream that may be asked for again (RFC 9113, section 7).
const REFUSED_STREAM: u32 = 0x7;

/// A Nexus whose drain may take very long, so that only who holds it up decides when it ends.
fn patient() -> Scenario {
    scenario().setting("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "10m")
}

async fn with_large_secret() -> Result<Running> {
    let cluster = patient()
        .setting("SPIKE_HTTP_SERVER_MAX_BODY_SIZE", "33554432")
        .setting("SPIKE_HTTP_SERVER_MAX_MEMORY", "268435456")
        .setting("SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID", "100663296")
        .start()
        .await?;
    large_secret(&cluster, ANSWER).await?;
    Ok(cluster)
}

/// Waits for a good end of Nexus.
async fn ends(cluster: &mut Running) -> Result<()> {
    let ended = timeout(PATIENCE, cluster.nexus().wait()).await;
    let code = ended.context("its peers hold Nexus up")??.code();
    ensure!(code == Some(0), "{code:?}");
    Ok(())
}

/// Over HTTP/2 they were cut 1.4 s after the signal: Nexus did not read any more that their peers opened windows. Over HTTP/1.1 so was
/// what the kernel had not taken.
#[tokio::test]
async fn answers_that_are_taken_slowly_are_sent_to_their_end_while_nexus_ends() -> Result<()> {
    let mut cluster = with_large_secret().await?;
    let http2 = Arc::new(http2_as(&cluster, SUPERUSER)?);
    let http1 = tokio::spawn(read_slowly(cluster.dial_as(SUPERUSER)?.connect().await?, SLOW));
    let windows = tokio::spawn(take_slowly(Arc::clone(&http2), SLOW));
    let frames = tokio::spawn(read_frames_slowly(http2.connect().await?, SLOW));
    cluster.until_metric(IN_FLIGHT, |count| count >= 3.0).await?;
    cluster.nexus().signal_term()?;
    for (reader, how) in [
        (http1, "over HTTP/1.1"),
        (windows, "over HTTP/2, with small windows"),
        (frames, "over HTTP/2, with every window open"),
    ] {
        assert!(reader.await?.context(how)? >= ANSWER);
    }
    ends(&mut cluster).await
}

/// Only who takes an answer may have that time.
#[tokio::test]
async fn answers_of_which_nothing_is_taken_do_not_hold_up_the_end() -> Result<()> {
    let mut cluster = with_large_secret().await?;
    let unread = unread_answers(&cluster.dial_as(WORKLOAD)?, &post(GET, ASK), (1, 1)).await?;
    let untaken = http2_as(&cluster, SUPERUSER)?;
    let untaken = untaken_answers(&untaken, (GET, ASK.as_bytes()), (1, 1)).await?;
    cluster.until_metric(IN_FLIGHT, |count| count >= 2.0).await?;
    cluster.nexus().signal_term()?;
    ends(&mut cluster).await?;
    drop((unread, untaken));
    Ok(())
}

/// A peer that goes on asking while it takes an answer: what it asks for is refused with a line each, and neither costs it the answer nor
/// makes the end later.
#[tokio::test]
async fn whoever_asks_on_while_it_takes_an_answer_is_refused_and_gets_that_answer() -> Result<()> {
    const STEP: u32 = 1 << 20;
    let mut cluster = with_large_secret().await?;
    let behaviour = PeerBehaviour { window: STEP, ..PeerBehaviour::STAYS };
    let mut peer = Http2Peer::connect(&http2_as(&cluster, SUPERUSER)?, behaviour).await?;
    let large = peer.ask(GET, ASK.as_bytes()).await?;
    cluster.until_metric(IN_FLIGHT, |count| count >= 1.0).await?;
    cluster.nexus().signal_term()?;
    let mut asked = Vec::new();
    while !peer.so_far(large).is_over() {
        tokio::time::sleep(Duration::from_millis(300)).await;
        peer.send(&Frame::window(large, STEP)).await.context("the connection is gone")?;
        asked.push(peer.ask(LIST, b"{}").await.context("the connection is gone")?);
    }
    let reply = peer.so_far(large);
    assert!(reply.finished && reply.length >= ANSWER, "cut after {} bytes", reply.length);
    ends(&mut cluster).await?;
    let refused =
        asked.iter().filter(|stream| peer.so_far(**stream).reset == Some(REFUSED_STREAM)).count();
    assert!(refused > 0, "all were carried out");
    let lines = audit_records(&cluster)?;
    let of_refused = lines
        .iter()
        .filter(|line| line["UserID"] == spiffe_id(SUPERUSER).as_str() && line["Status"] == 400);
    assert!(of_refused.count() >= refused);
    Ok(())
}

/// A body over one of the protocols, which arrives piece by piece.
enum Sender {
    Http1(Box<Connection>),
    Http2(Http2Peer, u32),
}

impl Sender {
    async fn http1(cluster: &Running, path: &str) -> Result<Self> {
        let mut connection = cluster.dial_as(path)?.connect().await?;
        let head = format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        connection.send(head).await?;
        Ok(Self::Http1(Box::new(connection)))
    }

    async fn http2(cluster: &Running, path: &str) -> Result<Self> {
        let mut peer = Http2Peer::connect(&http2_as(cluster, path)?, PeerBehaviour::GOOD).await?;
        let stream = peer.open(LIST).await?;
        Ok(Self::Http2(peer, stream))
    }

    /// Sends a byte of a body.
    async fn send(&mut self, byte: char) -> Result<()> {
        match self {
            Self::Http1(connection) => connection.send(format!("1\r\n{byte}\r\n")).await,
            Self::Http2(peer, stream) => {
                let byte = [u8::try_from(byte)?];
                Ok(peer.send(&Frame::new(kind::DATA, 0, *stream, byte)).await?)
            }
        }
    }

    async fn finish(&mut self) -> Result<()> {
        match self {
            Self::Http1(connection) => connection.send("0\r\n\r\n").await,
            Self::Http2(peer, stream) => {
                Ok(peer.send(&Frame::new(kind::DATA, flag::END_STREAM, *stream, [])).await?)
            }
        }
    }

    async fn status(&mut self) -> Result<Option<u16>> {
        match self {
            Self::Http1(connection) => Ok(Some(connection.answer().await?.status)),
            Self::Http2(peer, stream) => peer.status(*stream).await,
        }
    }
}

/// Each held up every end for five seconds.
#[tokio::test]
async fn a_body_of_which_nothing_arrives_is_answered_503_while_one_that_arrives_slowly_has_its_time()
-> Result<()> {
    let mut cluster = patient().start().await?;
    let mut silent =
        [Sender::http1(&cluster, WORKLOAD).await?, Sender::http2(&cluster, WORKLOAD).await?];
    let mut steady =
        [Sender::http1(&cluster, SUPERUSER).await?, Sender::http2(&cluster, SUPERUSER).await?];
    for sender in silent.iter_mut().chain(&mut steady) {
        sender.send('{').await?;
    }
    cluster.until_metric(IN_FLIGHT, |count| count >= 4.0).await?;
    cluster.nexus().signal_term()?;
    {
        let refused = async {
            for sender in &mut silent {
                ensure!(sender.status().await? == Some(503));
            }
            anyhow::Ok(())
        };
        let mut refused = std::pin::pin!(refused);
        while timeout(Duration::from_millis(100), &mut refused)
            .await
            .map_or(Ok(true), |refused| refused.map(|()| false))?
        {
            for sender in &mut steady {
                sender.send(' ').await.context("it was not waited for")?;
            }
        }
    }
    for sender in &mut steady {
        sender.send('}').await?;
        sender.finish().await?;
        assert_eq!(sender.status().await?, Some(200));
    }
    ends(&mut cluster).await?;
    let refused = audit_records(&cluster)?
        .into_iter()
        .filter(|line| line["UserID"] == spiffe_id(WORKLOAD).as_str() && line["Status"] == 503);
    assert_eq!(refused.count(), 2);
    Ok(())
}
