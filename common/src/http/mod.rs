//! What is the same for every route of every daemon: reading a body within its limits, the form of an answer, what is
//! answered before any handler, the audit line, and the count of requests.
//!
//! Which request means what, who may ask for it and what becomes of it is the daemons' own: their `routes`.

mod body;
mod exchange;
mod metrics;
mod reply;

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    body::Body,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use prometheus_client::metrics::counter::Counter;

pub use self::{
    body::{BodyError, BodyLimits, read_body},
    exchange::{Ending, Exchange},
    metrics::RequestMetrics,
    reply::{Reply, outside_the_handlers},
};

use crate::mtls::{App, Peer};

/// Who sends a request, and to which daemon: what the requests of one connection share.
#[derive(Debug)]
pub struct Caller<D> {
    /// The verified peer.
    pub peer: Peer,
    /// The daemon.
    pub daemon: Arc<D>,
    panics: Counter,
}

/// A daemon's answers. Where `handle` panics the answer is 500, and it is counted: a bug in one request does not end a
/// daemon.
pub fn app<D, F>(
    daemon: Arc<D>,
    metrics: &RequestMetrics,
    handle: fn(Arc<Caller<D>>, Request<Body>) -> F,
) -> App
where
    D: Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let panics = metrics.panics();
    App::new(move |peer| {
        let (daemon, panics) = (Arc::clone(&daemon), panics.clone());
        let caller = Arc::new(Caller { peer, daemon, panics });
        move |request| {
            let caller = Arc::clone(&caller);
            let answer = AssertUnwindSafe(handle(Arc::clone(&caller), request)).catch_unwind();
            answer.map(move |answer| {
                answer.unwrap_or_else(|_| {
                    caller.panics.inc();
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                })
            })
        }
    })
}
