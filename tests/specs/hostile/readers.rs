//! Answers that the client does not accept are cut off. Answers that the client reads slowly are not.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE, Running, SUPERUSER,
    hostile::{
        Http2Peer, MIB, PeerBehaviour,
        attack::{Held, post, unread_answers, untaken_answers},
        frame::{Frame, PREFACE, flag, kind, setting},
        post_in_frames,
    },
    policies::allow,
    raw::{Connection, Dialer},
    secrets,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::{
    GET,
    bodies::{is_borne, memory_comes_back},
    http2_as,
};
use crate::{WORKLOAD, scenario};

/// A request for the large secret.
pub(super) const ASK: &str = r#"{"path":"large"}"#;

/// Puts a secret of this many bytes, which the workload may read.
pub(super) async fn large_secret(cluster: &Running, bytes: u64) -> Result<()> {
    let superuser = cluster.superuser()?;
    let value = "x".repeat(usize::try_from(bytes)?);
    superuser.put_secret(&secrets::put("large", &[("value", &value)])).await?;
    superuser.put_policy(&allow("large", WORKLOAD, "^large$", &["read"])).await?;
    Ok(())
}

#[tokio::test]
async fn answers_that_nobody_takes_over_http_2_stay_within_the_budget() -> Result<()> {
    let mut cluster = scenario().start().await?;
    large_secret(&cluster, 3 * MIB).await?;
    let dialer = http2_as(&cluster, WORKLOAD)?;
    let attack = untaken_answers(&dialer, (GET, ASK.as_bytes()), (2, 100));
    let held = is_borne(&mut cluster, attack).await?;
    drop(held);
    memory_comes_back(&mut cluster).await?;
    cluster.stop().await
}

#[tokio::test]
async fn answers_that_nobody_reads_over_http_1_1_stay_within_the_budget() -> Result<()> {
    let mut cluster = scenario().start().await?;
    large_secret(&cluster, 3 * MIB).await?;
    let dialer = cluster.dial_as(WORKLOAD)?;
    let request = post(GET, ASK);
    let attack = unread_answers(&dialer, &request, (100, 2));
    let held = is_borne(&mut cluster, attack).await?;
    drop(held);
    memory_comes_back(&mut cluster).await?;
    cluster.stop().await
}

/// A window of one byte lets the HTTP/2 library take a whole part of an answer into a buffer of its own.
#[tokio::test]
async fn answers_of_which_a_peer_takes_a_single_byte_are_counted_and_cut_off() -> Result<()> {
    const STREAMS: u32 = 100;
    const SIZES: [u64; 2] = [3 << 10, 15 << 10];
    for bytes in SIZES {
        let cluster = scenario().setting("SPIKE_HTTP_SERVER_STALL_TIMEOUT", "5s").start().await?;
        large_secret(&cluster, bytes).await?;
        let behaviour = PeerBehaviour { window: 1, ..PeerBehaviour::GOOD };
        let mut peer = Http2Peer::connect(&http2_as(&cluster, WORKLOAD)?, behaviour).await?;
        let mut last = 0;
        for _ in 0..STREAMS {
            last = peer.ask(GET, ASK.as_bytes()).await?;
        }
        assert_eq!(peer.status(last).await?, Some(200));
        let all = f64::from(STREAMS);
        cluster.until_metric("spike_requests_in_flight", |count| count >= all).await?;
        peer.ended(PATIENCE / 3).await.context("it takes nothing, and is not cut off")?;
        cluster.until_metric("spike_requests_in_flight", |count| count <= 0.0).await?;
        cluster.until_metric("spike_request_memory_bytes", |bytes| bytes <= 0.0).await?;
        cluster.stop().await?;
    }
    Ok(())
}

/// The limit between two requests, and how long the slow readers take: clearly longer.
const IDLE: &str = "31s";
const SLOW: Duration = Duration::from_secs(50);

/// Longer than what the kernel keeps for a connection on both sides, and what is left of it after [`IDLE`].
pub(super) const ANSWER: u64 = 16 * MIB;
const STEPS: u32 = 200;

/// Asks for the large secret and reads the answer piece by piece within `slow`. Returns its length.
pub(super) async fn read_slowly(mut connection: Connection, slow: Duration) -> Result<u64> {
    connection.send(post(GET, ASK)).await?;
    read_pieces(connection, slow, |_| Vec::new()).await
}

