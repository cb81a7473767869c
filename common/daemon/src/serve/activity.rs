//! What a connection is doing and since when, for its time limits.

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
    ahead::{HeadReader, ReceivedRequest},
    heads::FrameReader,
    unread::UnreadAnswers,
};
use spike_mtls::{Paused, Peer};

/// How long a connection may take for each kind of activity.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLimits {
    /// Receiving the head of a request.
    pub(super) head: Duration,
    /// Idle between two requests.
    pub(super) idle: Duration,
    /// Reading the next part of an answer.
    pub(super) stall: Duration,
}

/// What a connection takes too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A head is not complete, or the first one has not begun.
    Head,
    /// No request came.
    Idle,
    /// The peer does not read an answer.
    Answer,
}

/// What a connection is doing. Times are milliseconds since it was opened, and at least 1.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests without an answer.
    working: AtomicUsize,
    /// Answers that the peer has not read, and since when each of them waits.
    unread: UnreadAnswers,
    /// Since when sent bytes wait for the peer; 0 if there are none.
    blocked_since: AtomicU64,
    /// When the last request ended, or the peer last read a part of an answer.
    since: AtomicU64,
    /// When the first byte of a head arrived; 0 while none is being received. HTTP/2: also of anything else that must
    /// be received quickly.
    head_since: AtomicU64,
    /// A head was not complete in time.
    is_head_late: AtomicBool,
    /// Any bytes arrived.
    has_received: AtomicBool,
    /// Bytes that arrived since the last request began or ended.
    received: AtomicU64,
    /// HTTP/2: heads that arrived, and requests that began.
    heads: AtomicU64,
    begun: AtomicU64,
    /// All received bytes had been read when the stream was last polled.
    is_drained: AtomicBool,
    /// HTTP/1.1: what arrived of a request, and whether more did.
    sent: ReceivedRequest,
    /// HTTP/2 sends frames between requests (pings, windows), so a few bytes do not mean a request.
    http2: bool,
}

/// HTTP/2: this many bytes without a request are a head that never ends, or useless.
const MANY_BYTES: u64 = 8 * 1024;

impl Activity {
    pub(super) fn new(http2: bool) -> Self {
        Self {
            opened: Instant::now(),
            working: AtomicUsize::new(0),
            unread: UnreadAnswers::default(),
            blocked_since: AtomicU64::new(0),
            since: AtomicU64::new(1),
            // The first request, or the start of an HTTP/2 connection, has the time limit of a head, as if its first
            // byte had arrived.
            head_since: AtomicU64::new(1),
            is_head_late: AtomicBool::new(false),
            has_received: AtomicBool::new(false),
            received: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            is_drained: AtomicBool::new(false),
            sent: ReceivedRequest::default(),
            http2,
        }
    }

