//! From a request to an answer: the whole route table, and what is the same for every route.
//!
//! The order is upstream's (wire-api 3.1): unclean path, method, readiness, route, then the handler, which reads, parses,
//! authorizes, validates and acts. Every request that has a peer ends in one audit line and one count, whatever became
//! of it.

mod bootstrap;
mod cipher;
mod operator;
mod policy;
mod secret;

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Request, StatusCode, header, request::Parts},
    response::Response,
};
use bytes::Bytes;
use spike_common::{
    audit::RequestId,
    daemon::chain,
    http::{self, BodyLimits, Caller, Ending, Exchange, Reply},
    mtls::{App, Peer},
    wire::{JsonError, Operation, STREAM_CONTENT_TYPE, fallback_error_body},
};

use crate::{access::Grant, error::Error, nexus::Nexus};

/// Everything that Nexus serves over mTLS.
pub fn app(nexus: &Arc<Nexus>) -> App {
    http::app(Arc::clone(nexus), nexus.metrics(), handle)
}

/// A request that was carried out, or not, and what the audit log says it was about.
struct Outcome {
    result: Result<Reply, Error>,
    subject: Option<String>,
}

impl Outcome {
    /// A request that ended before it was clear what it was about.
    const fn without_subject(error: Error) -> Self {
        Self { result: Err(error), subject: None }
    }
}

impl From<Result<Reply, Error>> for Outcome {
    fn from(result: Result<Reply, Error>) -> Self {
        Self { result, subject: None }
    }
}

/// Takes the request apart before anything is awaited, so that only its parts are kept meanwhile.
fn handle(
    caller: Arc<Caller<Nexus>>,
    request: Request<Body>,
) -> impl Future<Output = Response> + Send {
    let (parts, body) = request.into_parts();
    async move {
        if let Some(answer) = http::outside_the_handlers(&parts) {
            return answer;
        }
        answer(&caller, &parts, body).await
    }
}

async fn answer(caller: &Caller<Nexus>, parts: &Parts, body: Body) -> Response {
    let Caller { daemon: nexus, peer, .. } = caller;
    let exchange = Exchange::begin(parts);
    let call = exchange.path().and_then(|path| Operation::from_request(path, exchange.query()));
    let call = call.filter(|_| exchange.is_post());

    let outcome = match admitted(nexus, &exchange, call) {
        Err(error) => Outcome::without_subject(error),
        Ok(operation) => {
            let is_stream = parts.headers.get(header::CONTENT_TYPE).is_some_and(is_stream);
            let request = HandlerRequest { nexus, peer, operation, is_stream, body };
            match operation {
                // Nearly every request. It does not carry the room with it that others need.
                Operation::SecretGet => secret::get(request).await,
                _ => Box::pin(dispatch(request)).await,
            }
        }
    };
    end(caller, &exchange, call, outcome).await
}

/// Writes down what became of the request, and makes that its answer.
fn end<'e>(
    caller: &'e Caller<Nexus>,
    exchange: &'e Exchange<'_>,
    call: Option<Operation>,
    outcome: Outcome,
) -> impl Future<Output = Response> + use<'e> {
    let Caller { daemon: nexus, peer, .. } = caller;
    let error = outcome.result.as_ref().err().map(|error| told(error, call, exchange.id(), peer));
    let reply = outcome.result.unwrap_or_else(|error| error_reply(call, &error));
    let ending = Ending {
        label: call.map_or("other", Operation::label),
        component: call.map_or("", Operation::audit_component),
        action: call.map_or("fallback", Operation::audit_action),
        subject: outcome.subject.as_deref(),
        error: error.as_deref(),
    };
    let unrecorded = move |error| error_reply(call, &Error::Audit(error));
    exchange.end((nexus.audit(), nexus.metrics()), peer, &ending, reply, unrecorded)
}

/// What an error looks like on `operation`, or outside every operation.
fn error_reply(operation: Option<Operation>, error: &Error) -> Reply {
    let (status, code) = error.wire();
    let body = match operation {
        // Not ready is told before the route is known to anybody (wire-api 3.2), and a backend without the operation
        // answers as if it had no such route.
        Some(operation) if !matches!(error, Error::NotReady(_) | Error::NoSuchRoute) => {
            match error.reason() {
                Some(reason) => operation.error_body_with_reason(code, &reason),
                None => operation.error_body(code),
            }
        }
        Some(_) | None => fallback_error_body(code),
    };
    Reply::new(status, body)
}