/// The same over HTTP/2, with every window open: only what it has read is told.
pub(super) async fn read_frames_slowly(mut connection: Connection, slow: Duration) -> Result<u64> {
    let request = [wide_opening(), post_in_frames(1, GET, ASK.as_bytes())];
    connection.send(request.concat()).await?;
    read_pieces(connection, slow, |bytes| Frame::window(0, bytes).encode()).await
}

/// Reads as many bytes as the answer has, and sends what `tell` says after each piece.
async fn read_pieces(
    connection: Connection,
    slow: Duration,
    tell: impl Fn(u32) -> Vec<u8>,
) -> Result<u64> {
    let mut stream = connection.into_stream();
    let mut piece = vec![0; usize::try_from(ANSWER)? / STEPS as usize];
    let mut read = 0;
    let begun = Instant::now();
    for step in 1.. {
        let wanted = ANSWER.saturating_sub(read).min(piece.len() as u64);
        if wanted == 0 {
            return Ok(read);
        }
        let room = piece.get_mut(..usize::try_from(wanted)?).context("a piece")?;
        stream.read_exact(room).await.with_context(|| format!("cut off after {read} bytes"))?;
        read += wanted;
        tokio::time::sleep_until(begun + slow / STEPS * step).await;
        // The server may have sent everything and closed.
        if stream.write_all(&tell(u32::try_from(wanted)?)).await.is_ok() {
            stream.flush().await.ok();
        }
    }
    Ok(read)
}

/// The start of a connection over HTTP/2 whose windows are all open.
fn wide_opening() -> Vec<u8> {
    let wide = Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)]).encode();
    [PREFACE, &wide, &Frame::window(0, 0x3fff_ffff).encode()].concat()
}

/// The same over HTTP/2, where a slow reader opens its window slowly.
pub(super) async fn take_slowly(dialer: Arc<Dialer>, slow: Duration) -> Result<u64> {
    let step_by = u32::try_from(ANSWER)? / STEPS;
    let behaviour = PeerBehaviour { window: step_by, ..PeerBehaviour::GOOD };
    let mut peer = Http2Peer::connect(&dialer, behaviour).await?;
    let stream = peer.ask(GET, ASK.as_bytes()).await?;
    let begun = Instant::now();
    for step in 1.. {
        let reply = peer.so_far(stream);
        if reply.is_over() || peer.has_ended() {
            ensure!(reply.finished, "cut off after {} bytes", reply.length);
            return Ok(reply.length);
        }
        tokio::time::sleep_until(begun + slow / STEPS * step).await;
        peer.send(&Frame::window(stream, step_by)).await.ok();
    }
    Ok(0)
}

/// One client opens no window for a large answer, the other opens every window and reads nothing. Both go on sending small
/// requests.
#[tokio::test]
async fn an_answer_that_is_not_taken_ends_its_connection_however_often_something_small_is_asked_for()
-> Result<()> {
    const STEP: Duration = Duration::from_millis(500);
    let cluster = scenario()
        .setting("SPIKE_HTTP_SERVER_STALL_TIMEOUT", "3s")
        .setting("SPIKE_HTTP_SERVER_MAX_BODY_SIZE", "33554432")
        .setting("SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID", "67108864")
        .start()
        .await?;
    large_secret(&cluster, ANSWER).await?;
    let dialer = http2_as(&cluster, WORKLOAD)?;
    let mut closed = Http2Peer::connect(&dialer, PeerBehaviour::TAKES_NOTHING).await?;
    closed.ask(GET, ASK.as_bytes()).await?;
    let mut unread = dialer.connect().await?;
    unread.send([wide_opening(), post_in_frames(1, GET, ASK.as_bytes())].concat()).await?;

    let small = r#"{"path":"none"}"#;
    let (mut closed_is_cut, mut unread_is_cut) = (false, false);
    // Fewer than there may be streams.
    for stream in (3..83).step_by(2) {
        tokio::time::sleep(STEP).await;
        closed_is_cut = closed_is_cut || closed.ask(GET, small.as_bytes()).await.is_err();
        let asked = unread.send(post_in_frames(stream, GET, small.as_bytes()));
        unread_is_cut = unread_is_cut || asked.await.is_err();
        if closed_is_cut && unread_is_cut {
            break;
        }
    }
    assert!(closed_is_cut, "the one without a window is not cut off");
    assert!(unread_is_cut, "the one that does not read is not cut off");
    cluster.stop().await
}

