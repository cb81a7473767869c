//! Bounds what a server sends for one answer, whatever it is: heads of interim answers (1xx), which HTTP lets it send without end,
//! trailers, and messages of TLS that carry no data. A bound of the body alone sees none of these.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::call_limits::TransportError;

/// Room for what comes besides the body: the handshake with its certificates, and heads.
const ROOM: usize = 128 * 1024;

/// The most bytes that a connection brings for one answer with a body of at most `max_answer` bytes. Chunks and records of TLS add a
/// few to each piece of it.
pub(super) const fn most_for(max_answer: usize) -> usize {
    max_answer.saturating_add(max_answer / 16).saturating_add(ROOM)
}

/// The bytes that came over a connection since its last answer ended; clones count together. HTTP/1.1 brings one answer at a time, and
/// so does the only stream of the Workload API.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadCount(Arc<AtomicUsize>);

impl ReadCount {
    /// Starts at zero again for the next answer.
    pub(super) fn restart(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Starts at zero again for the next answer, once the returned value is dropped.
    pub(super) const fn until_dropped(self) -> Answer {
        Answer(self)
    }
}

/// An answer whose head is there.
pub(super) struct Answer(ReadCount);

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.restart();
    }
}

/// A connection that fails once more than `most` bytes came for one answer.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    count: ReadCount,
    most: usize,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, most: usize) -> Self {
        Self::with(ReadCount::default(), stream, most)
    }

    /// Counts with others.
    pub(super) const fn with(count: ReadCount, stream: S, most: usize) -> Self {
        Self { stream, count, most }
    }

    pub(super) fn count(&self) -> ReadCount {
        self.count.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        let earlier = self.count.0.fetch_add(read, Ordering::Relaxed);
        let limit = self.most;
        Poll::Ready(if earlier.saturating_add(read) > limit {
            Err(io::Error::other(TransportError::Endless { limit }))
        } else {
            Ok(())
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
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
}

impl<S> Connection for Counted<S> {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.count())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn each_answer_has_the_whole_bound_and_none_has_more() {
        let (mut server, client) = tokio::io::duplex(64);
        let mut client = Counted::new(client, 10);
        for _ in 0..3 {
            server.write_all(&[1; 10]).await.unwrap();
            client.read_exact(&mut [0; 10]).await.unwrap();
            drop(client.count().until_dropped());
        }
        server.write_all(&[1; 11]).await.unwrap();
        let error = client.read_exact(&mut [0; 11]).await.unwrap_err();
        let ours = error.get_ref().and_then(|inner| inner.downcast_ref());
        assert!(matches!(ours, Some(TransportError::Endless { limit: 10 })), "{error}");
    }
}
