//! Upstream's dialect: which handler carries which operation out. The routes and the bodies are those of the wire.

mod bootstrap;
mod cipher;
mod operator;
mod policy;
mod secret;

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use bytes::Bytes;
use spike_daemon::http::{BodyLimits, Exchange, Reply, RequestBody};
use spike_mtls::Peer;
use spike_wire::{Call, Operation, STREAM_CONTENT_TYPE, call};

use super::Outcome;
use crate::{access::Grant, error::Error, service::Nexus};

/// Has an operation carried out that was admitted.
pub(super) async fn carry_out(
    nexus: &Arc<Nexus>,
    exchange: &Exchange,
    operation: Operation,
    body: &mut RequestBody,
) -> Outcome {
    let is_stream = exchange.headers().get(header::CONTENT_TYPE).is_some_and(is_stream);
    let request = HandlerRequest { nexus, peer: exchange.peer(), operation, is_stream, body };
    match operation {
        // Nearly every request. It does not carry the room with it that others need.
        Operation::SecretGet => request.run::<call::SecretGet>().await,
        _ => Box::pin(dispatch(request)).await,
    }
}

/// Has each operation carried out by the call of its name.
macro_rules! dispatch {
    ($request:ident: $( $name:ident, )* ; $( $own:ident by $handler:path, )*) => {
        match $request.operation {
            $( Operation::$name => $request.run::<call::$name>().await, )*
            $( Operation::$own => $handler($request).await, )*
        }
    };
}

/// The whole route table. An operation without a handler does not compile.
async fn dispatch(request: HandlerRequest<'_>) -> Outcome {
    dispatch!(request:
        SecretPut, SecretGet, SecretDelete, SecretUndelete, SecretList, SecretMetadata,
        PolicyPut, PolicyGet, PolicyDelete, PolicyList, PolicyExplain, PolicyWhoCan, PolicyLint,
        OperatorRecover, OperatorRestore, OperatorStatus, BootstrapVerify, BootstrapSurvey,
        ; CipherEncrypt by cipher::encrypt, CipherDecrypt by cipher::decrypt,
    )
}

/// A call as it is carried out once it is allowed.
trait Handle: Call + Sized {
    /// The body of the answer.
    fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<Self>,
    ) -> impl Future<Output = Result<Bytes, Error>> + Send;
}

/// What a handler gets.
struct HandlerRequest<'a> {
    nexus: &'a Arc<Nexus>,
    peer: &'a Peer,
    operation: Operation,
    /// The cipher takes raw bytes for exactly one content type; nobody else looks at it.
    is_stream: bool,
    body: &'a mut RequestBody,
}

/// Letter for letter: a parameter, or another case, means JSON.
fn is_stream(content_type: &HeaderValue) -> bool {
    content_type.as_bytes() == STREAM_CONTENT_TYPE.as_bytes()
}

impl HandlerRequest<'_> {
    /// The order of almost every route (wire-api 4.3): read the whole body, parse it, ask whether the peer may, act.
    fn run<C: Handle>(self) -> impl Future<Output = Outcome> {
        let limits = self.nexus.body_limits();
        self.run_within::<C>(limits)
    }

    /// As [`Self::run`], with bounds of its own on the body.
    fn run_within<C: Handle>(self, limits: BodyLimits) -> impl Future<Output = Outcome> {
        let Self { nexus, peer, body, .. } = self;
        async move {
            let body = match body.read(limits).await {
                Ok(body) => body,
                Err(error) => return Outcome::without_subject(error.into()),
            };
            let request = match C::decode(&body) {
                Ok(request) => request,
                Err(error) => return Outcome::without_subject(error.into()),
            };
            drop(body);
            let subject = C::subject(&request).audit_name();
            let result = match nexus.access().authorize::<C>(peer, request) {
                Ok(grant) => C::handle(nexus, grant).await,
                Err(error) => Err(error),
            };
            Outcome { result: result.map(Reply::ok), subject }
        }
    }
}
