//! An HTTP/2 connection on which the test chooses every frame.

use std::{io, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::{Mutex, watch},
    task::AbortHandle,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{
    frame::{Frame, MAX_PAYLOAD, PREFACE, flag, kind, setting},
    hpack,
    seen::{Reply, Seen},
};
use crate::{
    PATIENCE,
    raw::{Connection, Dialer},
};

/// The payload of the PING with which `h2` checks that a peer has seen its GOAWAY.
const SHUTDOWN_PING: &[u8] = &[0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];

/// The largest window (RFC 9113, section 6.9.1).
const WIDEST: u32 = 0x7fff_ffff;

/// How long to wait for a window.
const STALL: Duration = Duration::from_millis(500);

type Stream = TlsStream<TcpStream>;
type Writer = Arc<Mutex<WriteHalf<Stream>>>;

/// What a peer does by itself. It ignores GOAWAY: the test decides whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerBehaviour {
    /// It answers PINGs, except the one after GOAWAY.
    pub answers_pings: bool,
    /// It answers the PING after GOAWAY.
    pub answers_shutdown: bool,
    /// The window of each stream for answers; with 0 it accepts none.
    pub window: u32,
}

impl PeerBehaviour {
    /// A normal client.
    pub const GOOD: Self = Self { answers_pings: true, answers_shutdown: true, window: WIDEST };
    /// It answers, and does not end after GOAWAY.
    pub const STAYS: Self = Self { answers_shutdown: false, ..Self::GOOD };
    /// It sends requests and accepts no answer.
    pub const TAKES_NOTHING: Self = Self { window: 0, ..Self::GOOD };
}

/// A connection. Dropping it closes the socket without GOAWAY.
#[derive(Debug)]
pub struct Http2Peer {
    writer: Writer,
    seen: Arc<watch::Sender<Seen>>,
    reader: AbortHandle,
    next: u32,
}

impl Drop for Http2Peer {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Http2Peer {
    /// Connects; `dialer` must offer `h2`.
    ///
    /// # Errors
    /// If there is no connection, or the server chose another protocol.
    pub async fn connect(dialer: &Dialer, behaviour: PeerBehaviour) -> Result<Self> {
        Self::over(dialer.connect().await?, behaviour).await
    }

    /// Uses an existing connection.
    ///
    /// # Errors
    /// If the server chose another protocol.
    pub async fn over(connection: Connection, behaviour: PeerBehaviour) -> Result<Self> {
        ensure!(connection.alpn().as_deref() == Some("h2"), "the server does not speak HTTP/2");
        let (read, write) = tokio::io::split(connection.into_stream().into_inner());
        let writer = Arc::new(Mutex::new(write));
        let seen = Arc::new(watch::Sender::new(Seen::default()));
        let reader = tokio::spawn(read_on(read, Arc::clone(&writer), Arc::clone(&seen), behaviour));
        let peer = Self { writer, seen, reader: reader.abort_handle(), next: 1 };
        let settings = Frame::settings(&[
            (setting::HEADER_TABLE_SIZE, 0),
            (setting::INITIAL_WINDOW_SIZE, behaviour.window),
        ]);
        let mut opening = [PREFACE, &settings.encode()].concat();
        if behaviour.window > 0 {
            opening.extend(Frame::window(0, WIDEST / 2).encode());
        }
        peer.send_bytes(&opening).await?;
        Ok(peer)
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn send(&self, frame: &Frame) -> io::Result<()> {
        self.send_bytes(&frame.encode()).await
    }

    /// Sends these bytes, which may be many frames or none.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn send_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        writer.write_all(bytes).await?;
        writer.flush().await
    }

    /// Ends the sending direction in TLS.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn close(&self) -> io::Result<()> {
        self.writer.lock().await.shutdown().await
    }