    /// Whether there is neither a request nor an unread answer.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_working() && self.unread.is_empty()
    }

    /// Whether a request is being carried out.
    pub(super) fn is_working(&self) -> bool {
        self.working.load(Relaxed) > 0
    }

    /// How long the connection has been idle, or has not read an answer.
    pub(super) fn idle_for(&self) -> Duration {
        self.waited(self.since.load(Relaxed), Instant::now())
    }

    /// What it takes too long for at `now`, if anything. A request that is being carried out has limits of its own, and
    /// does not suspend these.
    pub(super) fn overdue(&self, limits: &TimeLimits, now: Instant) -> Option<Overdue> {
        let is_over = |since: u64, limit: Duration| since > 0 && self.waited(since, now) > limit;
        let unread = self.unread.longest().unwrap_or_default();
        if is_over(unread, limits.stall) || is_over(self.blocked_since.load(Relaxed), limits.stall)
        {
            return Some(Overdue::Answer);
        }
        let head_since = self.head_since.load(Relaxed);
        if is_over(head_since, limits.head) {
            return Some(Overdue::Head);
        }
        if head_since > 0 || !self.is_idle() {
            return None;
        }
        let has_many = self.http2 && self.received.load(Relaxed) > MANY_BYTES;
        let limit = if has_many { limits.head } else { limits.idle };
        is_over(self.since.load(Relaxed), limit).then_some(Overdue::Idle)
    }

    /// Records that a head was not complete in time; the connection is cut for it.
    pub(super) fn head_is_late(&self) {
        self.is_head_late.store(true, Relaxed);
    }

    /// Whether the connection is cut for an incomplete head.
    pub(super) fn has_late_head(&self) -> bool {
        self.is_head_late.load(Relaxed) && self.has_received.load(Relaxed)
    }

    /// HTTP/2: how many heads began no request.
    pub(super) fn heads_without_request(&self) -> u64 {
        self.heads.load(Relaxed).saturating_sub(self.begun.load(Relaxed))
    }

    /// Whether all received bytes had been read when the stream was last polled. Valid between two polls of the
    /// connection: then every complete frame has been processed.
    pub(super) fn is_drained(&self) -> bool {
        self.is_drained.load(Relaxed)
    }

    /// HTTP/1.1: bytes arrived.
    fn bytes_arrived(&self) {
        self.has_received.store(true, Relaxed);
        if self.head_since.load(Relaxed) == 0 && self.is_idle() {
            self.head_since.store(self.millis(Instant::now()), Relaxed);
        }
    }

    /// HTTP/2: bytes arrived. `is_within`: more must follow soon. `has_ended`: something that had begun earlier is
    /// complete.
    fn frames_arrived(&self, count: usize, is_within: bool, has_ended: bool, now: Instant) {
        self.has_received.store(true, Relaxed);
        self.received.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
        if !is_within {
            self.head_since.store(0, Relaxed);
        } else if has_ended || self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.millis(now), Relaxed);
        }
    }

    /// Records a write, and whether the peer does not read what was sent before.
    fn wrote(&self, is_blocked: bool, now: impl FnOnce() -> Instant) {
        let was_blocked = self.blocked_since.load(Relaxed) > 0;
        if is_blocked != was_blocked {
            let since = if is_blocked { self.millis(now()) } else { 0 };
            self.blocked_since.store(since, Relaxed);
        }
    }

    fn touch(&self, at: Instant) {
        self.since.store(self.millis(at), Relaxed);
    }

    fn waited(&self, since: u64, now: Instant) -> Duration {
        Duration::from_millis(self.millis(now).saturating_sub(since))
    }

    fn millis(&self, at: Instant) -> u64 {
        let time = at.saturating_duration_since(self.opened);
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// A request, from its head to the last byte of its answer.
pub(super) struct ActiveRequest {
    activity: Arc<Activity>,
    /// When the answer began, or its next part was polled; the answer ends at the same time as its last part. And its
    /// index among the unread answers.
    answering: Option<(Instant, usize)>,
}

impl ActiveRequest {
    pub(super) fn new(activity: Arc<Activity>, headers: &HeaderMap) -> Self {
        activity.working.fetch_add(1, Relaxed);
        activity.received.store(0, Relaxed);
        if activity.http2 {
            activity.begun.fetch_add(1, Relaxed);
        } else {
            activity.head_since.store(0, Relaxed);
            activity.sent.begin(headers);
        }
        Self { activity, answering: None }
    }

    /// Records that the answer has begun, or that the peer has read some of it. From now on the connection waits for
    /// the peer.
    fn answered(&mut self, now: Instant) {
        let activity = &*self.activity;
        activity.touch(now);
        let at = activity.millis(now);
        let index = if let Some((_, index)) = self.answering {
            activity.unread.taken(index, at);
            index
        } else {
            let index = activity.unread.begin(at);
            activity.working.fetch_sub(1, Relaxed);
            index
        };
        self.answering = Some((now, index));
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let now = self.answering.map_or_else(Instant::now, |(at, _)| at);
        self.activity.touch(now);
        self.activity.received.store(0, Relaxed);
        if !self.activity.http2 && self.activity.sent.is_ahead() {
            // The head of the next request has begun.
            self.activity.head_since.store(self.activity.millis(now), Relaxed);
        }
        match self.answering {
            Some((_, index)) => self.activity.unread.end(index),
            None => {
                self.activity.working.fetch_sub(1, Relaxed);
            }
        }
    }
}

/// The body of an answer that is being sent.
pub(super) struct AnswerBody {
    body: Body,
    busy: ActiveRequest,
    is_begun: bool,
}

impl AnswerBody {
    pub(super) fn new(body: Body, mut busy: ActiveRequest, now: Instant) -> Self {
        busy.answered(now);
        Self { body, busy, is_begun: false }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The next part is polled when there is space for it: the peer has read some of the earlier ones.
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

/// A stream that reports its reads and writes to [`Activity`], and is not read during a pause of its peer.
pub(super) struct WatchedStream {
    stream: TlsStream<TcpStream>,
    activity: Arc<Activity>,
    peer: Peer,
    paused: Paused,
    frames: FrameReader,
    heads: HeadReader,
}

impl WatchedStream {
    pub(super) fn new(stream: TlsStream<TcpStream>, activity: Arc<Activity>, peer: Peer) -> Self {
        let (paused, frames, heads) =
            (Paused::default(), FrameReader::new(), HeadReader::default());
        Self { stream, activity, peer, paused, frames, heads }
    }

    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        self.activity.wrote(polled.is_pending(), Instant::now);
    }
}

impl AsyncRead for WatchedStream {
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
            if activity.http2 {
                activity.heads.fetch_add(frames.take(bytes), Relaxed);
                let (is_within, has_ended) = (frames.is_within(), frames.has_ended());
                activity.frames_arrived(bytes.len(), is_within, has_ended, Instant::now());
            } else {
                activity.bytes_arrived();
                heads.take(bytes, activity.is_idle(), &activity.sent);
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
        self.wrote(&polled);
        polled
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
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
