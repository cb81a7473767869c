//! What holds for every call.

mod calls;
mod dropped;
mod every_call;
mod spans;

use std::{
    future::{Future, poll_fn},
    task::Poll,
};

use crate::{Client, Error, Policy};

/// Polls a future once.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))).await
}
