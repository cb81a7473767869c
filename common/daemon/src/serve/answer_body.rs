//! The body of an answer, and when it counts as sent.
//!
//! The HTTP/2 library polls a part as soon as the peer accepts a single byte, and keeps the rest of the part in a buffer of
//! its own until the peer accepts that too. So the last part keeps everything that the answer holds: its place among
//! the requests in flight, its memory in the budget, and its time limit. All of it is returned when the library frees the
//! part, because it was sent or because its stream or connection has ended.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

use super::activity::request::ActiveRequest;

/// The body of an answer that is being sent.
pub(super) struct AnswerBody {
    /// `None`: the last part has it.
    unsent: Option<Unsent>,
    is_begun: bool,
}

/// What is kept until the answer is sent.
struct Unsent {
    body: Body,
    busy: ActiveRequest,
}

/// The last part of an answer.
struct LastPart {
    bytes: Bytes,
    _unsent: Unsent,
}

impl AsRef<[u8]> for LastPart {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AnswerBody {
    pub(super) fn new(body: Body, mut busy: ActiveRequest, now: Instant) -> Self {
        busy.answered(now);
        Self { unsent: Some(Unsent { body, busy }), is_begun: false }
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let is_begun = std::mem::replace(&mut self.is_begun, true);
        let Some(Unsent { body, busy }) = &mut self.unsent else { return Poll::Ready(None) };
        // The next part is polled when there is space for it: the peer has read some of the earlier ones.
        if is_begun {
            busy.answered(Instant::now());
        }
        let polled = Pin::new(&mut *body).poll_frame(cx);
        // The HTTP/1.1 library polls the next part only after it has written the last one.
        if !(busy.is_http2() && body.is_end_stream()) {
            return polled;
        }
        polled.map_ok(|frame| match frame.into_data() {
            Ok(bytes) => Frame::data(match self.unsent.take() {
                Some(unsent) => Bytes::from_owner(LastPart { bytes, _unsent: unsent }),
                None => bytes,
            }),
            Err(frame) => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.unsent.as_ref().is_none_or(|unsent| unsent.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.unsent {
            Some(unsent) => unsent.body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