    /// The number of a stream that was not used yet.
    pub fn new_stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.seen.send_modify(|seen| {
            seen.replies.entry(stream).or_default();
        });
        stream
    }

    /// Begins a POST without its body, and returns its stream.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn open(&mut self, target: &str) -> io::Result<u32> {
        let stream = self.new_stream();
        self.send(&Frame::new(kind::HEADERS, flag::END_HEADERS, stream, head_of_post(target)))
            .await?;
        Ok(stream)
    }

    /// Sends a whole POST with a body that fits into one frame, in one write, and returns its stream.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn ask(&mut self, target: &str, body: &[u8]) -> io::Result<u32> {
        let stream = self.new_stream();
        self.seen.send_modify(|seen| seen.count(stream, body.len()));
        self.send_bytes(&post_in_frames(stream, target, body)).await?;
        Ok(stream)
    }

    /// Sends a whole POST with more fields, with a head of any length, and returns its stream. Stops when the server reads no
    /// more.
    ///
    /// # Errors
    /// If the connection is broken before anything was sent.
    pub async fn ask_with(
        &mut self,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<u32> {
        let block = hpack::encode(fields.iter().copied());
        self.ask_with_block(target, &block, body).await
    }

    /// As [`Self::ask_with`], with the further fields as bytes, which may be anything.
    ///
    /// # Errors
    /// If the connection is broken before anything was sent.
    pub async fn ask_with_block(
        &mut self,
        target: &str,
        block: &[u8],
        body: &[u8],
    ) -> io::Result<u32> {
        let stream = self.new_stream();
        let block = [head_of_post(target).as_slice(), block].concat();
        let pieces: Vec<&[u8]> = block.chunks(MAX_PAYLOAD).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let kind = if number == 0 { kind::HEADERS } else { kind::CONTINUATION };
            let flags = if number + 1 == pieces.len() { flag::END_HEADERS } else { 0 };
            self.send(&Frame::new(kind, flags, stream, *piece)).await?;
        }
        self.seen.send_modify(|seen| seen.count(stream, body.len()));
        // The server may answer before the body.
        self.send(&Frame::new(kind::DATA, flag::END_STREAM, stream, body)).await.ok();
        Ok(stream)
    }

    /// Sends bytes of a body within the windows of the server, and returns how many were sent.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn feed(&self, stream: u32, bytes: &[u8], last: bool) -> Result<usize> {
        let mut taken = 0;
        while let Some(left) = bytes.get(taken..).filter(|left| !left.is_empty()) {
            let Some(room) = self.room(stream).await? else { return Ok(taken) };
            let piece = left.get(..room.min(MAX_PAYLOAD)).unwrap_or(left);
            let ends = last && piece.len() == left.len();
            let flags = if ends { flag::END_STREAM } else { 0 };
            self.seen.send_modify(|seen| seen.count(stream, piece.len()));
            self.send(&Frame::new(kind::DATA, flags, stream, piece)).await?;
            taken += piece.len();
        }
        Ok(taken)
    }

    /// How many bytes may be sent on a stream now.
    pub fn room_now(&self, stream: u32) -> usize {
        self.seen.borrow().room(stream)
    }

    /// Waits until a window opens on any of these streams. `false` if the connection ends, or after `limit`.
    pub async fn may_send_on(&self, streams: &[u32], limit: Duration) -> bool {
        let mut seen = self.seen.subscribe();
        let opened = seen.wait_for(|seen| {
            seen.ended.is_some() || streams.iter().any(|stream| seen.room(*stream) > 0)
        });
        matches!(timeout(limit, opened).await, Ok(Ok(seen)) if seen.ended.is_none())
    }

    /// Waits for a window; 0 if the stream is over or the server opens no window.
    async fn room(&self, stream: u32) -> Result<Option<usize>> {
        let mut seen = self.seen.subscribe();
        let opened = seen.wait_for(|seen| seen.room(stream) > 0 || seen.is_over(stream));
        match timeout(STALL, opened).await {
            Err(_) => Ok(None),
            Ok(Err(_)) => bail!("the connection is gone"),
            Ok(Ok(seen)) if seen.is_over(stream) => Ok(None),
            Ok(Ok(seen)) => Ok(Some(seen.room(stream))),
        }
    }

    /// Waits until the stream or the connection is over, and returns the answer so far.
    ///
    /// # Errors
    /// If neither comes within [`PATIENCE`].
    pub async fn reply(&self, stream: u32) -> Result<Reply> {
        let mut seen = self.seen.subscribe();
        let over = seen.wait_for(|seen| seen.is_over(stream));
        let seen = timeout(PATIENCE, over).await.context("no answer")??;
        Ok(seen.replies.get(&stream).cloned().unwrap_or_default())
    }

    /// Waits until the head of an answer has arrived, or none can arrive.
    ///
    /// # Errors
    /// If neither comes within [`PATIENCE`].
    pub async fn status(&self, stream: u32) -> Result<Option<u16>> {
        let mut seen = self.seen.subscribe();
        let status = |seen: &Seen| seen.replies.get(&stream).and_then(|reply| reply.status);
        let here = seen.wait_for(|seen| seen.is_over(stream) || status(seen).is_some());
        let seen = timeout(PATIENCE, here).await.context("no answer")??;
        Ok(status(&seen))
    }

    /// One POST and its answer.
    ///
    /// # Errors
    /// As [`Self::reply`].
    pub async fn post(&mut self, target: &str, body: &[u8]) -> Result<Reply> {
        let stream = self.ask(target, body).await?;
        self.reply(stream).await
    }

    /// The answer on a stream so far.
    pub fn so_far(&self, stream: u32) -> Reply {
        self.seen.borrow().replies.get(&stream).cloned().unwrap_or_default()
    }

    /// Forgets a stream that is over, so that long attacks need little memory.
    pub fn forget(&self, stream: u32) {
        self.seen.send_modify(|seen| {
            seen.replies.remove(&stream);
        });
    }

    /// Waits until the server has read everything that was sent before: frames are handled in order, a PING too.
    ///
    /// # Errors
    /// If the connection ends, or nothing comes within [`PATIENCE`].
    pub async fn has_read_all(&self) -> Result<()> {
        let before = self.seen.borrow().pings;
        self.send(&Frame::ping(*b"read-all")).await?;
        let mut seen = self.seen.subscribe();
        let answered = seen.wait_for(|seen| seen.pings > before || seen.ended.is_some());
        let seen = timeout(PATIENCE, answered).await.context("no answer to a PING")??;
        ensure!(seen.pings > before, "the connection ended: {:?}", seen.ended);
        Ok(())
    }

    /// Whether the connection has ended.
    pub fn has_ended(&self) -> bool {
        self.seen.borrow().ended.is_some()
    }

    /// The error code of the last GOAWAY.
    pub fn goaway(&self) -> Option<u32> {
        self.seen.borrow().goaway
    }

    /// Waits until the server has ended the connection.
    ///
    /// # Errors
    /// If it has not at the end of `limit`.
    pub async fn ended(&self, limit: Duration) -> Result<()> {
        let mut seen = self.seen.subscribe();
        let ended = seen.wait_for(|seen| seen.ended.is_some());
        timeout(limit, ended).await.with_context(|| format!("still open after {limit:?}"))??;
        Ok(())
    }
}

