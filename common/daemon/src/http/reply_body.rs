//! The body of an answer: sent in parts, with what it holds of the budgets.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::held::Held;

/// The largest part, in bytes. No more than this waits outside of the budget for a peer that reads nothing.
const PART: usize = 16 * 1024;

/// A whole answer. What it holds of the budgets is returned when its last part is sent.
#[derive(Debug)]
pub(super) struct ReplyBody {
    rest: Bytes,
    _held: Held,
}

impl ReplyBody {
    pub(super) const fn new(body: Bytes, held: Held) -> Self {
        Self { rest: body, _held: held }
    }
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let rest = &mut self.rest;
        let part = rest.split_to(rest.len().min(PART));
        Poll::Ready((!part.is_empty()).then(|| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;
    use crate::http::block::Block;
    use spike_mtls::budget::{Bounds, Budget, Class};

    #[tokio::test]
    async fn an_answer_goes_out_in_parts_and_holds_its_memory_until_the_last_of_them_is_gone() {
        let budget = Budget::new(Bounds { all: 1 << 20, each: 1 << 20, reserve: 0 });
        let account = budget.account(&Arc::from("a"), Class::Ordinary);
        let whole = Bytes::from((0..=u8::MAX).cycle().take(3 * PART + 1).collect::<Vec<u8>>());
        let mut block = Block::with_capacity(whole.len());
        block.extend(&whole);
        let body = block.into_bytes(account.take(whole.len() as u64).ok());
        let mut sending = ReplyBody::new(body, Held::Refusal(account.take(1).unwrap()));
        assert_eq!(sending.size_hint().exact(), Some(whole.len() as u64));
        let mut parts = Vec::new();
        while let Some(part) = sending.frame().await {
            parts.push(part.unwrap().into_data().unwrap());
        }
        assert!(sending.is_end_stream());
        assert_eq!(parts.iter().map(Bytes::len).collect::<Vec<_>>(), [PART, PART, PART, 1]);
        assert_eq!(parts.concat(), whole);
        drop(sending);
        assert_eq!(budget.used(), whole.len() as u64, "the parts are still there");
        drop(parts);
        assert_eq!(budget.used(), 0);
    }
}
