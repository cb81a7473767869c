//! The stream of a connection, which reports what arrives and what is sent to [`Activity`].

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use spike_mtls::{HandshakeStream, Paused, Peer, budget::Budget, poll_read_part};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    activity::Activity, frame_budget::FrameBudget, heads::FrameReader, held_bytes::HeldBytes,
    requests::RequestReader, roster::TrackedConnection, signal::Stage,
};

/// HTTP/2: how long a peer is not read after a head with too many fields. Meanwhile the head is refused and freed: as many
/// as fit into one connection would take hundreds of megabytes, and would all be decoded before the first is refused.
const LARGE_HEAD_PAUSE: Duration = Duration::from_millis(50);

/// HTTP/2: the most heads with too many fields on one connection. Each costs as much as many requests.
const MAX_LARGE_HEADS: u32 = 16;

/// Why a connection is cut, for the audit log.
const FRAME_FLOOD: &str =
    "too many frames without a request (PING, SETTINGS, PRIORITY, …), and the connection was cut";
const LARGE_HEADS: &str =
    "too many heads with more fields than a request may have, and the connection was cut";
const HELD_TOO_MUCH: &str =
    "too many large heads that do not end, of this SPIFFE ID or of all, and the connection was cut";

/// HTTP/1.1: the most bytes of one read. The library keeps room for what the largest read had, and what it reads beyond one request
/// waits there until that is answered.
const MAX_READ: usize = 8 * 1024;

/// A stream that reports its reads and writes to [`Activity`], and is not read during a pause of its peer, nor once its connection
/// is to end, unless its peer has to open windows for an answer.
///
/// HTTP/2: while the SPIFFE ID of its peer is slowed down, it is read one head at a time, so that a pause that is due to a request
/// begins before the next head is read. It is not read at all while the peer does not read what was sent: refusals would wait for it.
pub(super) struct WatchedStream {
    stream: TlsStream<HandshakeStream<TcpStream>>,
    activity: Arc<Activity>,
    entry: Arc<TrackedConnection>,
    peer: Peer,
    held: HeldBytes,
    paused: Paused,
    frames: FrameReader,
    budget: FrameBudget,
    large_heads: u32,
    requests: RequestReader,
    /// HTTP/2: a head is complete, and the library has not begun its request yet.
    has_new_head: bool,
    /// It is not read because its peer does not read.
    waits_for_peer: bool,
    /// A head was being received when the pause began.
    has_suspended_head: bool,
}

impl WatchedStream {
    pub(super) fn new(
        stream: TlsStream<HandshakeStream<TcpStream>>,
        activity: Arc<Activity>,
        peer: Peer,
        entry: &Arc<TrackedConnection>,
        held: Budget,
    ) -> Self {
        let (paused, frames, requests) =
            (Paused::default(), FrameReader::new(), RequestReader::new());
        let budget = FrameBudget::new(activity.opened);
        Self {
            stream,
            activity,
            entry: Arc::clone(entry),
            peer,
            held: HeldBytes::new(held),
            paused,
            frames,
            budget,
            large_heads: 0,
            requests,
            has_new_head: false,
            waits_for_peer: false,
            has_suspended_head: false,
        }
    }

    fn wrote(&mut self, polled: &Poll<io::Result<usize>>, cx: &Context<'_>) {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.budget.sent(*bytes);
        }
        if polled.is_ready() && std::mem::take(&mut self.waits_for_peer) {
            cx.waker().wake_by_ref();
        }
        self.activity.wrote(polled.is_pending(), Instant::now);
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            stream,
            activity,
            entry,
            peer,
            held,
            paused,
            frames,
            budget,
            large_heads,
            requests,
            has_new_head,
            waits_for_peer,
            has_suspended_head,
        } = &mut *self;
        if entry.signal.stage() >= Stage::Unread && !activity.needs_windows(Instant::now()) {
            return Poll::Pending;
        }
        let is_slowed_down = activity.http2 && peer.pause().is_slowed_down();
        *waits_for_peer = is_slowed_down && activity.is_blocked();
        if paused.poll_over(peer.pause(), cx).is_pending() || *waits_for_peer {
            *has_suspended_head |= activity.suspend_head();
            // The library asks for more only after it has processed everything that it has read.
            activity.is_drained.store(activity.http2, Relaxed);
            return Poll::Pending;
        }
        if std::mem::take(has_suspended_head) {
            activity.resume_head(Instant::now());
        }
        // The library asks only when it has read everything, so each head has begun its request by now.
        if !activity.http2 && !requests.is_in_step(activity.begun()) {
            activity.lost_step();
            return Poll::Ready(Err(io::Error::other("out of step with the HTTP library")));
        }
        if std::mem::take(has_new_head) && is_slowed_down {
            // The library begins the request now.
            activity.is_drained.store(true, Relaxed);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let most = match activity.http2 {
            true if is_slowed_down => frames.left(),
            true => usize::MAX,
            false => MAX_READ,
        };
        let polled = if buf.remaining() <= most {
            Pin::new(stream).poll_read(cx, buf)
        } else {
            poll_read_part(Pin::new(stream), cx, buf, most).map_ok(drop)
        };
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if polled.is_ready() && !bytes.is_empty() {
            let mut flood = None;
            let is_held;
            if activity.http2 {
                let (heads, now) = (frames.take(bytes), Instant::now());
                activity.heads.fetch_add(heads, Relaxed);
                *has_new_head = heads > 0;
                let (is_within, has_ended) = (frames.is_within(), frames.has_ended());
                activity.frames_arrived(bytes.len(), is_within, has_ended, now);
                if frames.windows() > 0 {
                    activity.window_opened(now);
                }
                *large_heads += frames.large_blocks();
                flood = if *large_heads > MAX_LARGE_HEADS {
                    Some(LARGE_HEADS)
                } else {
                    (!budget.take(frames.other_frames(), heads, now)).then_some(FRAME_FLOOD)
                };
                if frames.large_blocks() > 0 {
                    peer.pause().begin(LARGE_HEAD_PAUSE);
                }
                is_held = is_within && !has_ended;
            } else {
                let has_ended = requests.take(bytes);
                activity.head_has(requests.excess());
                activity.bytes_arrived(requests.is_within_head(), has_ended, Instant::now);
                is_held = requests.is_kept() && !has_ended;
            }
            if !is_held {
                if activity.http2 || held.bytes() < MAX_READ as u64 {
                    held.clear();
                } else {
                    // The library keeps its memory, and so it counts, until the connection ends with the answer.
                    activity.head_was_large();
                }
            } else if held.add(bytes.len(), peer).is_err() {
                flood = flood.or(Some(HELD_TOO_MUCH));
            }
            if let Some(reason) = flood {
                activity.is_flooded(reason);
                buf.set_filled(before);
                return Poll::Ready(Err(io::Error::other(reason)));
            }
        }
        if activity.http2 {
            activity.is_drained.store(polled.is_pending(), Relaxed);
        }
        polled
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(&polled, cx);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.activity.flushed(polled.is_ready(), Instant::now);
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(&polled, cx);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
