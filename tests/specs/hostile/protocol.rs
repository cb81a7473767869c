//! HTTP/2 that is malformed. Nexus ends each kind in a defined way, stays healthy, and serves others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE, Running, SUPERUSER, eventually,
    hostile::{
        Http2Peer, MIB, PeerBehaviour, Reply,
        frame::{Frame, MAX_PAYLOAD, flag, kind, setting},
        hpack, resident,
    },
};

use super::{
    LIST, audit_records, bodies::MOST, http2_as, operator_is_served, records_of_the_workload,
};
use crate::{WORKLOAD, scenario};

/// The error codes of HTTP/2 (RFC 9113, section 7).
const PROTOCOL_ERROR: u32 = 0x1;
const FLOW_CONTROL_ERROR: u32 = 0x3;
const FRAME_SIZE_ERROR: u32 = 0x6;
const COMPRESSION_ERROR: u32 = 0x9;

/// How long a connection that must end may take to.
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn peer(cluster: &Running) -> Result<Http2Peer> {
    Http2Peer::connect(&http2_as(cluster, WORKLOAD)?, PeerBehaviour::GOOD).await
}

/// Streams whose answers the client does not accept: up to the limit, and no more.
#[tokio::test]
async fn a_peer_with_a_window_of_nothing_is_heard_and_holds_up_nobody() -> Result<()> {
    let cluster = scenario().start().await?;
    let dialer = http2_as(&cluster, SUPERUSER)?;
    let mut peer = Http2Peer::connect(&dialer, PeerBehaviour::TAKES_NOTHING).await?;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(peer.ask(LIST, b"{}").await?);
    }
    for stream in streams {
        assert_eq!(peer.status(stream).await?, Some(200));
        assert_eq!(peer.so_far(stream).length, 0);
    }
    drop(peer);
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// Sends these bytes after a valid start, and returns how the connection ended.
async fn end_after(cluster: &Running, bytes: Vec<u8>) -> Result<Option<u32>> {
    let peer = peer(cluster).await?;
    peer.has_read_all().await?;
    peer.send_bytes(&bytes).await?;
    peer.ended(ENDS_WITHIN).await?;
    Ok(peer.goaway())
}

fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    Frame::new(kind::HEADERS, flags, stream, hpack::encode(fields.iter().copied())).encode()
}

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", LIST)];

/// Each breaks the connection as a whole (RFC 9113, sections 4 to 6). A server may call any of it
/// a protocol error.
#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection_with_its_reason() -> Result<()> {
    let cluster = scenario().start().await?;
    let settings = |payload: &[u8]| Frame::new(kind::SETTINGS, 0, 0, payload).encode();
    let overflow = Frame::window(0, 0x7fff_ffff).encode();
    let cases = [
        (
            "a frame over the limit",
            Frame::new(kind::DATA, 0, 1, vec![0; MAX_PAYLOAD + 1]).encode(),
            FRAME_SIZE_ERROR,
        ),
        ("settings cut short", settings(&[0, 4, 0]), FRAME_SIZE_ERROR),
        ("settings of a stream", Frame::new(kind::SETTINGS, 0, 1, []).encode(), PROTOCOL_ERROR),
        (
            "a window that no window can be",
            Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, u32::MAX)]).encode(),
            FLOW_CONTROL_ERROR,
        ),
        ("a PING cut short", Frame::new(kind::PING, 0, 0, *b"1234").encode(), FRAME_SIZE_ERROR),
        ("a PING of a stream", Frame::new(kind::PING, 0, 1, *b"12345678").encode(), PROTOCOL_ERROR),
        ("a body of no stream", Frame::new(kind::DATA, 0, 0, *b"x").encode(), PROTOCOL_ERROR),
        ("a body before its head", Frame::new(kind::DATA, 0, 5, *b"x").encode(), PROTOCOL_ERROR),
        ("a stream of the server's", head(2, flag::END_HEADERS, &POST), PROTOCOL_ERROR),
        ("the end of a stream that never was", Frame::reset(9, 8).encode(), PROTOCOL_ERROR),
        (
            "more of a head that never was",
            Frame::new(kind::CONTINUATION, flag::END_HEADERS, 1, []).encode(),
            PROTOCOL_ERROR,
        ),
        (
            "another frame within a head",
            [head(1, 0, &POST), Frame::ping(*b"12345678").encode()].concat(),
            PROTOCOL_ERROR,
        ),
        ("a window that overflows", [overflow.clone(), overflow].concat(), FLOW_CONTROL_ERROR),
        (
            "a head that is no HPACK",
            Frame::new(kind::HEADERS, flag::END_HEADERS, 1, [0xff; 16]).encode(),
            COMPRESSION_ERROR,
        ),
        (
            "what is no HTTP/2 at all",
            b"POST / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            FRAME_SIZE_ERROR,
        ),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, code) in cases {
        match end_after(&cluster, bytes).await {
            Ok(Some(seen)) if seen == code || seen == PROTOCOL_ERROR => {}
            end => wrong.push(format!("{what}: {end:?} for {code}")),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// Sends one head with an empty body, and returns the answer.
async fn reply_to(cluster: &Running, fields: &[(&str, &str)]) -> Result<Reply> {
    let mut peer = peer(cluster).await?;
    let stream = peer.new_stream();
    peer.send_bytes(&head(stream, flag::END_HEADERS | flag::END_STREAM, fields)).await?;
    peer.reply(stream).await
}

/// Each breaks one request (RFC 9113, section 8): it ends with a reset of its stream or a status of 400 and more, and
/// has one audit line.
#[tokio::test]
async fn a_head_that_is_no_request_ends_its_stream_and_is_never_served() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut lines = 0;
    let with = |more: &[(&'static str, &'static str)]| [&POST, more].concat();
    for (what, fields) in [
        ("no path", POST[..3].to_vec()),
        ("neither path nor authority", POST[..2].to_vec()),
        ("no method", POST[1..].to_vec()),
        ("two paths", with(&[(":path", LIST)])),
        ("a pseudo-header that is none", with(&[(":nonsense", "x")])),
        ("a pseudo-header after a field", [&[("x", "y")], &POST[..]].concat()),
        ("an upper-case name", with(&[("X-Upper", "y")])),
        ("a connection field", with(&[("connection", "close")])),
        ("chunks", with(&[("transfer-encoding", "chunked")])),
        ("a line end in a value", with(&[("x", "y\r\nz: 1")])),
        ("a length that is not that of the body", with(&[("content-length", "5")])),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "5")])),
        ("an empty path", vec![POST[0], POST[1], POST[2], (":path", "")]),
    ] {
        let reply = reply_to(&cluster, &fields).await.context(what)?;
        assert!(reply.status.is_none_or(|status| status >= 400), "{what}: {reply:?}");
        lines += 1;
        settled_lines(&cluster, lines).await.context(what)?;
    }
    operator_is_served(&cluster).await?;
    assert_eq!(records_of_the_workload(&cluster)?.len(), lines);
    cluster.stop().await
}

