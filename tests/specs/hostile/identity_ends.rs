//! A connection ends when the SVID of its peer ends, whatever the peer does. Waiting for peers never delays the end of a daemon
//! beyond its bound.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use spike_mtls::clock;
use spike_tests::{
    Credential, PATIENCE, Running, SUPERUSER, eventually,
    hostile::{Http2Peer, PeerBehaviour, attack::post},
};
use time::OffsetDateTime;
use tokio::{task::JoinSet, time::timeout};

use super::{LIST, audit_records, http2_as};
use crate::scenario;

const SVID: Duration = Duration::from_secs(5);

/// A certificate is valid through the whole of its last second.
const LAST_SECOND: Duration = Duration::from_secs(1);

/// Within this time after its end a connection must be closed, on a machine that has nothing else to do.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// The additional time on a busy machine.
const BUSY: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(100);

/// A superuser whose SVID ends soon, and when.
fn short_lived(cluster: &Running) -> Result<(Credential, OffsetDateTime)> {
    let ca = cluster.workload_api().ca();
    let credential = Credential::valid(ca, cluster.id(SUPERUSER)?, SVID)?;
    let ends = credential.source()?.current().context("an SVID")?.not_after();
    Ok((credential, ends))
}

/// The results of a client that ignores GOAWAY: when it sent each request that got 200, and when the connection closed.
struct Course {
    served: Vec<OffsetDateTime>,
    closed: Option<OffsetDateTime>,
}

impl Course {
    const fn new() -> Self {
        Self { served: Vec::new(), closed: None }
    }

    fn check(&self, ends: OffsetDateTime) {
        assert!(!self.served.is_empty(), "it was served while its SVID was valid");
        let late = self.served.iter().filter(|sent| **sent > ends + LAST_SECOND).count();
        assert_eq!(late, 0, "served after the end of its SVID");
        assert!(self.closed.is_some(), "still open {:?} after its SVID", CLOSED_WITHIN + BUSY);
    }
}

#[tokio::test]
async fn over_http_2_a_peer_that_will_not_leave_is_refused_and_closed_at_the_end_of_its_svid()
-> Result<()> {
    let cluster = scenario().start().await?;
    let (credential, ends) = short_lived(&cluster)?;
    let dialer = cluster.stranger().showing(&credential).offering("h2");
    let mut peer = Http2Peer::connect(&dialer, PeerBehaviour::STAYS).await?;
    let mut course = Course::new();
    while clock::now() < ends + CLOSED_WITHIN + BUSY {
        let sent = clock::now();
        if peer.has_ended() {
            course.closed = Some(sent);
            break;
        }
        // After GOAWAY a server may ignore a new stream, so the test does not wait for its answer.
        if let Ok(stream) = peer.ask(LIST, b"{}").await
            && let Ok(Ok(reply)) = timeout(PAUSE * 5, peer.reply(stream)).await
            && reply.status == Some(200)
        {
            course.served.push(sent);
        }
        tokio::time::sleep(PAUSE).await;
    }
    course.check(ends);
    cluster.stop().await
}

