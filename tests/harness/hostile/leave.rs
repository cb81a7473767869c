//! Ways in which a client ends a connection early.

use std::io;

use anyhow::Result;
use tokio::io::AsyncWriteExt;

use crate::raw::Connection;

/// A way to end a connection without waiting for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// TCP RST, as from a process that was killed with bytes unread.
    Reset,
    /// The TLS end and then the TCP end, as from a correct client.
    Close,
    /// The TCP end without the TLS end.
    Cut,
    /// The TLS end of the sending direction only. The answer is still read.
    HalfClose,
}

impl Leave {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Reset, Self::Close, Self::Cut, Self::HalfClose];

    /// Ends the connection. After [`Self::HalfClose`] it is returned, so that the answer can be read.
    ///
    /// # Errors
    /// If the socket refuses.
    pub async fn leave(self, mut connection: Connection) -> Result<Option<Connection>> {
        match self {
            Self::HalfClose => {
                connection.end_sending().await?;
                return Ok(Some(connection));
            }
            Self::Reset => {
                connection.into_stream().get_ref().get_ref().0.set_zero_linger()?;
            }
            Self::Close => {
                let mut stream = connection.into_stream();
                match stream.shutdown().await {
                    // The server ended it first.
                    Err(error) if error.kind() != io::ErrorKind::NotConnected => {
                        return Err(error.into());
                    }
                    Ok(()) | Err(_) => {}
                }
            }
            Self::Cut => {
                let (stream, _tls) = connection.into_stream().into_inner().into_inner();
                drop(stream);
            }
        }
        Ok(None)
    }
}
