//! Upstream's dialect: the handler of each operation. Types of the wire end here: a handler makes the service's request of a
//! body, and a body of the service's answer.

mod bootstrap;
mod cipher;
mod keepers;
mod operator;
mod policy;
mod questions;
mod secret;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, header};
use spike_daemon::http::{Exchange, Reply, RequestBody};
use spike_wire::{Call, Operation, STREAM_CONTENT_TYPE, match_call};

use super::Outcome;
use crate::{
    access::{Asked, Grant, Principal},
    error::Error,
    service::{Nexus, lists::Page},
};

/// Carries out an operation that passed the checks before. One without a handler does not compile.
pub(super) async fn carry_out(
    nexus: &Arc<Nexus>,
    exchange: &Exchange,
    operation: Operation,
    body: &mut RequestBody,
) -> Outcome {
    let is_stream = exchange.headers().get(header::CONTENT_TYPE).is_some_and(is_stream);
    let principal = Principal::from(exchange.peer());
    let request = HandlerRequest { nexus, principal, is_stream, body };
    match_call!(operation, C => <C as CarryOut>::carry_out(request).await)
}

/// A call of upstream's dialect, from the body of the request to the answer.
trait CarryOut: Call {
    /// Carries it out.
    fn carry_out(request: HandlerRequest<'_>) -> impl Future<Output = Outcome> + Send;
}

/// The order of almost every route (wire-api 4.3): read the whole body, parse it, authorize, act.
impl<C: Handle> CarryOut for C {
    async fn carry_out(request: HandlerRequest<'_>) -> Outcome {
        const { assert_same_operation::<C, C::Asked>() };
        let HandlerRequest { nexus, principal, body, .. } = request;
        let asked = match body.read(nexus.frame().body_limits()).await {
            Ok(body) => C::decode(&body).map(C::asked).map_err(Error::from),
            Err(error) => Err(error.into()),
        };
        let asked = match asked {
            Ok(asked) => asked,
            Err(error) => return Outcome::without_subject(error),
        };
        let subject = asked.subject();
        let result = match nexus.access().authorize(principal, asked) {
            Ok(grant) => C::handle(nexus, grant).await,
            Err(error) => Err(error),
        };
        Outcome { result: result.map(Reply::ok), subject }
    }
}

/// A call whose body determines the whole request, as the service carries it out.
#[diagnostic::on_unimplemented(message = "`{Self}` has no handler")]
trait Handle: Call + Sized {
    /// The request of the service that it makes.
    type Asked: Asked;

    /// The request in domain words. It is not authorized yet.
    fn asked(request: Self::Request) -> Self::Asked;

    /// The body of the answer.
    fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<Self::Asked>,
    ) -> impl Future<Output = Result<Bytes, Error>> + Send;
}

/// Checks at compile time that a call makes a request of its own operation.
const fn assert_same_operation<C: Call, R: Asked>() {
    assert!(C::OPERATION as usize == R::OPERATION as usize, "a request of another operation");
}

/// The arguments of a handler.
struct HandlerRequest<'a> {
    nexus: &'a Arc<Nexus>,
    principal: Principal,
    /// The cipher takes raw bytes for exactly one content type. No other route looks at it.
    is_stream: bool,
    body: &'a mut RequestBody,
}

/// The comparison is exact: a parameter, or another case, means JSON.
fn is_stream(content_type: &HeaderValue) -> bool {
    content_type.as_bytes() == STREAM_CONTENT_TYPE.as_bytes()
}

/// A page of a list. Without a name it begins at the first; 0 and less are no limit.
fn page(after: String, limit: i64) -> Page {
    Page {
        after: Some(after).filter(|after| !after.is_empty()),
        limit: usize::try_from(limit).ok().filter(|limit| *limit > 0),
    }
}