#[tokio::test]
async fn over_http_1_1_a_peer_that_goes_on_asking_is_closed_at_the_end_of_its_svid() -> Result<()> {
    let cluster = scenario().start().await?;
    let (credential, ends) = short_lived(&cluster)?;
    let mut connection = cluster.stranger().showing(&credential).connect().await?;
    let mut course = Course::new();
    while clock::now() < ends + CLOSED_WITHIN + BUSY {
        let sent = clock::now();
        match connection.exchange(post(LIST, "{}")).await {
            Ok(answer) if answer.status == 200 => course.served.push(sent),
            Ok(_) => {}
            Err(_) => {
                course.closed = Some(sent);
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    course.check(ends);
    cluster.stop().await
}

/// A body that is fed byte by byte keeps a request in flight, and must not keep its connection.
#[tokio::test]
async fn a_request_that_is_kept_in_flight_does_not_outlive_the_svid_either() -> Result<()> {
    let cluster = scenario().start().await?;
    let (credential, ends) = short_lived(&cluster)?;
    let dialer = cluster.stranger().showing(&credential).offering("h2");
    let mut peer = Http2Peer::connect(&dialer, PeerBehaviour::STAYS).await?;
    let stream = peer.open(LIST).await?;
    let mut connection = cluster.stranger().showing(&credential).connect().await?;
    connection
        .send(format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"))
        .await?;
    let (mut http1_closed, mut http2_closed) = (false, false);
    while clock::now() < ends + CLOSED_WITHIN + BUSY && !(http1_closed && http2_closed) {
        http1_closed |= connection.send(" ").await.is_err();
        peer.feed(stream, b" ", false).await.ok();
        http2_closed |= peer.has_ended();
        tokio::time::sleep(PAUSE).await;
    }
    assert!(http1_closed && http2_closed, "HTTP/1.1: {http1_closed}, HTTP/2: {http2_closed}");
    // They were 400, "the body could not be read", as of a client that broke.
    let about_the_end = |record: &Value| {
        record["Status"] == 401
            && record["Err"].as_str().is_some_and(|text| text.contains("SVID of this connection"))
    };
    eventually("both lines say that the SVID has ended", PATIENCE / 6, async || {
        let records = audit_records(&cluster)?;
        Ok((records.iter().filter(|record| about_the_end(record)).count() == 2).then_some(()))
    })
    .await?;
    cluster.stop().await
}

/// The drain time is 20 s, unless a setting says otherwise.
#[tokio::test]
async fn a_peer_that_will_not_leave_does_not_hold_up_the_end_of_nexus() -> Result<()> {
    let mut cluster = scenario().start().await?;
    let mut peer =
        Http2Peer::connect(&http2_as(&cluster, SUPERUSER)?, PeerBehaviour::STAYS).await?;
    assert_eq!(peer.post(LIST, b"{}").await?.status, Some(200));
    cluster.nexus().signal_term()?;
    let stubborn = async {
        while peer.ask(LIST, b"{}").await.is_ok() {
            tokio::time::sleep(PAUSE).await;
        }
        std::future::pending::<()>().await;
    };
    let ended = async { timeout(Duration::from_secs(12), cluster.nexus().wait()).await };
    let ended = tokio::select! {
        () = stubborn => unreachable!("it never ends"),
        ended = ended => ended,
    };
    let status = ended.context("Nexus waits for a peer that will not leave")??;
    assert_eq!(status.code(), Some(0));
    Ok(())
}

/// Asks again after each answer, without end, on so many streams at a time.
async fn asks_on(mut peer: Http2Peer, streams: usize) -> Result<()> {
    loop {
        let mut asked = Vec::new();
        for _ in 0..streams {
            asked.push(peer.ask(LIST, b"{}").await?);
        }
        for stream in asked {
            peer.reply(stream).await?;
        }
    }
}

/// Requests that came after the peer was asked to leave were carried out for as long as the drain time, and nobody else was.
#[tokio::test]
async fn a_peer_that_is_asked_to_leave_and_asks_again_after_each_answer_does_not_hold_up_the_end()
-> Result<()> {
    for streams in [1, 20] {
        let mut cluster = scenario().start().await?;
        let mut asking = JoinSet::new();
        for _ in 0..4 {
            let dialer = http2_as(&cluster, SUPERUSER)?;
            let peer = Http2Peer::connect(&dialer, PeerBehaviour::STAYS).await?;
            asking.spawn(asks_on(peer, streams));
        }
        tokio::time::sleep(PAUSE).await;
        cluster.nexus().signal_term()?;
        let ended = timeout(Duration::from_secs(12), cluster.nexus().wait()).await;
        let status = ended.with_context(|| format!("{streams} streams hold up the end"))??;
        assert_eq!(status.code(), Some(0));
    }
    Ok(())
}