/// Waits until there are so many audit lines of the workload.
async fn settled_lines(cluster: &Running, lines: usize) -> Result<()> {
    eventually(&format!("{lines} audit lines"), PATIENCE / 6, async || {
        Ok((records_of_the_workload(cluster)?.len() >= lines).then_some(()))
    })
    .await
}

/// The library that reads HTTP/2 answers these by itself. Requests before, between and after them are served.
#[tokio::test]
async fn heads_that_the_http2_layer_refuses_have_one_audit_line_each_among_requests_that_have_theirs()
-> Result<()> {
    let cluster = scenario().start().await?;
    let mut peer = peer(&cluster).await?;
    let whole = flag::END_HEADERS | flag::END_STREAM;
    let broken = [&POST[..], &[("connection", "close")]].concat();
    let huge = "p".repeat(80 * 1024);
    let (mut bytes, mut sound, mut last) = (Vec::new(), Vec::new(), 0);
    for _ in 0..10 {
        let stream = peer.new_stream();
        bytes.extend(head(stream, whole, &broken));
        sound.push(peer.new_stream());
        bytes.extend(head(sound[sound.len() - 1], whole, &POST));
        last = peer.new_stream();
        bytes.extend(head(last, whole, &broken));
    }
    peer.send_bytes(&bytes).await?;
    for stream in sound {
        assert_eq!(peer.status(stream).await?, Some(400), "a list without a body");
    }
    assert!(peer.reply(last).await?.reset.is_some());
    let large = peer.ask_with(LIST, &[("x-padding", &huge)], b"{}").await?;
    assert!(matches!(peer.status(large).await?, None | Some(431)));
    settled_lines(&cluster, 31).await?;
    // Those of one more request show that no line comes late.
    assert_eq!(peer.post(LIST, b"{}").await?.status, Some(401));
    settled_lines(&cluster, 32).await?;
    let records = audit_records(&cluster)?;
    let refused = records.iter().filter(|record| record["Action"] == "request");
    let reasons: Vec<&str> = refused.filter_map(|record| record["Err"].as_str()).collect();
    assert_eq!(reasons.len(), 21);
    assert!(reasons.iter().all(|reason| reason.contains("HTTP/2 layer")), "{reasons:?}");
    assert_eq!(records_of_the_workload(&cluster)?.len(), 32);
    cluster.stop().await
}

/// They count as denials. A peer that sends too many loses its connection, long before the library would end it, and gets 429 at
/// its next denial.
#[tokio::test]
async fn a_flood_of_heads_that_the_http2_layer_refuses_ends_its_connection_and_others_are_served()
-> Result<()> {
    let rate = ("SPIKE_HTTP_SERVER_DENIALS_PER_SECOND", "SPIKE_HTTP_SERVER_DENIALS_BURST");
    let cluster = scenario().setting(rate.0, "1").setting(rate.1, "10").start().await?;
    let mut peer = peer(&cluster).await?;
    let broken = [&POST[..], &[("connection", "close")]].concat();
    for _ in 0..500 {
        let stream = peer.new_stream();
        let bytes = head(stream, flag::END_HEADERS | flag::END_STREAM, &broken);
        if peer.has_ended() || peer.send_bytes(&bytes).await.is_err() {
            break;
        }
    }
    peer.ended(ENDS_WITHIN).await?;
    operator_is_served(&cluster).await?;
    let mut http1 = cluster.dial_as(WORKLOAD)?.connect().await?;
    eventually("no more denials", PATIENCE, async || {
        Ok((http1.post(LIST, "{}").await?.status == 429).then_some(()))
    })
    .await?;
    cluster.stop().await
}

