//! What a server has sent over one HTTP/2 connection so far.

use std::collections::BTreeMap;

use super::{
    frame::{Frame, flag, kind, setting},
    hpack,
};

/// The bytes of a body that are kept. All are counted.
const KEPT: usize = 64 * 1024;

/// The answer on one stream so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status, once there is one.
    pub status: Option<u16>,
    /// The fields of the head that can be read (see [`hpack`]).
    pub fields: Vec<(String, String)>,
    /// The first bytes of the body.
    pub body: Vec<u8>,
    /// The length of the body so far.
    pub length: u64,
    /// Whether the server has ended the stream without a reset.
    pub finished: bool,
    /// The error code, if the server has reset the stream.
    pub reset: Option<u32>,
    /// The window in addition to the initial one.
    granted: i64,
    sent: i64,
}

impl Reply {
    /// A field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Whether the stream is over.
    pub const fn is_over(&self) -> bool {
        self.finished || self.reset.is_some()
    }
}

/// A whole connection.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) replies: BTreeMap<u32, Reply>,
    /// The error code of the last GOAWAY.
    pub(super) goaway: Option<u32>,
    /// PINGs of ours that were answered.
    pub(super) pings: u64,
    /// Why the connection ended, if it has.
    pub(super) ended: Option<String>,
    initial_window: i64,
    granted: i64,
    sent: i64,
    /// The header block that is not complete yet.
    block: Vec<u8>,
}

/// The window of a connection, and of a stream where no setting says otherwise (RFC 9113, section 6.9.2).
const DEFAULT_WINDOW: i64 = 65_535;

impl Default for Seen {
    fn default() -> Self {
        Self {
            replies: BTreeMap::new(),
            goaway: None,
            pings: 0,
            ended: None,
            initial_window: DEFAULT_WINDOW,
            granted: DEFAULT_WINDOW,
            sent: 0,
            block: Vec::new(),
        }
    }
}

impl Seen {
    /// How many bytes may be sent on a stream.
    pub(super) fn room(&self, stream: u32) -> usize {
        let of_stream = self
            .replies
            .get(&stream)
            .map_or(0, |reply| self.initial_window + reply.granted - reply.sent);
        usize::try_from(of_stream.min(self.granted - self.sent)).unwrap_or_default()
    }

    /// Whether a stream is over.
    pub(super) fn is_over(&self, stream: u32) -> bool {
        self.ended.is_some() || self.replies.get(&stream).is_some_and(Reply::is_over)
    }

    /// Counts bytes that were sent.
    pub(super) fn count(&mut self, stream: u32, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.sent += bytes;
        self.replies.entry(stream).or_default().sent += bytes;
    }

    /// Records a received frame.
    pub(super) fn take(&mut self, frame: &Frame) {
        match frame.kind {
            kind::HEADERS | kind::CONTINUATION => self.take_head(frame),
            kind::DATA => {
                let reply = self.replies.entry(frame.stream).or_default();
                reply.length += frame.payload.len() as u64;
                let room = KEPT.saturating_sub(reply.body.len());
                reply.body.extend(frame.payload.iter().take(room));
                reply.finished |= frame.has(flag::END_STREAM);
            }
            kind::RST_STREAM => {
                self.replies.entry(frame.stream).or_default().reset = Some(frame.number_at(0));
            }
            kind::GOAWAY => self.goaway = Some(frame.number_at(4)),
            kind::PING if frame.has(flag::ACK) => self.pings += 1,
            kind::WINDOW_UPDATE => {
                let bytes = i64::from(frame.number_at(0));
                match frame.stream {
                    0 => self.granted += bytes,
                    stream => self.replies.entry(stream).or_default().granted += bytes,
                }
            }
            kind::SETTINGS if !frame.has(flag::ACK) => {
                for at in (0..frame.payload.len()).step_by(6) {
                    let id = frame.payload.get(at..).and_then(<[u8]>::first_chunk);
                    if id.is_some_and(|id| u16::from_be_bytes(*id) == setting::INITIAL_WINDOW_SIZE)
                    {
                        self.initial_window = i64::from(frame.number_at(at + 2));
                    }
                }
            }
            _ => {}
        }
    }

    fn take_head(&mut self, frame: &Frame) {
        self.block.extend_from_slice(&frame.payload);
        let reply = self.replies.entry(frame.stream).or_default();
        if frame.kind == kind::HEADERS {
            reply.finished |= frame.has(flag::END_STREAM);
        }
        if !frame.has(flag::END_HEADERS) {
            return;
        }
        let fields = hpack::decode(&std::mem::take(&mut self.block)).unwrap_or_default();
        let status = fields.iter().find(|(name, _)| name == ":status");
        let status = status.and_then(|(_, status)| status.parse().ok());
        // Interim answers and trailers do not count.
        if status.is_some_and(|status: u16| status >= 200) {
            reply.status = status;
            reply.fields = fields;
        }
    }
}
