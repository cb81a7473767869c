//! Upstream's dialect: the handler of each operation. Types of the wire end here: a handler makes the service's request of a
//! body, and a body of the service's answer.

mod bootstrap;
mod cipher;
mod keepers;
mod operator;
mod policy;
mod questions;
mod request;
mod secret;

use std::sync::Arc;

use spike_daemon::http::{AnswerBytes, AnswerMemory, Exchange, Reply, RequestBody};
use spike_wire::{Call, Operation, match_call};

use self::request::HandlerRequest;
use super::Outcome;
use crate::{
    access::{Asked, Grant},
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
    let request = HandlerRequest::new(nexus, exchange, operation, body);
    match_call!(operation, C => <C as CarryOut>::carry_out(request).await)
}

/// A call of upstream's dialect, from the body of the request to the answer.
trait CarryOut: Call {
    /// Carries it out.
    fn carry_out(request: HandlerRequest<'_>) -> impl Future<Output = Outcome> + Send;
}

/// The order of almost every route (wire-api 4.3): read the whole body, parse it, authorize, act.
impl<C: Handle> CarryOut for C {
    /// Not an `async fn`, whose future would have two places for the request.
    #[expect(clippy::manual_async_fn, reason = "the future of every request is smaller so")]
    fn carry_out(mut request: HandlerRequest<'_>) -> impl Future<Output = Outcome> + Send {
        async move {
            const { assert_same_operation::<C, C::Asked>() };
            let limits = request.nexus.frame().body_limits();
            let parsed = request.work_on_body(limits, |body| {
                let asked = C::asked(C::decode(body)?);
                let subject = asked.subject();
                Ok((asked, subject))
            });
            let ((asked, subject), _held) = match parsed.await {
                Ok(parsed) => parsed,
                Err(error) => return Outcome::without_subject(error),
            };
            let HandlerRequest { nexus, principal, memory, .. } = request;
            let result = match nexus.access().authorize(principal, asked) {
                // Boxed, so that the future of a request is as small as the ones that need little.
                Ok(grant) => Box::pin(C::handle(nexus, grant, memory)).await,
                Err(error) => Err(error),
            };
            Outcome { result: result.map(Reply::ok), subject }
        }
    }
}

/// A call whose body determines the whole request, as the service carries it out.
#[diagnostic::on_unimplemented(message = "`{Self}` has no handler")]
trait Handle: Call + Sized {
    /// The request of the service that it makes.
    type Asked: Asked + 'static;

    /// The request in domain words. It is not authorized yet.
    fn asked(request: Self::Request) -> Self::Asked;

    /// The body of the answer. The memory of a large one is taken before it is made, or where it is made.
    fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<Self::Asked>,
        memory: AnswerMemory,
    ) -> impl Future<Output = Result<AnswerBytes, Error>> + Send;
}

/// Checks at compile time that a call makes a request of its own operation.
const fn assert_same_operation<C: Call, R: Asked>() {
    assert!(C::OPERATION as usize == R::OPERATION as usize, "a request of another operation");
}

/// A page of a list. Without a name it begins at the first; 0 and less are no limit.
fn page(after: String, limit: i64) -> Page {
    Page {
        after: Some(after).filter(|after| !after.is_empty()),
        limit: usize::try_from(limit).ok().filter(|limit| *limit > 0),
    }
}