/// What is decided before the handler: other methods are no route, without the root key only an operator and Bootstrap's
/// survey are heard (wire-api 3.2, in upstream's order), and a backend may not have the route.
fn admitted(
    nexus: &Nexus,
    exchange: &Exchange,
    call: Option<Operation>,
) -> Result<Operation, Error> {
    if !exchange.is_post() {
        return Err(Error::NoSuchRoute);
    }
    let without_a_key = [
        Operation::OperatorRecover,
        Operation::OperatorRestore,
        Operation::OperatorStatus,
        Operation::BootstrapSurvey,
    ];
    if !without_a_key.iter().any(|operation| exchange.path() == Some(operation.path())) {
        nexus.seal().ready()?;
    }
    call.filter(|operation| nexus.key_source().has(*operation)).ok_or(Error::NoSuchRoute)
}

/// The whole route table. An operation without a handler does not compile.
async fn dispatch(request: HandlerRequest<'_>) -> Outcome {
    match request.operation {
        Operation::SecretPut => secret::put(request).await,
        Operation::SecretGet => secret::get(request).await,
        Operation::SecretDelete => secret::delete(request).await,
        Operation::SecretUndelete => secret::undelete(request).await,
        Operation::SecretList => secret::list(request).await,
        Operation::SecretMetadata => secret::metadata(request).await,
        Operation::OperatorRecover => operator::recover(request).await,
        Operation::OperatorRestore => operator::restore(request).await,
        Operation::OperatorStatus => operator::status(request).await,
        Operation::BootstrapVerify => bootstrap::verify(request).await,
        Operation::BootstrapSurvey => bootstrap::survey(request).await,
        Operation::PolicyPut => policy::put(request).await,
        Operation::PolicyGet => policy::get(request).await,
        Operation::PolicyDelete => policy::delete(request).await,
        Operation::PolicyList => policy::list(request).await,
        Operation::PolicyExplain => policy::explain(request).await,
        Operation::PolicyWhoCan => policy::who_can(request).await,
        Operation::PolicyLint => policy::lint(request).await,
        Operation::CipherEncrypt => cipher::encrypt(request).await,
        Operation::CipherDecrypt => cipher::decrypt(request).await,
    }
}

/// What a handler gets.
struct HandlerRequest<'a> {
    nexus: &'a Nexus,
    peer: &'a Peer,
    operation: Operation,
    /// The cipher takes raw bytes for exactly one content type; nobody else looks at it.
    is_stream: bool,
    body: Body,
}

/// Letter for letter: a parameter, or another case, means JSON.
fn is_stream(content_type: &HeaderValue) -> bool {
    content_type.as_bytes() == STREAM_CONTENT_TYPE.as_bytes()
}

impl HandlerRequest<'_> {
    /// The order of almost every route (wire-api 4.3): read the whole body, parse it, ask whether the peer may, act.
    /// `about` names what the request is about: the path that is asked for and written down.
    fn run<T>(
        self,
        decode: impl FnOnce(&[u8]) -> Result<T, JsonError>,
        about: impl FnOnce(&T) -> Option<String>,
        act: impl AsyncFnOnce(&Nexus, &Grant, T) -> Result<Bytes, Error>,
    ) -> impl Future<Output = Outcome> {
        let limits = self.nexus.body_limits();
        self.run_within(limits, decode, about, act)
    }

    /// As [`Self::run`], with bounds of its own on the body.
    fn run_within<T>(
        self,
        limits: BodyLimits,
        decode: impl FnOnce(&[u8]) -> Result<T, JsonError>,
        about: impl FnOnce(&T) -> Option<String>,
        act: impl AsyncFnOnce(&Nexus, &Grant, T) -> Result<Bytes, Error>,
    ) -> impl Future<Output = Outcome> {
        let Self { nexus, peer, operation, body, .. } = self;
        async move {
            let body = match http::read_body(body, limits).await {
                Ok(body) => body,
                Err(error) => return Outcome::without_subject(error.into()),
            };
            let request = match decode(&body) {
                Ok(request) => request,
                Err(error) => return Outcome::without_subject(error.into()),
            };
            drop(body);
            let subject = about(&request);
            let asked = subject.as_deref().unwrap_or_default();
            let result = match nexus.access().authorize(peer, operation, asked) {
                Ok(grant) => act(nexus, &grant, request).await,
                Err(error) => Err(error),
            };
            Outcome { result: result.map(Reply::ok), subject }
        }
    }
}

/// Writes a failure to the log as loudly as it deserves, and words it for the audit line.
fn told(error: &Error, call: Option<Operation>, id: &RequestId, peer: &Peer) -> String {
    let (status, code) = error.wire();
    let text = chain(error);
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        let route = call.map_or("other", Operation::label);
        tracing::error!(
            route,
            request = id.as_str(),
            peer = peer.id(),
            reason = text,
            "a request failed"
        );
    }
    format!("[{code}] {text}")
}
