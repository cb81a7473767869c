//! What every request of every daemon has: a check of its identity, its budgets, its body, one audit line and one
//! count, and the form of its answer.
//!
//! Once a request is read, it belongs to the daemon, not to the connection. It runs to its end even if the peer leaves,
//! so that its changes, its audit line and its count happen together. A handler that panics is answered 500, logged and
//! counted.
//!
//! What a request means and who may send it is decided by each daemon: see [`Service`].

mod allowance;
mod answer;
mod block;
mod body_end;
mod caller;
mod exchange;
mod frame;
mod held;
mod metrics;
mod recent;
mod refusal;
mod reply;
mod reply_body;
mod request_body;
mod run;
mod scrape;
mod sender;

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{HeaderValue, Request},
    response::Response,
};
use futures_util::FutureExt;
use spike_domain::Role;
use spike_mtls::{
    budget::{Class, Taken},
    client::REQUEST_ID_HEADER,
    clock,
};

pub use self::{
    answer::{AnswerBlock, AnswerBytes, AnswerMemory, AnswerRoom},
    block::LARGE,
    caller::Caller,
    exchange::{Exchange, Names},
    frame::{Frame, RequestLimits, class_by_role},
    metrics::RequestMetrics,
    recent::Recent,
    refusal::{FrameError, HeadLimit},
    reply::Reply,
    request_body::{BodyBytes, BodyError, BodyLimits, RequestBody, SMALL_BODY},
    scrape::Scrapers,
};

use self::{
    allowance::Allowance,
    exchange::{Ending, PendingCount},
    held::Held,
    reply::outside_the_handlers,
    reply_body::ReplyBody,
    run::RunToEnd,
    sender::Sender,
};
use crate::{
    audit::{PendingAuditLine, Refusal},
    serve::{App, Refused, RefusedWhat},
};

/// How long the answer to a peer over its limit is delayed.
const ANSWER_DELAY: Duration = Duration::from_secs(1);

/// A daemon, as its [`Frame`] sees it.
pub trait Service: Send + Sync + Sized + 'static {
    /// What a request can ask for.
    type Operation: Copy + Send + Sync + 'static;
    /// Why a request failed.
    type Error: From<FrameError> + Send + 'static;

    /// The frame of its requests.
    fn frame(&self) -> &Arc<Frame>;

    /// The role of a SPIFFE ID, if it has one. It is asked for once for each connection.
    fn role(&self, id: &str) -> Option<Role>;

    /// The operation that a request asks for; `None` if there is no such operation.
    fn operation(&self, exchange: &Exchange) -> Option<Self::Operation>;

    /// The names of an operation.
    fn names(operation: Self::Operation) -> Names;

    /// Carries out a request.
    fn carry_out(
        self: &Arc<Self>,
        exchange: &Exchange,
        operation: Option<Self::Operation>,
        body: &mut RequestBody,
    ) -> impl Future<Output = Outcome<Self::Error>> + Send;

    /// The answer to an error.
    fn error_reply(operation: Option<Self::Operation>, error: &Self::Error) -> Reply;

    /// Logs a failure at the level that fits it, and returns its words for the audit line.
    fn log_failure(
        &self,
        exchange: &Exchange,
        operation: Option<Self::Operation>,
        error: &Self::Error,
    ) -> String;

    /// Whether the error, one of the daemon's own, means that the peer has no permission, or that the operation does
    /// not exist.
    fn is_denial(error: &Self::Error) -> bool;

    /// Whether the error, one of the daemon's own, means that no request can be carried out now. It is held against the peer like a
    /// denial, because it costs as much, and stays the answer.
    fn is_unavailable(error: &Self::Error) -> bool;

    /// The frame's error, if it is one.
    fn frame_error(error: &Self::Error) -> Option<&FrameError>;
}

/// The result of a request, and its subject for the audit log.
#[derive(Debug)]
pub struct Outcome<E> {
    /// The answer, or the error.
    pub result: Result<Reply, E>,
    /// The path of a secret or the name of a policy, if there is one.
    pub subject: Option<String>,
}

impl<E> Outcome<E> {
    /// A request that failed before its subject was known.
    pub const fn without_subject(error: E) -> Self {
        Self { result: Err(error), subject: None }
    }
}

impl<E> From<Result<Reply, E>> for Outcome<E> {
    fn from(result: Result<Reply, E>) -> Self {
        Self { result, subject: None }
    }
}

