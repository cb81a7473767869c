//! The stream below the TLS of a listener, which bounds what a peer may send before it is verified.
//!
//! The TLS library buffers an unfinished message of up to 64 KiB for each connection, before it knows anything of the peer.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that are read before the first answer, which is to a `ClientHello`.
const UNANSWERED: usize = 16 * 1024;
/// The most bytes that are read in a handshake. What the peer sends right behind it counts, as far as it is read with it.
const HANDSHAKE: usize = 64 * 1024;

/// The peer has sent too much before the end of its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum HandshakeTooLong {
    /// Before the first answer.
    #[error("the peer sends more than {UNANSWERED} bytes before it has an answer")]
    Unanswered,
    /// In all.
    #[error("the peer sends more than {HANDSHAKE} bytes in its handshake")]
    InAll,
}

/// A stream whose reads fail when the peer has sent too much for a handshake, until [`Self::handshake_ended`].
#[derive(Debug)]
pub struct HandshakeStream<S> {
    stream: S,
    /// Bytes that were read in the handshake.
    read: usize,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Unanswered,
    Answered,
    Ended,
}

impl<S> HandshakeStream<S> {
    /// A stream whose handshake begins.
    pub const fn new(stream: S) -> Self {
        Self { stream, read: 0, progress: Progress::Unanswered }
    }

    /// The peer is verified: from now on all is read.
    pub const fn handshake_ended(&mut self) {
        self.progress = Progress::Ended;
    }

    /// The stream itself.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// How many bytes may be read now, and the error after them. `None`: any number.
    const fn bound(&self) -> Option<(usize, HandshakeTooLong)> {
        match self.progress {
            Progress::Unanswered => Some((UNANSWERED, HandshakeTooLong::Unanswered)),
            Progress::Answered => Some((HANDSHAKE, HandshakeTooLong::InAll)),
            Progress::Ended => None,
        }
    }

    fn wrote(&mut self, polled: &Poll<io::Result<usize>>) {
        if self.progress == Progress::Unanswered && matches!(polled, Poll::Ready(Ok(1..))) {
            self.progress = Progress::Answered;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HandshakeStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some((most, error)) = self.bound() else {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        };
        let room = buf.remaining().min(most.saturating_sub(self.read));
        if room == 0 && buf.remaining() > 0 {
            // Whoever sent exactly this much, and then waits or ends, has not sent too much.
            let mut next = [0];
            let mut next = ReadBuf::new(&mut next);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut next))?;
            return Poll::Ready(match next.filled() {
                [] => Ok(()),
                [..] => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            });
        }
        self.read += ready!(poll_read_part(Pin::new(&mut self.stream), cx, buf, room))?;
        Poll::Ready(Ok(()))
    }
}

/// Reads `most` bytes at most, for which `buf` has room. Returns how many.
///
/// # Errors
/// Those of the stream.
pub fn poll_read_part(
    stream: Pin<&mut impl AsyncRead>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
    most: usize,
) -> Poll<io::Result<usize>> {
    let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
    ready!(stream.poll_read(cx, &mut part))?;
    let read = part.filled().len();
    buf.advance(read);
    Poll::Ready(Ok(read))
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HandshakeStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(&polled);
        polled
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// Both ends, and room for all that is sent here.
    fn ends() -> (DuplexStream, HandshakeStream<DuplexStream>) {
        let (peer, own) = duplex(2 * HANDSHAKE);
        (peer, HandshakeStream::new(own))
    }

    async fn read_all(stream: &mut HandshakeStream<DuplexStream>) -> (usize, Option<String>) {
        let mut read = Vec::new();
        let error = stream.read_to_end(&mut read).await.err();
        (read.len(), error.map(|error| error.to_string()))
    }

    #[tokio::test]
    async fn what_has_no_answer_yet_is_read_up_to_16_kib() {
        for (sent, error) in
            [(UNANSWERED, None), (UNANSWERED + 1, Some(HandshakeTooLong::Unanswered.to_string()))]
        {
            let (mut peer, mut stream) = ends();
            peer.write_all(&vec![0; sent]).await.unwrap();
            drop(peer);
            assert_eq!(read_all(&mut stream).await, (UNANSWERED, error), "{sent}");
        }
    }

    #[tokio::test]
    async fn after_an_answer_64_kib_are_read_in_all() {
        for (sent, error) in
            [(HANDSHAKE, None), (HANDSHAKE + 1, Some(HandshakeTooLong::InAll.to_string()))]
        {
            let (mut peer, mut stream) = ends();
            peer.write_all(&[0; UNANSWERED]).await.unwrap();
            let mut hello = [0; UNANSWERED];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(b"answer").await.unwrap();
            peer.write_all(&vec![0; sent - UNANSWERED]).await.unwrap();
            drop(peer);
            assert_eq!(read_all(&mut stream).await, (HANDSHAKE - UNANSWERED, error), "{sent}");
        }
    }

    #[tokio::test]
    async fn after_the_handshake_everything_is_read() {
        let (mut peer, mut stream) = ends();
        stream.handshake_ended();
        peer.write_all(&vec![0; HANDSHAKE + 1]).await.unwrap();
        drop(peer);
        assert_eq!(read_all(&mut stream).await, (HANDSHAKE + 1, None));
    }
}
