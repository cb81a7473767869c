//! One HTTP/2 frame (RFC 9113, section 4.1), written and read without a check of its content.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The connection preface of a client (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113, section 6).
pub mod kind {
    /// Bytes of a body.
    pub const DATA: u8 = 0x0;
    /// The beginning of a header block.
    pub const HEADERS: u8 = 0x1;
    /// An order among streams.
    pub const PRIORITY: u8 = 0x2;
    /// The end of one stream.
    pub const RST_STREAM: u8 = 0x3;
    /// Settings of the sender.
    pub const SETTINGS: u8 = 0x4;
    /// A question whether the peer still answers.
    pub const PING: u8 = 0x6;
    /// No further streams.
    pub const GOAWAY: u8 = 0x7;
    /// A larger window.
    pub const WINDOW_UPDATE: u8 = 0x8;
    /// More of a header block.
    pub const CONTINUATION: u8 = 0x9;
}

/// Flags.
pub mod flag {
    /// Of SETTINGS and PING: the answer to one.
    pub const ACK: u8 = 0x1;
    /// Of HEADERS and DATA: the last of the stream.
    pub const END_STREAM: u8 = 0x1;
    /// Of HEADERS and CONTINUATION: the last of the header block.
    pub const END_HEADERS: u8 = 0x4;
}

/// Settings that a client of ours sends, or looks for.
pub mod setting {
    /// The size of the dynamic table of HPACK.
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    /// The initial window of a stream.
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
}

/// The error code for a cancelled stream.
pub const CANCEL: u32 = 0x8;

/// The default limit of a payload.
pub const MAX_PAYLOAD: usize = 16_384;

/// A frame, as on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`], or any other number.
    pub kind: u8,
    /// What [`flag`] has, or any other bits.
    pub flags: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
    /// What follows the header of nine bytes.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Any frame, valid or not.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// Settings by number and value.
    pub fn settings(settings: &[(u16, u32)]) -> Self {
        let pair =
            |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let payload: Vec<u8> = settings.iter().flat_map(pair).collect();
        Self::new(kind::SETTINGS, 0, 0, payload)
    }

    /// The end of a stream, and why.
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// A window for so many more bytes.
    pub fn window(stream: u32, bytes: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
    }

    /// A PING with eight bytes of its own.
    pub fn ping(payload: [u8; 8]) -> Self {
        Self::new(kind::PING, 0, 0, payload)
    }

    /// The frame as bytes. No test makes a payload over 2^24 bytes, which would be no frame.
    pub fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        let [_, length @ ..] = length;
        let mut bytes = Vec::with_capacity(9 + self.payload.len());
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Reads one frame of any length.
    ///
    /// # Errors
    /// If the connection ends first.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut length = [0; 4];
        let [_, three @ ..] = &mut length;
        from.read_exact(three).await?;
        let length = u32::from_be_bytes(length);
        let kind = from.read_u8().await?;
        let flags = from.read_u8().await?;
        let stream = from.read_u32().await? & 0x7fff_ffff;
        let mut payload = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        from.read_exact(&mut payload).await?;
        Ok(Self { kind, flags, stream, payload })
    }

    /// Whether `flag` is set.
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The four bytes at `at`, as a number; 0 where the payload ends before.
    pub fn number_at(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_reads_back() {
        for frame in [
            Frame::settings(&[(setting::HEADER_TABLE_SIZE, 0)]),
            Frame::reset(7, CANCEL),
            Frame::ping(*b"12345678"),
            Frame::new(kind::DATA, flag::END_STREAM, 3, vec![9; 70_000]),
        ] {
            let bytes = frame.encode();
            assert_eq!(Frame::read(&mut bytes.as_slice()).await.unwrap(), frame);
        }
    }
}