/// A slowed-down peer is not read while it does not read.
#[tokio::test]
async fn a_slowed_down_peer_that_does_not_read_for_a_while_gets_all_of_its_answers() -> Result<()> {
    const DENIED: usize = 10;
    let cluster = scenario()
        .setting("SPIKE_HTTP_SERVER_DENIALS_PER_SECOND", "1")
        .setting("SPIKE_HTTP_SERVER_DENIALS_BURST", "1")
        .setting("SPIKE_HTTP_SERVER_MAX_BODY_SIZE", "33554432")
        .setting("SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID", "67108864")
        .start()
        .await?;
    large_secret(&cluster, ANSWER).await?;
    let dialer = http2_as(&cluster, WORKLOAD)?;
    let mut unread = dialer.connect().await?;
    unread.send([wide_opening(), post_in_frames(1, GET, ASK.as_bytes())].concat()).await?;
    cluster.until_metric("spike_requests_in_flight", |count| count >= 1.0).await?;

    let mut denied = Http2Peer::connect(&dialer, PeerBehaviour::GOOD).await?;
    let mut streams = Vec::new();
    for _ in 0..DENIED {
        streams.push(denied.ask(GET, br#"{"path":"none"}"#).await?);
    }
    let second = streams.get(1).context("a stream")?;
    assert_eq!(denied.status(*second).await?, Some(429), "it is slowed down");
    for stream in [3, 5] {
        unread.send(post_in_frames(stream, GET, br#"{"path":"none"}"#)).await?;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;

    let mut stream = unread.into_stream();
    let (mut bytes, mut ended) = (0, Vec::new());
    while ended.len() < 3 {
        let frame = timeout(PATIENCE / 3, Frame::read(&mut stream)).await;
        let frame = frame.with_context(|| format!("{bytes} bytes, and whole {ended:?}"))??;
        if frame.kind == kind::DATA {
            bytes += frame.payload.len() as u64;
        }
        if frame.kind == kind::DATA && frame.has(flag::END_STREAM) {
            ended.push(frame.stream);
        }
    }
    assert!(bytes > ANSWER, "{bytes}");
    cluster.stop().await
}

/// Reads the rest of a stalled answer. If it is incomplete, the connection was cut off.
async fn left_of(held: Held) -> Result<u64> {
    let connection = held.http1.into_iter().next().context("a connection")?;
    let mut read = 0;
    let mut stream = connection.into_stream();
    let mut piece = vec![0; 1 << 20];
    while let Ok(bytes @ 1..) = stream.read(&mut piece).await {
        read += bytes as u64;
        if read >= ANSWER {
            break;
        }
    }
    Ok(read)
}

#[tokio::test]
async fn a_slow_but_steady_reader_gets_all_of_its_answer_and_one_that_stalls_is_cut_off()
-> Result<()> {
    let cluster = scenario()
        .setting("SPIKE_HTTP_SERVER_IDLE_TIMEOUT", IDLE)
        .setting("SPIKE_HTTP_SERVER_MAX_BODY_SIZE", "33554432")
        .setting("SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID", "67108864")
        .start()
        .await?;
    large_secret(&cluster, ANSWER).await?;
    let slow_http1 = tokio::spawn(read_slowly(cluster.dial_as(SUPERUSER)?.connect().await?, SLOW));
    let slow_http2 = tokio::spawn(take_slowly(Arc::new(http2_as(&cluster, SUPERUSER)?), SLOW));
    let stalled_http1 =
        unread_answers(&cluster.dial_as(WORKLOAD)?, &post(GET, ASK), (1, 1)).await?;
    let stalled_http2 =
        untaken_answers(&http2_as(&cluster, WORKLOAD)?, (GET, ASK.as_bytes()), (1, 1)).await?;

    let http1 = slow_http1.await?.context("the slow reader over HTTP/1.1");
    let http2 = slow_http2.await?.context("the slow reader over HTTP/2");
    assert!(http1? >= ANSWER);
    assert!(http2? >= ANSWER);
    let peer = stalled_http2.http2.first().context("a connection")?;
    peer.ended(PATIENCE / 2).await.context("the reader that stalls over HTTP/2")?;
    let read = left_of(stalled_http1).await?;
    assert!(read < ANSWER, "the reader that stalls over HTTP/1.1 was not cut off");
    cluster.stop().await
}