/// Serves `daemon`, and records what is refused before there is a request.
pub fn app<S: Service>(daemon: &Arc<S>) -> App {
    let audit = Arc::clone(daemon.frame());
    let daemon = Arc::clone(daemon);
    App::new(move |peer| {
        let allowance = daemon.frame().allowance(&peer);
        peer.pause().slow_down_by(allowance.delayed.clone());
        // A new connection does not avoid the delay.
        if allowance.denial_wait().is_some() {
            peer.pause().begin(ANSWER_DELAY);
        }
        let caller = Caller::from(daemon.role(peer.id()));
        let scrapers = daemon.frame().scrapers.clone().filter(|who| who.include(peer.id()));
        let frame = Arc::clone(daemon.frame());
        let context = Arc::new(PeerContext {
            daemon: Arc::clone(&daemon),
            sender: Arc::new(Sender { frame, peer, caller }),
            scrapers,
            allowance,
        });
        move |request| answer(Arc::clone(&context), request)
    })
    .on_refusal(move |refused| record_refusal(&audit, refused))
}

/// The peer of one connection, and the daemon that serves it.
struct PeerContext<S> {
    daemon: Arc<S>,
    sender: Arc<Sender>,
    /// There if the peer may read the metrics.
    scrapers: Option<Scrapers>,
    allowance: Arc<Allowance>,
}

/// How long an answer is delayed, and the slot in the budget that it takes meanwhile.
type Delay = (Duration, Taken);

/// A request whose answer is not sent yet.
struct EndedRequest {
    reply: Reply,
    writing: PendingAuditLine,
    counted: PendingCount,
    request_id: HeaderValue,
    held: Held,
    /// Whether the answer is delayed.
    delayed: Option<Delay>,
}

/// Splits the request before the first await, so that only the needed parts stay in memory.
fn answer<S: Service>(
    context: Arc<PeerContext<S>>,
    request: Request<Body>,
) -> impl Future<Output = Response> + Send + use<S> {
    let (head, body) = request.into_parts();
    let sender = Arc::clone(&context.sender);
    let mut exchange = Exchange::begin(Arc::clone(&sender), head);
    let operation = context.daemon.operation(&exchange);
    // Before anything else of the connection is read.
    if exchange.head_over().is_some() {
        exchange.drop_large_head();
    }
    let work = carry_out(context, exchange, operation, body);
    let work = RunToEnd::new(work, move |work| sender.frame.tasks.spawn(work));
    async move {
        let Some(ended) = work.await else {
            // The task broke outside of the handler; the exchange has written its line.
            return respond(
                S::error_reply(operation, &FrameError::Panicked.into()),
                Held::OneAtATime,
            );
        };
        let EndedRequest { mut reply, writing, mut counted, request_id, held, delayed } = ended;
        if let Err(error) = writing.await {
            reply = S::error_reply(operation, &FrameError::Unrecorded(error).into());
            counted.as_status(reply.status().as_u16());
        }
        drop(counted);
        if let Some((time, _slot)) = delayed {
            tokio::time::sleep(time).await;
        }
        let mut response = respond(reply, held);
        response.headers_mut().insert(REQUEST_ID_HEADER, request_id);
        response
    }
}

/// Runs a request from its head to its audit line. It runs to its end.
async fn carry_out<S: Service>(
    context: Arc<PeerContext<S>>,
    mut exchange: Box<Exchange>,
    operation: Option<S::Operation>,
    body: Body,
) -> EndedRequest {
    let daemon = &context.daemon;
    let frame = daemon.frame();
    if let Some(operation) = operation {
        exchange.set_names(S::names(operation));
    }
    let scraped = context.scrapers.as_ref().filter(|_| scrape::is_for_metrics(&exchange));
    if scraped.is_some() {
        exchange.set_names(scrape::NAMES);
    }
    let mut body =
        RequestBody::new(body, Arc::clone(&context.allowance), context.sender.peer.clone());
    let mut is_outside = false;
    let (outcome, held) = match admit(&context, &exchange) {
        Err(error) => {
            let held = Held::by_refusal(&context.allowance, exchange.is_http_2());
            (Outcome::without_subject(error.into()), held)
        }
        Ok(held) => {
            let outcome = if let Some(reply) = outside_the_handlers(&exchange) {
                is_outside = true;
                Outcome::from(Ok(reply))
            } else if let Some(scrapers) = scraped {
                Outcome::from(Ok(scrapers.answer(&exchange.head().headers).await))
            } else {
                exchange.drop_large_head();
                run_handler(daemon, &exchange, operation, &mut body).await
            };
            (outcome, held)
        }
    };
    let Outcome { result, subject } = outcome;
    // Its body was refused or its connection was cut because of that, and a peer that just went away is another matter.
    let result = match body.is_broken().then(|| context.sender.peer.check(clock::now())) {
        Some(Err(error)) => Err(FrameError::from(error).into()),
        _ => result,
    };
    let (result, has_to_wait) = limit_denials(&context, &mut body, result, is_outside);
    let mut delayed = None;
    if has_to_wait {
        delayed = context.allowance.delayed.take(1).ok().map(|slot| (ANSWER_DELAY, slot));
        // Few of its bodies are discarded. The streams or connections of the others end instead.
        if let Ok(slot) = context.allowance.discards.take(1) {
            body.discard(&frame.tasks, Some(slot));
        }
    } else {
        body.discard(&frame.tasks, None);
    }
    let result = result.and_then(|reply| Ok(reply.charged(&context.allowance)?));
    let of_the_frame = result.as_ref().err().and_then(S::frame_error);
    let is_slowed_down = has_to_wait || of_the_frame.is_some_and(FrameError::is_slowed_down);
    let error = result.as_ref().err().map(|error| daemon.log_failure(&exchange, operation, error));
    let reply = result.unwrap_or_else(|error| S::error_reply(operation, &error));
    let error = error.or_else(|| if is_outside { reply.failure_outside() } else { None });
    let request_id = exchange.id().header();
    let ending = Ending {
        status: reply.status().as_u16(),
        subject: subject.as_deref(),
        error: error.as_deref(),
        is_slowed_down,
    };
    let (writing, counted) = exchange.end(&ending);
    EndedRequest { reply, writing, counted, request_id, held, delayed }
}

