//! From a request to an answer. There are three routes.
//!
//! The order is upstream's (wire-api 3.1, 4.3): unclean path, method, route; then read, parse, authorize, validate,
//! act. Every request ends in one audit line and one count.

use std::sync::Arc;

use ::http::StatusCode;
use bytes::Bytes;
use spike_daemon::{
    http::{
        self, Exchange, Frame, FrameError, Names, Outcome, Reply, RequestBody, Service,
        class_by_role,
    },
    process::chain,
    serve::App,
};
use spike_domain::Role;
use spike_mtls::Peer;
use spike_wire::{ContributeRequest, EmptyRequest, EmptyResponse, KeeperOperation, ShardResponse};

use crate::{error::Error, keeper::Keeper};

#[cfg(test)]
mod tests;

/// Everything that a Keeper serves over mTLS.
pub fn app(keeper: &Arc<Keeper>) -> App {
    let roots = Arc::clone(keeper.roots());
    http::app(keeper).with_class(move |id| class_by_role(&roots, id))
}

impl Service for Keeper {
    type Operation = KeeperOperation;
    type Error = Error;

    fn frame(&self) -> &Arc<Frame> {
        self.frame()
    }

    fn role(&self, id: &str) -> Option<Role> {
        self.roots().role_of(id)
    }

    fn operation(&self, exchange: &Exchange) -> Option<KeeperOperation> {
        exchange.operation()
    }

    fn names(operation: KeeperOperation) -> Names {
        Names::of(operation)
    }

    async fn carry_out(
        self: &Arc<Self>,
        exchange: &Exchange,
        operation: Option<KeeperOperation>,
        body: &mut RequestBody,
    ) -> Outcome<Error> {
        let result = match operation {
            Some(operation) => dispatch(self, exchange.peer(), operation, body).await,
            None => Err(Error::NoSuchRoute),
        };
        Outcome::from(result.map(Reply::ok))
    }

    fn error_reply(operation: Option<KeeperOperation>, error: &Error) -> Reply {
        let (status, code) = error.wire();
        let retry_after = Self::frame_error(error).and_then(FrameError::retry_after);
        Reply::error(operation, (status, code), error.reason().as_deref()).retry_after(retry_after)
    }

    fn is_denial(error: &Error) -> bool {
        match error {
            Error::Denied(_) | Error::NoSuchRoute | Error::Malformed(_) => true,
            Error::Frame(_)
            | Error::InvalidShare(_)
            | Error::NoShare
            | Error::HoldsAnother
            | Error::Unrecordable(_) => false,
        }
    }

    fn is_unavailable(_: &Error) -> bool {
        false
    }

    fn frame_error(error: &Error) -> Option<&FrameError> {
        if let Error::Frame(error) = error { Some(error) } else { None }
    }

    /// An operator must know of a refused share.
    fn log_failure(
        &self,
        exchange: &Exchange,
        _: Option<KeeperOperation>,
        error: &Error,
    ) -> String {
        let (status, code) = error.wire();
        let text = chain(error);
        let about_the_share = matches!(error, Error::InvalidShare(_) | Error::HoldsAnother);
        if status == StatusCode::INTERNAL_SERVER_ERROR || about_the_share {
            let (request, peer) = (exchange.id().as_str(), exchange.peer().id());
            tracing::warn!(request, peer, reason = text, "a request was refused");
        }
        format!("[{code}] {text}")
    }
}

async fn dispatch(
    keeper: &Keeper,
    peer: &Peer,
    operation: KeeperOperation,
    body: &mut RequestBody,
) -> Result<Bytes, Error> {
    let limits = keeper.frame().body_limits();
    let body = body.read(limits, || keeper.authorize(operation, peer).map(drop)).await?;
    match operation {
        KeeperOperation::Contribute => {
            let request = ContributeRequest::decode(&body)?;
            keeper.frame().audit().accepts_changes().map_err(Error::Unrecordable)?;
            keeper.contribute(peer, &request.shard)?;
            Ok(EmptyResponse.encode())
        }
        KeeperOperation::Shard => {
            EmptyRequest::decode(&body)?;
            Ok(ShardResponse { shard: keeper.share(peer)? }.encode())
        }
        KeeperOperation::Status => {
            EmptyRequest::decode(&body)?;
            Ok(keeper.status(peer)?.encode())
        }
    }
}
