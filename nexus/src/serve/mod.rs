//! From a request to an answer: the order of checks, and what is the same for every route. Each dialect is a folder here.
//!
//! The order is upstream's (wire-api 3.1): unclean path, method, readiness, route, then the handler, which reads, parses,
//! authorizes, validates and acts. Every request with a peer ends in one audit line and one count, whatever its outcome.

mod spike;

use std::sync::Arc;

use ::http::StatusCode;
use spike_daemon::{
    http::{self, Exchange, Frame, FrameError, Names, Reply, RequestBody, Service, class_by_role},
    process::chain,
    serve::App,
};
use spike_domain::Role;
use spike_wire::{Needs, Operation};

use crate::{error::Error, service::Nexus};

/// Everything that Nexus serves over mTLS.
pub fn app(nexus: &Arc<Nexus>) -> App {
    let roles = Arc::clone(nexus);
    http::app(nexus).with_class(move |id| class_by_role(roles.access().roots(), id))
}

type Outcome = http::Outcome<Error>;

impl Service for Nexus {
    type Operation = Operation;
    type Error = Error;

    fn frame(&self) -> &Arc<Frame> {
        self.frame()
    }

    fn role(&self, id: &str) -> Option<Role> {
        self.access().roots().role_of(id)
    }

    fn operation(&self, exchange: &Exchange) -> Option<Operation> {
        exchange.operation()
    }

    fn names(operation: Operation) -> Names {
        Names::of(operation)
    }

    async fn carry_out(
        self: &Arc<Self>,
        exchange: &Exchange,
        operation: Option<Operation>,
        body: &mut RequestBody,
    ) -> Outcome {
        let operation = match admitted(self, exchange, operation) {
            Ok(operation) => operation,
            Err(error) => return Outcome::without_subject(error),
        };
        spike::carry_out(self, exchange, operation, body).await
    }

    fn error_reply(operation: Option<Operation>, error: &Error) -> Reply {
        error_reply(operation, error)
    }

    fn log_failure(
        &self,
        exchange: &Exchange,
        operation: Option<Operation>,
        error: &Error,
    ) -> String {
        log_failure(error, operation, exchange)
    }

    fn is_denial(error: &Error) -> bool {
        matches!(
            error,
            Error::Denied(_)
                | Error::NoSuchRoute
                | Error::Malformed(_)
                | Error::TooLargeToCipher(_)
        )
    }

    fn is_unavailable(error: &Error) -> bool {
        matches!(error, Error::NotReady(_) | Error::StoreUnopened(_) | Error::Busy | Error::Ending)
    }

    fn frame_error(error: &Error) -> Option<&FrameError> {
        if let Error::Frame(error) = error { Some(error) } else { None }
    }
}

/// The body of an error on `operation`, or of one outside every operation.
fn error_reply(operation: Option<Operation>, error: &Error) -> Reply {
    let (status, code) = error.wire();
    // "Not ready" is reported before the route is looked up (wire-api 3.2). A backend without the operation answers as if there
    // were no such route.
    let before_the_route =
        matches!(error, Error::NotReady(_) | Error::StoreUnopened(_) | Error::NoSuchRoute);
    let operation = operation.filter(|_| !before_the_route);
    let reason = error.reason();
    Reply::error(operation, (status, code), reason.as_deref()).retry_after(error.retry_after())
}

/// The checks before the handler: another method is no route, then whether Nexus can carry the operation out at all.
fn admitted(
    nexus: &Nexus,
    exchange: &Exchange,
    operation: Option<Operation>,
) -> Result<Operation, Error> {
    if !exchange.is_post() {
        return Err(Error::NoSuchRoute);
    }
    if let Some(operation) = operation {
        return nexus.admits(operation).map(|()| operation);
    }
    // Upstream decides by the path alone: a wrong action on a path that a sealed Nexus answers is no route, and not 503.
    let mut of_this_path =
        Operation::ALL.iter().filter(|known| exchange.path() == Some(known.path()));
    if !of_this_path.any(|known| known.needs() == Needs::Nothing) {
        nexus.ready()?;
    }
    Err(Error::NoSuchRoute)
}

/// Logs a failure at the level that it deserves, and words it for the audit line.
fn log_failure(error: &Error, call: Option<Operation>, exchange: &Exchange) -> String {
    let (status, code) = error.wire();
    let text = chain(error);
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        let route = call.map_or("other", Operation::label);
        let (request, peer) = (exchange.id().as_str(), exchange.peer().id());
        tracing::error!(route, request, peer, reason = text, "a request failed");
    }
    format!("[{code}] {text}")
}

#[cfg(test)]
mod tests;
