//! What a connection is doing and since when, so that it can be held against its time limits.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    http::HeaderMap,
};
use http_body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    ahead::{HeadReader, Sent},
    heads::FrameReader,
};
use spike_mtls::{Paused, Peer};

/// How long a connection may take for each thing that it can be doing.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLimits {
    /// The head of a request.
    pub(super) head: Duration,
    /// Nothing, between two requests.
    pub(super) idle: Duration,
    /// Taking the next part of an answer.
    pub(super) stall: Duration,
}

/// What a connection is doing. Times are milliseconds since the connection was opened, and at least 1.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests that have no answer yet.
    working: AtomicUsize,
    /// Answers that the peer has not taken yet.
    answering: AtomicUsize,
    /// When the last request ended, or when the peer last took a part of an answer.
    since: AtomicU64,
    /// When the first byte of a head came; 0 while none is being read.
    head_since: AtomicU64,
    /// Bytes that came since the last request began or ended.
    received: AtomicU64,
    /// HTTP/2: heads that came, and requests that began.
    heads: AtomicU64,
    begun: AtomicU64,
    /// Everything that came was read when the stream was asked last.
    is_drained: AtomicBool,
    /// HTTP/1.1: what came of a request, and whether more did.
    sent: Sent,
    /// HTTP/2 has frames between requests (pings, windows), so that a few bytes do not mean a request there.
    http2: bool,
}

/// So many bytes without a request, in HTTP/2, are a head that does not end, or nothing that is of use.
const MANY_BYTES: u64 = 8 * 1024;

impl Activity {
    pub(super) fn new(http2: bool) -> Self {
        Self {
            opened: Instant::now(),
            working: AtomicUsize::new(0),
            answering: AtomicUsize::new(0),
            since: AtomicU64::new(1),
            // The first request must come as fast as a head must: as if its first byte were here.
            head_since: AtomicU64::new(u64::from(!http2)),
            received: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            is_drained: AtomicBool::new(false),
            sent: Sent::default(),
            http2,
        }
    }

    /// Whether neither a request nor an answer is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.working.load(Relaxed) == 0 && self.answering.load(Relaxed) == 0
    }

    /// Whether a request is being carried out.
    pub(super) fn is_working(&self) -> bool {
        self.working.load(Relaxed) > 0
    }

    /// How long the connection has been idle, or has taken nothing of an answer.
    pub(super) fn quiet_for(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.since.load(Relaxed)))
    }

    /// Whether what it is doing takes longer than it may. A request that is being carried out has limits of its own.
    pub(super) fn overdue(&self, limits: &TimeLimits) -> bool {
        if self.is_working() {
            return false;
        }
        if self.answering.load(Relaxed) > 0 {
            return self.quiet_for() > limits.stall;
        }
        if self.http2 && self.received.load(Relaxed) > MANY_BYTES && self.quiet_for() > limits.head
        {
            return true;
        }
        match self.head_since.load(Relaxed) {
            0 => self.quiet_for() > limits.idle,
            since => Duration::from_millis(self.now().saturating_sub(since)) > limits.head,
        }
    }

    /// HTTP/2: how many heads came that began no request.
    pub(super) fn heads_without_request(&self) -> u64 {
        self.heads.load(Relaxed).saturating_sub(self.begun.load(Relaxed))
    }

    /// Whether everything that came was read when the stream was asked last. To be asked between two turns of the connection:
    /// every complete frame has then been looked at.
    pub(super) fn is_drained(&self) -> bool {
        self.is_drained.load(Relaxed)
    }

    fn bytes_arrived(&self, count: usize) {
        if self.http2 {
            self.received.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
        } else if self.head_since.load(Relaxed) == 0 && self.is_idle() {
            self.head_since.store(self.now(), Relaxed);
        }
    }

    fn touch(&self, at: Instant) {
        self.since.store(self.millis(at), Relaxed);
    }

    fn now(&self) -> u64 {
        self.millis(Instant::now())
    }

    fn millis(&self, at: Instant) -> u64 {
        let time = at.saturating_duration_since(self.opened);
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// One request, from its head to the last byte of its answer.
pub(super) struct Busy {
    activity: Arc<Activity>,
    /// When there was an answer, or a further part of it was asked for: it ends in the same moment as its last part.
    answering: Option<Instant>,
}

impl Busy {
    pub(super) fn new(activity: Arc<Activity>, headers: &HeaderMap) -> Self {
        activity.working.fetch_add(1, Relaxed);
        activity.head_since.store(0, Relaxed);
        activity.received.store(0, Relaxed);
        if activity.http2 {
            activity.begun.fetch_add(1, Relaxed);
        } else {
            activity.sent.begin(headers);
        }
        Self { activity, answering: None }
    }

    /// There is an answer, or the peer has taken some of it: from now on the peer is waited for.
    fn answered(&mut self, now: Instant) {
        self.activity.touch(now);
        if self.answering.replace(now).is_none() {
            self.activity.answering.fetch_add(1, Relaxed);
            self.activity.working.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = self.answering.unwrap_or_else(Instant::now);
        self.activity.touch(now);
        self.activity.received.store(0, Relaxed);
        if !self.activity.http2 && self.activity.sent.is_ahead() {
            // The head of the next request has begun.
            self.activity.head_since.store(self.activity.millis(now), Relaxed);
        }
        let Activity { answering, working, .. } = &*self.activity;
        let count = if self.answering.is_some() { answering } else { working };
        count.fetch_sub(1, Relaxed);
    }
}

/// The body of an answer on its way to the peer.
pub(super) struct BusyBody {
    body: Body,
    busy: Busy,
    is_begun: bool,
}

impl BusyBody {
    pub(super) fn new(body: Body, mut busy: Busy, now: Instant) -> Self {
        busy.answered(now);
        Self { body, busy, is_begun: false }
    }
}

impl http_body::Body for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The next part is asked for when there is room for it: the peer has taken some of what came before.
        if std::mem::replace(&mut self.is_begun, true) {
            self.busy.answered(Instant::now());
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells [`Activity`] when bytes come in, and is not read while its peer has a pause.
pub(super) struct Watched {
    stream: TlsStream<TcpStream>,
    activity: Arc<Activity>,
    peer: Peer,
    paused: Paused,
    frames: FrameReader,
    heads: HeadReader,
}

impl Watched {
    pub(super) fn new(stream: TlsStream<TcpStream>, activity: Arc<Activity>, peer: Peer) -> Self {
        let (paused, frames, heads) =
            (Paused::default(), FrameReader::new(), HeadReader::default());
        Self { stream, activity, peer, paused, frames, heads }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, activity, peer, paused, frames, heads } = &mut *self;
        ready!(paused.poll_over(peer.pause(), cx));
        let before = buf.filled().len();
        let polled = Pin::new(stream).poll_read(cx, buf);
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if polled.is_ready() && !bytes.is_empty() {
            activity.bytes_arrived(bytes.len());
            if activity.http2 {
                activity.heads.fetch_add(frames.take(bytes), Relaxed);
            } else {
                heads.take(bytes, activity.is_idle(), &activity.sent);
            }
        }
        if activity.http2 {
            activity.is_drained.store(polled.is_pending(), Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
