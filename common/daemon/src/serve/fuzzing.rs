//! The readers of arriving bytes, for their fuzz target.

use super::{heads::FrameReader, requests::RequestReader};

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
    /// A head has ended.
    pub has_head: bool,
    /// The bytes end inside of a head.
    pub is_within_head: bool,
    /// What would be too much of the last head, in words.
    pub excess: String,
}

/// Reads HTTP/1.1 requests that arrive in these parts.
pub fn requests<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Requests {
    let mut reader = RequestReader::new();
    let mut has_head = false;
    for part in parts {
        has_head |= reader.take(part);
    }
    Requests { has_head, is_within_head: reader.is_within_head(), excess: reader.excess().reason() }
}
