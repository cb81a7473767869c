//! The readers of arriving bytes, for their fuzz target.

use hyper::server::conn::http1;

use super::{connection, heads::FrameReader, requests::RequestReader};

/// What was read of HTTP/2 frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Complete heads of requests.
    pub heads: u64,
    /// Header blocks with more fields than a request may have.
    pub large_blocks: u32,
    /// Frames that carry neither a part of a head nor of a body.
    pub other_frames: u64,
    /// Something has begun that must end soon.
    pub is_within: bool,
}

/// Reads HTTP/2 frames that arrive in these parts.
pub fn frames<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Frames {
    let mut reader = FrameReader::new();
    let mut read = Frames::default();
    for part in parts {
        read.heads += reader.take(part);
        read.large_blocks += reader.large_blocks();
        read.other_frames += reader.other_frames();
    }
    Frames { is_within: reader.is_within(), ..read }
}

/// What was read of HTTP/1.1 requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requests {
    /// Heads that have ended.
    pub heads: u64,
    /// The bytes end inside of a head.
    pub is_within_head: bool,
    /// What would be too much of the last head, in words.
    pub excess: String,
}

/// Reads HTTP/1.1 requests that arrive in these parts.
pub fn requests<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Requests {
    let mut reader = ArrivingRequests::default();
    parts.for_each(|part| reader.take(part));
    let is_within_head = reader.is_within_head();
    Requests { heads: reader.heads(), is_within_head, excess: reader.0.excess().reason() }
}

/// HTTP/1.1 requests, while they arrive.
#[derive(Debug)]
pub struct ArrivingRequests(RequestReader);

impl Default for ArrivingRequests {
    fn default() -> Self {
        Self(RequestReader::new())
    }
}

impl ArrivingRequests {
    /// Reads the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        self.0.take(bytes);
    }

    /// Heads that have ended.
    pub const fn heads(&self) -> u64 {
        self.0.heads()
    }

    /// The bytes end inside of a head.
    pub const fn is_within_head(&self) -> bool {
        self.0.is_within_head()
    }

    /// The bytes end inside of a body.
    pub const fn is_within_body(&self) -> bool {
        self.0.is_within_body()
    }

    /// See `WatchedStream`, which asks this at each read.
    pub const fn is_in_step(&self, begun: u64) -> bool {
        self.0.is_in_step(begun)
    }
}

/// The HTTP library with the settings of our listeners.
pub fn http1_builder() -> http1::Builder {
    connection::http1_builder()
}
