//! What is the same for every route of every daemon: reading a body within its limits, the form of an answer, what is
//! answered before any handler, the audit line, and the count of requests.
//!
//! Which request means what, who may ask for it and what becomes of it is the daemons' own: their `routes`.

mod body;
mod exchange;
mod metrics;
mod reply;

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tower_http::catch_panic::CatchPanicLayer;

pub use self::{
    body::{BodyError, BodyLimits, read_body},
    exchange::{Ending, Exchange},
    metrics::RequestMetrics,
    reply::{Reply, outside_the_handlers},
};

/// Answers 500 where a handler of `router` panics, and counts it: a bug in one request does not end a daemon.
pub fn catch_panics(router: Router, metrics: &RequestMetrics) -> Router {
    let metrics = metrics.clone();
    router.layer(CatchPanicLayer::custom(move |_| -> Response {
        metrics.count_panic();
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }))
}