#[tokio::test]
async fn connect_is_answered_404_and_opens_no_tunnel() -> Result<()> {
    let cluster = scenario().start().await?;
    let connect = [(":method", "CONNECT"), (":authority", "localhost:22")];
    let reply = reply_to(&cluster, &connect).await?;
    assert!(reply.status == Some(404) || reply.reset.is_some(), "{reply:?}");
    let mut http1 = cluster.dial_as(WORKLOAD)?.connect().await?;
    let answer = http1.exchange("CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    assert_eq!(answer.status, 404);
    cluster.stop().await
}

/// Trailers are read and ignored.
#[tokio::test]
async fn trailers_do_no_harm() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut peer = Http2Peer::connect(&http2_as(&cluster, SUPERUSER)?, PeerBehaviour::GOOD).await?;
    let stream = peer.open(LIST).await?;
    peer.feed(stream, b"{}", false).await?;
    let trailers = hpack::encode([("x-checksum", "1"), ("content-length", "77")]);
    let flags = flag::END_HEADERS | flag::END_STREAM;
    peer.send(&Frame::new(kind::HEADERS, flags, stream, trailers)).await?;
    assert_eq!(peer.reply(stream).await?.status, Some(200));
    let mut http1 = cluster.dial_as(SUPERUSER)?.connect().await?;
    let request = format!(
        "POST {LIST} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: x-checksum\r\n\r\n\
         2\r\n{{}}\r\n0\r\nx-checksum: 1\r\n\r\n"
    );
    assert_eq!(http1.exchange(request).await?.status, 200);
    cluster.stop().await
}

/// The documented bound is 64 KiB (wire-api 2.4).
#[tokio::test]
async fn a_head_over_64_kib_is_refused_on_both_protocols_and_one_below_is_not() -> Result<()> {
    let cluster = scenario().start().await?;
    for (kib, served) in [(60, true), (70, false)] {
        let padding = "p".repeat(kib * 1024);
        let request = format!(
            "POST {LIST} HTTP/1.1\r\nHost: x\r\nX-Padding: {padding}\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let mut http1 = cluster.dial_as(SUPERUSER)?.connect().await?;
        let status = http1.exchange(request).await?.status;
        assert_eq!(status, if served { 200 } else { 431 }, "{kib} KiB over HTTP/1.1");

        let mut peer =
            Http2Peer::connect(&http2_as(&cluster, SUPERUSER)?, PeerBehaviour::GOOD).await?;
        let stream = peer.ask_with(LIST, &[("x-padding", &padding)], b"{}").await?;
        let status = peer.reply(stream).await?.status;
        assert_eq!(status == Some(200), served, "{kib} KiB over HTTP/2: {status:?}");
        assert!(served || matches!(status, None | Some(431)), "{status:?}");
    }
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// 8 KB on the wire, 16 MB in memory.
#[tokio::test]
async fn a_small_head_that_unfolds_to_a_large_one_is_refused() -> Result<()> {
    let mut cluster = scenario().start().await?;
    let mut peer = Http2Peer::connect(&http2_as(&cluster, SUPERUSER)?, PeerBehaviour::GOOD).await?;
    for _ in 0..20 {
        if peer.has_ended() {
            break;
        }
        let block = hpack::unfolding(4_000, 4_000);
        let stream = peer.ask_with_block(LIST, &block, b"{}").await?;
        let status = peer.status(stream).await?;
        assert!(matches!(status, None | Some(431)), "{status:?}");
    }
    let taken = resident(cluster.nexus().pid().context("Nexus runs")?)?;
    ensure!(taken <= MOST, "Nexus takes {} MiB", taken / MIB);
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// A server may ignore frames on a stream that has ended, or end the connection. It must not answer twice.
#[tokio::test]
async fn what_comes_after_the_end_of_a_stream_is_not_taken_for_part_of_it() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut peer = peer(&cluster).await?;
    let stream = peer.ask(LIST, b"{}").await?;
    let reply = peer.reply(stream).await?;
    assert_eq!(reply.status, Some(401));
    peer.send(&Frame::new(kind::DATA, flag::END_STREAM, stream, *b"{}")).await?;
    peer.send(&Frame::new(kind::HEADERS, flag::END_HEADERS, stream, hpack::encode(POST))).await?;
    peer.send(&Frame::new(kind::DATA, flag::END_STREAM, stream, *b"{}")).await?;
    let read = peer.has_read_all().await;
    assert!(read.is_ok() || peer.has_ended(), "{read:?}");
    let after = peer.so_far(stream);
    assert_eq!((after.status, after.length), (reply.status, reply.length));
    assert_eq!(records_of_the_workload(&cluster)?.len(), 1);
    cluster.stop().await
}
