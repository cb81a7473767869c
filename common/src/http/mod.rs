//! What is the same for every route of every daemon: reading a body within its limits, the form of an answer, what is
//! answered before any handler, the audit line, and the count of requests.
//!
//! Which request means what, who may ask for it and what becomes of it is the daemons' own: their `routes`.

mod body;
mod exchange;
mod metrics;
mod reply;

use std::{future::Future, panic::AssertUnwindSafe};

use axum::{
    body::Body,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

pub use self::{
    body::{BodyError, BodyLimits, read_body},
    exchange::{Ending, Exchange},
    metrics::RequestMetrics,
    reply::{Reply, outside_the_handlers},
};

use crate::mtls::{App, Peer};

/// A daemon's answers. Where `handle` panics the answer is 500, and it is counted: a bug in one request does not end a
/// daemon.
pub fn app<F>(
    metrics: &RequestMetrics,
    handle: impl Fn(Peer, Request<Body>) -> F + Send + Sync + 'static,
) -> App
where
    F: Future<Output = Response> + Send + 'static,
{
    let panics = metrics.panics();
    App::new(move |peer, request| {
        let panics = panics.clone();
        let answer = AssertUnwindSafe(handle(peer, request)).catch_unwind();
        answer.map(move |answer| {
            answer.unwrap_or_else(|_| {
                panics.inc();
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            })
        })
    })
}
