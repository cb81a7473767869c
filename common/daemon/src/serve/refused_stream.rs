//! The end of a connection whose peer was refused before it was served.

use std::{io, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

/// How long, and for how many bytes, the peer is read after the last byte to it.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 64 * 1024);

/// A stream that its peer may still send on. The last that was sent to it is a TLS alert, or is sent at the end.
pub(super) struct RefusedStream {
    stream: TcpStream,
    last: &'static [u8],
}

impl RefusedStream {
    /// `last` is what is sent before the end.
    pub(super) const fn new(stream: TcpStream, last: &'static [u8]) -> Self {
        Self { stream, last }
    }

    /// Ends the stream so that the peer can read why. The system resets a connection that is closed with unread bytes, and
    /// the peer then loses what it has not read. So its bytes are read for a while, and thrown away.
    pub(super) async fn end(mut self) -> io::Result<()> {
        self.stream.write_all(self.last).await?;
        self.stream.shutdown().await?;
        let (time, bytes) = LINGER;
        // The answer is sent, whether the peer ends first or the time does.
        timeout(time, self.discard(bytes)).await.unwrap_or(Ok(()))
    }

    async fn discard(&self, mut left: usize) -> io::Result<()> {
        while left > 0 {
            self.stream.readable().await?;
            // Not kept while it waits, so that a waiting connection takes no memory for it.
            let mut unread = [0; 2048];
            match self.stream.try_read(&mut unread) {
                Ok(0) => return Ok(()),
                Ok(read) => left = left.saturating_sub(read),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    async fn ends() -> (TcpStream, RefusedStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (peer, RefusedStream::new(listener.accept().await.unwrap().0, b"why"))
    }

    /// The system reset the connection, and the peer lost what it had not read.
    #[tokio::test]
    async fn a_peer_that_has_sent_more_and_goes_on_reads_the_last_bytes() {
        let (mut peer, refused) = ends().await;
        peer.write_all(&[0; 3000]).await.unwrap();
        let ending = tokio::spawn(refused.end());
        peer.readable().await.unwrap();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            peer.write_all(&[0; 3000]).await.unwrap();
        }
        let mut last = Vec::new();
        peer.read_to_end(&mut last).await.unwrap();
        assert_eq!(last, b"why");
        drop(peer);
        ending.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_peer_that_stays_is_waited_for_a_second_and_no_longer() {
        let (peer, refused) = ends().await;
        let began = Instant::now();
        timeout(MINUTE, refused.end()).await.unwrap().unwrap();
        assert!(began.elapsed() >= LINGER.0);
        drop(peer);
    }

    #[tokio::test]
    async fn a_peer_that_sends_without_end_is_read_up_to_a_bound() {
        let (mut peer, refused) = ends().await;
        let sending =
            tokio::spawn(async move { while peer.write_all(&[0; 4096]).await.is_ok() {} });
        timeout(MINUTE, refused.end()).await.unwrap().unwrap();
        timeout(MINUTE, sending).await.unwrap().unwrap();
    }
}