/// The header block of a POST.
pub(super) fn head_of_post(target: &str) -> Vec<u8> {
    hpack::encode([
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", target),
    ])
}

/// A whole POST as bytes: its head and its body, one frame each.
pub fn post_in_frames(stream: u32, target: &str, body: &[u8]) -> Vec<u8> {
    let head = Frame::new(kind::HEADERS, flag::END_HEADERS, stream, head_of_post(target));
    let body = Frame::new(kind::DATA, flag::END_STREAM, stream, body);
    [head.encode(), body.encode()].concat()
}

/// Reads frames until the connection ends.
async fn read_on(
    mut from: ReadHalf<Stream>,
    writer: Writer,
    seen: Arc<watch::Sender<Seen>>,
    behaviour: PeerBehaviour,
) {
    let why = loop {
        let frame = match Frame::read(&mut from).await {
            Ok(frame) => frame,
            Err(error) => break error,
        };
        seen.send_modify(|seen| seen.take(&frame));
        if let Some(answer) = answer(&frame, behaviour) {
            let mut writer = writer.lock().await;
            let sent = async {
                writer.write_all(&answer).await?;
                writer.flush().await
            };
            // Frames that the server sent before it closed must still be read.
            sent.await.ok();
        }
    };
    seen.send_modify(|seen| seen.ended = Some(why.to_string()));
}

/// Sends the frames that this peer sends by itself.
fn answer(frame: &Frame, behaviour: PeerBehaviour) -> Option<Vec<u8>> {
    match frame.kind {
        kind::SETTINGS if !frame.has(flag::ACK) => {
            Some(Frame::new(kind::SETTINGS, flag::ACK, 0, []).encode())
        }
        kind::PING if !frame.has(flag::ACK) => {
            let answers = match frame.payload.as_slice() {
                SHUTDOWN_PING => behaviour.answers_shutdown,
                _ => behaviour.answers_pings,
            };
            let answer = Frame::new(kind::PING, flag::ACK, 0, frame.payload.as_slice());
            answers.then(|| answer.encode())
        }
        // Each stream has the largest window. The connection gets back what it has used.
        kind::DATA if behaviour.window == WIDEST && !frame.payload.is_empty() => {
            let bytes = u32::try_from(frame.payload.len()).unwrap_or_default();
            Some(Frame::window(0, bytes).encode())
        }
        _ => None,
    }
}