/// Checks every request before its operation is looked at.
fn admit<S>(context: &PeerContext<S>, exchange: &Exchange) -> Result<Held, FrameError> {
    context.sender.peer.check(exchange.arrived())?;
    if let Some(limit) = exchange.head_over() {
        return Err(FrameError::HeadTooLarge(limit));
    }
    Ok(Held::in_flight(&context.allowance, &context.sender.peer)?)
}

/// Tells a peer that is over its limit so, and delays its answer: a peer without permission must not keep the daemon
/// busy. A request that no handler takes (`is_outside`) counts as a denial whatever its status, because it costs as
/// much and needs no permission. Returns whether the peer is slowed down.
fn limit_denials<S: Service>(
    context: &PeerContext<S>,
    body: &mut RequestBody,
    result: Result<Reply, S::Error>,
    is_outside: bool,
) -> (Result<Reply, S::Error>, bool) {
    let of_the_frame = result.as_ref().err().and_then(S::frame_error);
    let stays = of_the_frame.is_some_and(FrameError::is_busy)
        || result.as_ref().is_err_and(S::is_unavailable);
    let is_denial = of_the_frame.is_some_and(FrameError::is_the_peers_fault)
        || result.as_ref().is_err_and(S::is_denial);
    if !(is_outside || stays || is_denial) {
        return (result, false);
    }
    let Err(after) = body.deny() else { return (result, false) };
    context.sender.peer.pause().begin(ANSWER_DELAY);
    let result = if stays { result } else { Err(FrameError::DeniedTooOften { after }.into()) };
    (result, true)
}

/// Runs the handler. A panic in it fails only this request.
async fn run_handler<S: Service>(
    daemon: &Arc<S>,
    exchange: &Exchange,
    operation: Option<S::Operation>,
    body: &mut RequestBody,
) -> Outcome<S::Error> {
    let handler = AssertUnwindSafe(daemon.carry_out(exchange, operation, body));
    handler.catch_unwind().await.unwrap_or_else(|_| {
        daemon.frame().panics.inc();
        Outcome::without_subject(FrameError::Panicked.into())
    })
}

fn respond(reply: Reply, held: Held) -> Response {
    let reply = if matches!(held, Held::Nothing) { reply.without_body() } else { reply };
    reply.into_response(|body| Body::new(ReplyBody::new(body, held)))
}

/// Records what was refused before there was a request, and counts a refused request as a denial. `false`: the peer is
/// over its limit, and its connection must end.
fn record_refusal(frame: &Frame, refused: &Refused<'_>) -> bool {
    let (action, is_verified, status) = match refused.what {
        RefusedWhat::Handshake => ("handshake", false, 0),
        RefusedWhat::Connection => ("connect", true, 0),
        RefusedWhat::Request { status, .. } => ("request", true, status),
        RefusedWhat::Cut { .. } => ("cut", true, 0),
    };
    let Refused { address, id: spiffe_id, reason, .. } = *refused;
    let refusal = Refusal { action, address, spiffe_id, is_verified, status, reason };
    frame.audit().write_refusal(&refusal);
    match (refused.what, spiffe_id) {
        (
            RefusedWhat::Request { class: Class::Ordinary, .. }
            | RefusedWhat::Cut { class: Class::Ordinary },
            Some(id),
        ) => frame.denials.count(id, Instant::now(), 1).is_ok(),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
