//! HTTP/1.1 messages with an ambiguous length, as in request smuggling (RFC 9112, section 11.2). There is no proxy between a
//! peer and Nexus. Still, one request must never become two.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE, Running, SUPERUSER, eventually,
    hostile::{
        Http2Peer, PeerBehaviour,
        frame::{Frame, kind},
        hpack,
    },
    raw::Connection,
};
use tokio::{io::AsyncReadExt, time::timeout};

use super::{LIST, audit_records, http2_as, operator_is_served};
use crate::{WORKLOAD, scenario};

/// The request that is hidden after the first one in every case. It must get no answer.
fn hidden() -> String {
    format!("POST {LIST} HTTP/1.1\r\nHost: hidden\r\nContent-Length: 2\r\n\r\n{{}}")
}

/// Every answer until the connection ends, or no more arrives.
async fn answers(connection: &mut Connection) -> Vec<u16> {
    let mut statuses = Vec::new();
    let more = Duration::from_secs(1);
    while let Ok(Ok(answer)) = timeout(more, connection.answer()).await {
        statuses.push(answer.status);
    }
    statuses
}

async fn statuses_of(cluster: &Running, fields: &str, body: &str) -> Result<Vec<u16>> {
    let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
    let request = format!("POST {LIST} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}{}", hidden());
    connection.send(request).await.context("the request cannot be sent")?;
    Ok(answers(&mut connection).await)
}

