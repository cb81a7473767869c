//! What is the same for every request of every daemon: its identity, its place in the budgets, its body, its end in one audit
//! line and one count, and the form of its answer.
//!
//! A request belongs to the daemon once it is read, not to the connection: it runs to its end, whatever the peer does, and
//! what it changes, its audit line and its count happen together. A handler that panics is answered 500, written down and
//! counted.
//!
//! Which request means what, who may ask for it and what becomes of it is the daemons' own: their `routes`.

mod allowance;
mod arriving;
mod block;
mod exchange;
mod frame;
mod metrics;
mod refusal;
mod reply;
mod run;
mod sending;

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
use spike_mtls::{
    Peer,
    budget::{Class, Taken},
    client::REQUEST_ID_HEADER,
};

pub use self::{
    arriving::{Arriving, BodyError, BodyLimits, Held},
    exchange::{Exchange, Names},
    frame::{Frame, RequestLimits, class_by_role},
    metrics::RequestMetrics,
    refusal::FrameError,
    reply::Reply,
};

use self::{
    allowance::Allowance,
    exchange::{Counted, Ending},
    reply::outside_the_handlers,
    run::RunToEnd,
    sending::Sending,
};
use crate::{
    audit::{Refusal, PendingAuditLine},
    serve::{App, Refused, RefusedWhat},
};

/// How long the answer to a peer over its limit is held back.
const HELD_BACK: Duration = Duration::from_secs(1);

/// A daemon, as the frame of its requests sees it.
pub trait Service: Send + Sync + Sized + 'static {
    /// What can be asked for.
    type Operation: Copy + Send + Sync + 'static;
    /// Why it is not done.
    type Error: From<FrameError> + Send + 'static;

    /// What its requests are held against.
    fn frame(&self) -> &Arc<Frame>;

    /// What a request asks for; `None` where that is nothing there is.
    fn operation(&self, exchange: &Exchange) -> Option<Self::Operation>;

    /// What an operation is called.
    fn names(operation: Self::Operation) -> Names;

    /// Carries a request out.
    fn carry_out(
        self: &Arc<Self>,
        exchange: &Exchange,
        operation: Option<Self::Operation>,
        body: &mut Arriving,
    ) -> impl Future<Output = Outcome<Self::Error>> + Send;

    /// What an error looks like to the peer.
    fn error_reply(operation: Option<Self::Operation>, error: &Self::Error) -> Reply;

    /// Writes a failure to the log as loudly as it deserves, and words it for the audit line.
    fn told(
        &self,
        exchange: &Exchange,
        operation: Option<Self::Operation>,
        error: &Self::Error,
    ) -> String;

    /// Whether the error is one of the daemon's own that says that the peer may not do what it asked for, or that what it asked
    /// for is nothing there is.
    fn is_denial(error: &Self::Error) -> bool;

    /// The error of the frame that it is, where it is one.
    fn frame_error(error: &Self::Error) -> Option<&FrameError>;
}

/// A request that was carried out, or not, and what the audit log says it was about.
#[derive(Debug)]
pub struct Outcome<E> {
    /// The answer, or why there is none.
    pub result: Result<Reply, E>,
    /// The path of a secret or the name of a policy, where there is one.
    pub subject: Option<String>,
}

impl<E> Outcome<E> {
    /// A request that ended before it was clear what it was about.
    pub const fn without_subject(error: E) -> Self {
        Self { result: Err(error), subject: None }
    }
}

impl<E> From<Result<Reply, E>> for Outcome<E> {
    fn from(result: Result<Reply, E>) -> Self {
        Self { result, subject: None }
    }
}

/// A daemon's answers, and its record of what was refused before there was a request.
pub fn app<S: Service>(daemon: &Arc<S>) -> App {
    let audit = Arc::clone(daemon.frame());
    let daemon = Arc::clone(daemon);
    App::new(move |peer| {
        let allowance = daemon.frame().allowance(&peer);
        // Another connection is no way around the wait.
        if allowance.over_denials().is_some() {
            peer.pause().begin(HELD_BACK);
        }
        let caller = Arc::new(Caller { allowance, daemon: Arc::clone(&daemon), peer });
        move |request| answer(Arc::clone(&caller), request)
    })
    .telling(move |refused| write_down(&audit, refused))
}

/// Who sends the requests of one connection, and to which daemon.
struct Caller<S> {
    daemon: Arc<S>,
    peer: Peer,
    allowance: Arc<Allowance>,
}

/// How long an answer is held back, and the place in the budget that it takes meanwhile.
type HeldBack = (Duration, Taken);

/// A request that has ended, but for its answer.
struct Ended {
    reply: Reply,
    writing: PendingAuditLine,
    counted: Counted,
    request_id: HeaderValue,
    /// Its place among the requests in flight.
    place: Option<Taken>,
    /// Whether the answer is held back.
    held_back: Option<HeldBack>,
}

/// Takes the request apart before anything is awaited, so that only its parts are kept meanwhile.
fn answer<S: Service>(
    caller: Arc<Caller<S>>,
    request: Request<Body>,
) -> impl Future<Output = Response> + Send + use<S> {
    let (head, body) = request.into_parts();
    let frame = Arc::clone(caller.daemon.frame());
    let exchange = Exchange::begin(Arc::clone(&frame), caller.peer.clone(), head);
    let operation = caller.daemon.operation(&exchange);
    let work = RunToEnd::new(carry_out(caller, exchange, operation, body), frame.tasks.clone());
    async move {
        let Some(ended) = work.await else {
            // The task broke outside of the handler; the exchange has written its line.
            return respond(S::error_reply(operation, &FrameError::Panicked.into()), None);
        };
        let Ended { mut reply, writing, mut counted, request_id, place, held_back } = ended;
        if let Err(error) = writing.await {
            reply = S::error_reply(operation, &FrameError::Unrecorded(error).into());
            counted.as_status(reply.status().as_u16());
        }
        drop(counted);
        if let Some((time, _place)) = held_back {
            tokio::time::sleep(time).await;
        }
        let mut response = respond(reply, place);
        response.headers_mut().insert(REQUEST_ID_HEADER, request_id);
        response
    }
}

