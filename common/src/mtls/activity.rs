//! What a connection is doing, so that it can be held against its time limits.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// What a connection is doing, and since when, by [`now`]; 0 in `head_since` means no head is being read.
pub(super) struct Activity {
    requests: AtomicUsize,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    /// HTTP/2 has frames between requests (pings, windows), so that bytes do not mean a request there.
    watch_heads: bool,
}

impl Activity {
    pub(super) fn new(http2: bool) -> Self {
        let opened = now();
        Self {
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(opened),
            // The first request must come as fast as a head must: as if its first byte were here.
            head_since: AtomicU64::new(if http2 { 0 } else { opened }),
            watch_heads: !http2,
        }
    }

    fn bytes_arrived(&self) {
        if self.watch_heads
            && self.requests.load(Relaxed) == 0
            && self.head_since.load(Relaxed) == 0
        {
            self.head_since.store(now(), Relaxed);
        }
    }

    pub(super) fn overdue(&self, head: Duration, idle: Duration) -> bool {
        if self.requests.load(Relaxed) > 0 {
            return false;
        }
        let now = now();
        let passed =
            |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) > limit.as_millis();
        match self.head_since.load(Relaxed) {
            0 => passed(self.idle_since.load(Relaxed), idle),
            since => passed(since, head),
        }
    }
}

/// One request in flight, until it ends; nothing once it has.
pub(super) struct Busy(Option<Arc<Activity>>);

impl Busy {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Relaxed);
        activity.head_since.store(0, Relaxed);
        Self(Some(activity))
    }

    /// Ends it, and tells when that is; 0 where it has ended before.
    pub(super) fn end(&mut self) -> u64 {
        let Some(activity) = self.0.take() else { return 0 };
        let now = now();
        activity.idle_since.store(now, Relaxed);
        activity.requests.fetch_sub(1, Relaxed);
        now
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.end();
    }
}

/// A stream that tells [`Activity`] when bytes come in.
pub(super) struct Watched {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) activity: Arc<Activity>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if polled.is_ready() && buf.filled().len() > before {
            self.activity.bytes_arrived();
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

/// Milliseconds of a clock that nobody sets, never 0. It advances every few of them, and asking it costs next to nothing
/// (Linux `clock_gettime(2)`, `CLOCK_MONOTONIC_COARSE`): it is asked at every request.
pub(super) fn now() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    millis(Duration::try_from(now).unwrap_or_default()).max(1)
}

/// A time in whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