/// After an ambiguous length the connection must end.
#[tokio::test]
async fn a_length_in_doubt_is_answered_400_and_nothing_after_it_is_read() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut wrong = Vec::new();
    for (what, fields, body) in [
        ("two lengths", "Content-Length: 2\r\nContent-Length: 200\r\n", "{}"),
        ("two lengths in one field", "Content-Length: 2, 200\r\n", "{}"),
        ("a length with a sign", "Content-Length: +2\r\n", "{}"),
        ("a length that is negative", "Content-Length: -1\r\n", "{}"),
        ("a length that is no number", "Content-Length: 0x2\r\n", "{}"),
        ("a length beyond every number", "Content-Length: 99999999999999999999999\r\n", "{}"),
        ("an encoding that is not known", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        (
            "chunks that are not the last encoding",
            "Transfer-Encoding: chunked, gzip\r\n",
            "0\r\n\r\n",
        ),
        (
            "an encoding that does nothing before the chunks",
            "Transfer-Encoding: identity, chunked\r\n",
            "0\r\n\r\n",
        ),
        ("chunks in chunks", "Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        (
            "two encodings",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        ("a folded field", "Transfer-Encoding:\r\n chunked\r\nContent-Length: 2\r\n", "{}"),
        ("a blank before the colon", "Content-Length : 2\r\n", "{}"),
        ("a blank before the name", " Content-Length: 2\r\n", "{}"),
        ("a name with a control character", "Content\u{b}Length: 2\r\n", "{}"),
        ("a NUL in a value", "X-Value: a\0b\r\nContent-Length: 2\r\n", "{}"),
        ("a carriage return alone", "X-Value: a\rContent-Length: 2\r\nContent-Length: 2\r\n", "{}"),
        (
            "a chunk whose size is no number",
            "Transfer-Encoding: chunked\r\n",
            "2x\r\n{}\r\n0\r\n\r\n",
        ),
        ("a chunk with a sign", "Transfer-Encoding: chunked\r\n", "+2\r\n{}\r\n0\r\n\r\n"),
        (
            "a chunk beyond every number",
            "Transfer-Encoding: chunked\r\n",
            "ffffffffffffffff0\r\n{}",
        ),
        ("a chunk longer than it says", "Transfer-Encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n"),
    ] {
        let statuses = statuses_of(&cluster, fields, body).await.context(what)?;
        if statuses != [400] {
            wrong.push(format!("{what}: {statuses:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// RFC 9112, section 6.3: the encoding overrides the length. A server must read such a request by its chunks and answer what
/// follows as a request of its own, or refuse it.
#[tokio::test]
async fn a_length_beside_an_encoding_is_overridden_or_refused() -> Result<()> {
    let cluster = scenario().start().await?;
    let body = "2\r\n{}\r\n0\r\n\r\n";
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        let statuses = statuses_of(&cluster, fields, body).await?;
        ensure!(
            matches!(statuses.as_slice(), [400 | 200] | [200, 200]),
            "{fields:?}: {statuses:?}"
        );
    }
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// Extensions after a chunk's size are ignored, up to a limit.
#[tokio::test]
async fn chunk_extensions_are_passed_over_and_do_not_go_on_for_ever() -> Result<()> {
    let cluster = scenario().start().await?;
    let chunked = "Transfer-Encoding: chunked\r\n";
    let short = "2;name=value\r\n{}\r\n0\r\n\r\n";
    assert_eq!(statuses_of(&cluster, chunked, short).await?, [200, 200]);
    let long = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(1 << 20));
    let statuses = statuses_of(&cluster, chunked, &long).await.unwrap_or_default();
    ensure!(matches!(statuses.as_slice(), [] | [400]), "{statuses:?}");
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// Go's server and ours accept a line feed alone as the end of a line (RFC 9112, section 2.2 permits it). It is one request.
#[tokio::test]
async fn lines_that_end_with_a_line_feed_alone_make_one_request() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
    connection.send(format!("POST {LIST} HTTP/1.1\nHost: x\nContent-Length: 2\n\n{{}}")).await?;
    let statuses = answers(&mut connection).await;
    ensure!(matches!(statuses.as_slice(), [200 | 400]), "{statuses:?}");
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// The head of a request has its limit on both protocols, and what was cut off has its line. Silence is no request.
#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off_over_http_2_too_and_has_its_line() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT", "2s").start().await?;
    let dialer = http2_as(&cluster, WORKLOAD)?;
    let mut sound = Http2Peer::connect(&dialer, PeerBehaviour::GOOD).await?;
    assert_eq!(sound.post(LIST, b"{}").await?.status, Some(401));
    let begin = |stream| {
        let field = hpack::encode([(":method", "POST")]);
        Frame::new(kind::HEADERS, 0, stream, field).encode()
    };
    // No other frame may come within a block of headers, so the connection must be set up first.
    let mut cut_short = Http2Peer::connect(&dialer, PeerBehaviour::GOOD).await?;
    cut_short.has_read_all().await?;
    let stream = cut_short.new_stream();
    cut_short.send_bytes(&begin(stream)).await?;
    let mut drips = Http2Peer::connect(&dialer, PeerBehaviour::GOOD).await?;
    drips.has_read_all().await?;
    let stream = drips.new_stream();
    drips.send_bytes(&begin(stream)).await?;
    let (silent, mut half) = (dialer.connect().await?, dialer.connect().await?);
    half.send("PRI * HTTP/2.0").await?;
    let mut http1 = cluster.dial_as(WORKLOAD)?.connect().await?;
    http1.send("POST / HTTP/1.1\r\nHost: x\r\nX-").await?;

    eventually("the end of the head that drips", PATIENCE, async || {
        // The HTTP/2 library itself ends a block of many frames.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let more = Frame::new(kind::CONTINUATION, 0, stream, hpack::encode([("x", "y")]));
        Ok((drips.send(&more).await.is_err() || drips.has_ended()).then_some(()))
    })
    .await?;
    cut_short.ended(PATIENCE).await?;
    for connection in [silent, half, http1] {
        let (mut stream, mut seen) = (connection.into_stream(), Vec::new());
        // Over HTTP/2 the server speaks first. How a cut connection ends does not matter.
        let ended = timeout(PATIENCE, stream.read_to_end(&mut seen)).await;
        ensure!(ended.is_ok(), "still open");
    }
    let late = || -> Result<usize> {
        let records = audit_records(&cluster)?;
        Ok(records.iter().filter(|line| line["Status"] == 408).count())
    };
    let told = eventually("four lines", PATIENCE, async || Ok((late()? >= 4).then_some(())));
    told.await.with_context(|| format!("{:#?}", audit_records(&cluster)))?;
    assert_eq!(sound.post(LIST, b"{}").await?.status, Some(401), "an idle one lives on");
    assert_eq!(late()?, 4);
    cluster.stop().await
}

/// Requests one after the other without waiting are answered in their order.
#[tokio::test]
async fn pipelined_requests_are_answered_one_by_one() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
    connection.send(hidden().repeat(50)).await?;
    assert_eq!(answers(&mut connection).await, [200; 50]);
    cluster.stop().await
}
