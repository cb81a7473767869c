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
    untaken::Untaken,
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

/// What a connection takes too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A head has begun, or the first one should have, and has not come to its end.
    Head,
    /// Nothing was asked for.
    Idle,
    /// An answer was not taken.
    Answer,
}

/// What a connection is doing. Times are milliseconds since the connection was opened, and at least 1.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests that have no answer yet.
    working: AtomicUsize,
    /// Answers that the peer has not taken yet, and since when each of them waits.
    untaken: Untaken,
    /// Since when bytes wait that the peer does not take; 0 while there are none.
    blocked_since: AtomicU64,
    /// When the last request ended, or when the peer last took a part of an answer.
    since: AtomicU64,
    /// When the first byte of a head came; 0 while none is being read. HTTP/2: or of anything else that has to come at once.
    head_since: AtomicU64,
    /// A head did not come to its end in time.
    is_head_late: AtomicBool,
    /// Anything came at all.
    has_spoken: AtomicBool,
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
            untaken: Untaken::default(),
            blocked_since: AtomicU64::new(0),
            since: AtomicU64::new(1),
            // The first request, or what opens an HTTP/2 connection, must come as fast as a head must: as if its first byte
            // were here.
            head_since: AtomicU64::new(1),
            is_head_late: AtomicBool::new(false),
            has_spoken: AtomicBool::new(false),
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
        !self.is_working() && self.untaken.is_empty()
    }

    /// Whether a request is being carried out.
    pub(super) fn is_working(&self) -> bool {
        self.working.load(Relaxed) > 0
    }

    /// How long the connection has been idle, or has taken nothing of an answer.
    pub(super) fn quiet_for(&self) -> Duration {
        self.waited(self.since.load(Relaxed), Instant::now())
    }

    /// What it takes longer for at `now` than it may, if anything. A request that is being carried out has limits of its own,
    /// and hides nothing of what else the connection does.
    pub(super) fn overdue(&self, limits: &TimeLimits, now: Instant) -> Option<Overdue> {
        let is_over = |since: u64, limit: Duration| since > 0 && self.waited(since, now) > limit;
        let untaken = self.untaken.longest().unwrap_or_default();
        if is_over(untaken, limits.stall) || is_over(self.blocked_since.load(Relaxed), limits.stall)
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

    /// A head did not come to its end in time, and the connection ends for it.
    pub(super) fn head_is_late(&self) {
        self.is_head_late.store(true, Relaxed);
    }

    /// Whether the connection ends because a head that has begun did not come to its end in time.
    pub(super) fn has_late_head(&self) -> bool {
        self.is_head_late.load(Relaxed) && self.has_spoken.load(Relaxed)
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

    /// HTTP/1.1: bytes came.
    fn bytes_arrived(&self) {
        self.has_spoken.store(true, Relaxed);
        if self.head_since.load(Relaxed) == 0 && self.is_idle() {
            self.head_since.store(self.millis(Instant::now()), Relaxed);
        }
    }

    /// HTTP/2: bytes came. `is_within` tells whether more must follow soon, and `has_ended` whether something that had begun
    /// before has come to its end.
    fn frames_arrived(&self, count: usize, is_within: bool, has_ended: bool, now: Instant) {
        self.has_spoken.store(true, Relaxed);
        self.received.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
        if !is_within {
            self.head_since.store(0, Relaxed);
        } else if has_ended || self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.millis(now), Relaxed);
        }
    }

    /// Bytes were written, or could not be: the peer does not take what is there already.
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

/// One request, from its head to the last byte of its answer.
pub(super) struct Busy {
    activity: Arc<Activity>,
    /// When there was an answer, or a further part of it was asked for: it ends in the same moment as its last part. With it,
    /// its place among the answers that were not taken.
    answering: Option<(Instant, usize)>,
}

impl Busy {
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

    /// There is an answer, or the peer has taken some of it: from now on the peer is waited for.
    fn answered(&mut self, now: Instant) {
        let activity = &*self.activity;
        activity.touch(now);
        let at = activity.millis(now);
        let place = if let Some((_, place)) = self.answering {
            activity.untaken.taken(place, at);
            place
        } else {
            let place = activity.untaken.begin(at);
            activity.working.fetch_sub(1, Relaxed);
            place
        };
        self.answering = Some((now, place));
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = self.answering.map_or_else(Instant::now, |(at, _)| at);
        self.activity.touch(now);
        self.activity.received.store(0, Relaxed);
        if !self.activity.http2 && self.activity.sent.is_ahead() {
            // The head of the next request has begun.
            self.activity.head_since.store(self.activity.millis(now), Relaxed);
        }
        match self.answering {
            Some((_, place)) => self.activity.untaken.end(place),
            None => {
                self.activity.working.fetch_sub(1, Relaxed);
            }
        }
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

    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        self.activity.wrote(polled.is_pending(), Instant::now);
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

impl AsyncWrite for Watched {
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