/// From the head to the audit line. It runs to its end.
async fn carry_out<S: Service>(
    caller: Arc<Caller<S>>,
    mut exchange: Box<Exchange>,
    operation: Option<S::Operation>,
    body: Body,
) -> Ended {
    let daemon = &caller.daemon;
    let frame = daemon.frame();
    if let Some(operation) = operation {
        exchange.called(S::names(operation));
    }
    let mut body = Arriving::new(body, Arc::clone(&caller.allowance));
    let mut is_outside = false;
    let (outcome, place) = match admit(&caller, &exchange) {
        Err(error) => (Outcome::without_subject(error.into()), None),
        Ok(place) => {
            let outcome = if let Some(reply) = outside_the_handlers(&exchange) {
                is_outside = true;
                Outcome::from(Ok(reply))
            } else {
                exchange.shed();
                guarded(daemon, &exchange, operation, &mut body).await
            };
            (outcome, Some(place))
        }
    };
    let Outcome { result, subject } = outcome;
    let (result, has_to_wait) = slowed_down(&caller, &mut body, result, is_outside);
    let mut held_back = None;
    if has_to_wait {
        held_back = caller.allowance.held_back.take(1).ok().map(|place| (HELD_BACK, place));
        // Only a few of its bodies are read to their ends. The streams or connections of others end instead.
        if let Ok(turn) = caller.allowance.turns.take(1) {
            body.discard(&frame.tasks, Some(turn));
        }
    } else {
        body.discard(&frame.tasks, None);
    }
    let result = result.and_then(|reply| Ok(reply.charged(&caller.allowance)?));
    let error = result.as_ref().err().map(|error| daemon.told(&exchange, operation, error));
    let reply = result.unwrap_or_else(|error| S::error_reply(operation, &error));
    let request_id = exchange.id().header();
    let ending = Ending {
        status: reply.status().as_u16(),
        subject: subject.as_deref(),
        error: error.as_deref(),
    };
    let (writing, counted) = exchange.end(&ending);
    Ended { reply, writing, counted, request_id, place, held_back }
}

/// What every request must pass before anybody looks at what it asks for.
fn admit<S>(caller: &Caller<S>, exchange: &Exchange) -> Result<Taken, FrameError> {
    caller.peer.check(exchange.arrived())?;
    if exchange.is_head_too_large() {
        return Err(FrameError::HeadTooLarge);
    }
    Ok(caller.allowance.in_flight.take(1)?)
}

/// A peer that is denied again and again, or asks for more at once than it may, is told so, and waits for its answer: whoever
/// may do nothing must not keep the daemon busy with saying so. A request that no handler takes (`is_outside`) counts as a
/// denial, whatever its status: it costs as much, and nobody needs rights for it. Tells whether the peer has to wait.
fn slowed_down<S: Service>(
    caller: &Caller<S>,
    body: &mut Arriving,
    result: Result<Reply, S::Error>,
    is_outside: bool,
) -> (Result<Reply, S::Error>, bool) {
    let of_the_frame = result.as_ref().err().and_then(S::frame_error);
    let is_over = of_the_frame.is_some_and(FrameError::is_over);
    let is_denial = of_the_frame.is_some_and(FrameError::is_the_peers_fault)
        || result.as_ref().is_err_and(S::is_denial);
    if !(is_outside || is_over || is_denial) {
        return (result, false);
    }
    let Err(after) = body.deny() else { return (result, false) };
    caller.peer.pause().begin(HELD_BACK);
    let result = if is_over { result } else { Err(FrameError::DeniedTooOften { after }.into()) };
    (result, true)
}

/// Runs the handler; a panic in it is an error of this one request.
async fn guarded<S: Service>(
    daemon: &Arc<S>,
    exchange: &Exchange,
    operation: Option<S::Operation>,
    body: &mut Arriving,
) -> Outcome<S::Error> {
    let handler = AssertUnwindSafe(daemon.carry_out(exchange, operation, body));
    handler.catch_unwind().await.unwrap_or_else(|_| {
        daemon.frame().panics.inc();
        Outcome::without_subject(FrameError::Panicked.into())
    })
}

fn respond(reply: Reply, place: Option<Taken>) -> Response {
    reply.into_response(|body| Body::new(Sending::new(body, place)))
}

/// Writes down what was refused before there was a request. `false`: the peer sends so many of those that its connection must
/// end. They count as denials do.
fn write_down(frame: &Frame, refused: &Refused<'_>) -> bool {
    let (action, status) = match refused.what {
        RefusedWhat::Handshake => ("handshake", 0),
        RefusedWhat::Connection => ("connect", 0),
        RefusedWhat::Request { status, .. } => ("request", status),
    };
    let Refused { address, id: spiffe_id, reason, .. } = *refused;
    frame.audit().write_refusal(&Refusal { action, address, spiffe_id, status, reason });
    match (refused.what, spiffe_id) {
        (RefusedWhat::Request { class: Class::Ordinary, .. }, Some(id)) => {
            frame.denials.allow(id, Instant::now(), 1).is_ok()
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
