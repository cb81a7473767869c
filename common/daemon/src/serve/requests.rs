//! Follows the requests of an HTTP/1.1 peer as their bytes arrive.
//!
//! Between two requests a connection may be idle for long, but the head of a request must arrive quickly. A head that
//! arrives while an earlier request is carried out stays in a buffer of the HTTP library, where its arrival is not visible.
//! So the bytes are read here too, only as far as it takes to know where a head begins and ends.
//!
//! Here a head has to end where it ends for the library: otherwise a peer could send heads that nothing counts. So each byte that
//! decides this is read by the rule of the library, one by one, however the bytes are cut into parts. Nothing is read of a
//! line that was cut off. What the library refuses may be read in any way, because it ends the connection. The library asks
//! for more bytes only when it has read all that arrived, so [`RequestReader::is_in_step`] can tell each time that both have
//! seen the same requests. The fuzz target `request_ends` compares the two.

mod chunks;
mod head;

use self::{
    chunks::ChunkReader,
    head::{HeadReader, Length},
};
use super::limits::{MAX_FIELDS, MAX_HEAD};

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A head that has not begun.
    Before,
    /// The same, behind empty lines. The library keeps them until it has the head.
    EmptyLines,
    Head,
    /// A body with a length, and how much of it is to come.
    Body(u64),
    Chunks,
    /// Nothing: the library ends the connection.
    Refused,
}

/// What of a head is more than the library takes. It does not tell by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// Its bytes, as far as it is known here.
    Bytes,
    /// More than [`MAX_FIELDS`].
    Fields,
    /// The length of the body.
    Length,
}

impl Excess {
    /// The reason for the audit log.
    pub(super) fn reason(self) -> String {
        match self {
            Self::Bytes => format!("the head of the request has more than {MAX_HEAD} bytes"),
            Self::Fields => format!("the head of the request has more than {MAX_FIELDS} fields"),
            Self::Length => "the Content-Length is more than any body may have".to_owned(),
        }
    }
}

/// Where a peer is in its requests.
#[derive(Debug)]
pub(super) struct RequestReader {
    place: Place,
    head: HeadReader,
    chunks: ChunkReader,
    /// Heads that have ended.
    heads: u64,
}

impl RequestReader {
    pub(super) const fn new() -> Self {
        Self { place: Place::Before, head: HeadReader::new(), chunks: ChunkReader::new(), heads: 0 }
    }

    /// How many heads have ended.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) const fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether a body has begun and not ended.
    #[cfg(feature = "fuzzing")]
    pub(super) const fn is_within_body(&self) -> bool {
        matches!(self.place, Place::Body(_) | Place::Chunks)
    }

    /// Whether a head has begun and not ended.
    pub(super) const fn is_within_head(&self) -> bool {
        matches!(self.place, Place::Head)
    }

    /// Whether the library keeps what has arrived until more of it arrives: a head, empty lines before it, or trailers.
    pub(super) const fn is_kept(&self) -> bool {
        match self.place {
            Place::Head | Place::EmptyLines => true,
            Place::Chunks => self.chunks.is_within_trailers(),
            Place::Before | Place::Body(_) | Place::Refused => false,
        }
    }

    /// Whether the library has begun these many requests rightly, as it asks for more bytes. Then it has read all that has arrived:
    /// each head that has ended here is a request, and no other is. If it has refused something, it does not ask.
    pub(super) const fn is_in_step(&self, begun: u64) -> bool {
        self.heads == begun && !matches!(self.place, Place::Refused)
    }

    /// What is too much of the last head, if the library says that something is.
    pub(super) const fn excess(&self) -> Excess {
        match self.head.length() {
            _ if self.head.lines() > MAX_FIELDS + 1 => Excess::Fields,
            Length::TooLong => Excess::Length,
            Length::Empty | Length::Bytes(_) | Length::Chunked | Length::Refused => Excess::Bytes,
        }
    }

    /// Reads the next bytes, and returns whether a head has ended in them.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> bool {
        let before = self.heads;
        while let Some(first) = bytes.first() {
            match self.place {
                // The library refuses a CR alone, once it looks at it, and throws it away if no head follows.
                Place::Before | Place::EmptyLines if matches!(first, b'\r' | b'\n') => {
                    self.place = Place::EmptyLines;
                    bytes = bytes.get(1..).unwrap_or_default();
                }
                Place::Before | Place::EmptyLines => {
                    (self.place, self.head) = (Place::Head, HeadReader::new());
                }
                Place::Head => {
                    if self.head.take(&mut bytes) {
                        self.heads += 1;
                        self.place = self.behind_head();
                    }
                }
                Place::Body(left) => {
                    let left = skip(&mut bytes, left);
                    self.place = if left == 0 { Place::Before } else { Place::Body(left) };
                }
                Place::Chunks => {
                    self.chunks.take(&mut bytes);
                    if self.chunks.has_ended() {
                        self.place = Place::Before;
                    } else if self.chunks.is_refused() {
                        self.place = Place::Refused;
                    }
                }
                Place::Refused => break,
            }
        }
        self.heads > before
    }

    /// What follows a head.
    const fn behind_head(&mut self) -> Place {
        match self.head.length() {
            Length::Empty | Length::Bytes(0) => Place::Before,
            Length::Bytes(length) => Place::Body(length),
            Length::Chunked => {
                self.chunks = ChunkReader::new();
                Place::Chunks
            }
            Length::TooLong | Length::Refused => Place::Refused,
        }
    }
}

/// Skips `left` bytes, and returns how many are still to come.
fn skip(bytes: &mut &[u8], left: u64) -> u64 {
    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = bytes.get(here..).unwrap_or_default();
    left - here as u64
}

/// Takes the first byte.
fn next(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests;
