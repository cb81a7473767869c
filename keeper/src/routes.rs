//! From a request to an answer: the whole route table, which has three entries.
//!
//! The order is upstream's (wire-api 3.1, 4.3): unclean path, method, route, then read, parse, authorize, validate, act.
//! Every request ends in one audit line and one count, whatever became of it.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, StatusCode},
    response::Response,
};
use bytes::Bytes;
use spike_common::{
    daemon::chain,
    http::{self, Caller, Ending, Exchange, Reply},
    mtls::{App, Peer},
    wire::{
        ContributeRequest, EmptyRequest, EmptyResponse, KeeperOperation, ShardResponse,
        fallback_error_body,
    },
};

use crate::{error::Error, keeper::Keeper};

#[cfg(test)]
mod tests;

/// Everything that a Keeper serves over mTLS.
pub fn app(keeper: &Arc<Keeper>) -> App {
    http::app(Arc::clone(keeper), keeper.requests(), handle)
}

async fn handle(caller: Arc<Caller<Keeper>>, request: Request<Body>) -> Response {
    let Caller { daemon: keeper, peer, .. } = &*caller;
    let (parts, body) = request.into_parts();
    if let Some(answer) = http::outside_the_handlers(&parts) {
        return answer;
    }
    let exchange = Exchange::begin(&parts);
    let call =
        exchange.path().and_then(|path| KeeperOperation::from_request(path, exchange.query()));
    let call = call.filter(|_| exchange.is_post());

    let result = match call {
        Some(operation) => dispatch(keeper, peer, operation, body).await,
        None => Err(Error::NoSuchRoute),
    };
    let error = result.as_ref().err().map(|error| told(error, &exchange, peer));
    let reply = result.map_or_else(|error| error_reply(call, &error), Reply::ok);
    let ending = Ending {
        label: call.map_or("other", KeeperOperation::label),
        component: call.map_or("", KeeperOperation::audit_component),
        action: call.map_or("fallback", KeeperOperation::audit_action),
        subject: None,
        error: error.as_deref(),
    };
    let unrecorded = |error| error_reply(call, &Error::Audit(error));
    exchange.end((keeper.audit(), keeper.requests()), peer, &ending, reply, unrecorded).await
}

async fn dispatch(
    keeper: &Keeper,
    peer: &Peer,
    operation: KeeperOperation,
    body: Body,
) -> Result<Bytes, Error> {
    let body = http::read_body(body, keeper.body_limits()).await?;
    match operation {
        KeeperOperation::Contribute => {
            let request = ContributeRequest::decode(&body)?;
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

/// What an error looks like on `operation`, or outside every operation.
fn error_reply(operation: Option<KeeperOperation>, error: &Error) -> Reply {
    let (status, code) = error.wire();
    let body = match (operation, error.reason()) {
        (None, _) => fallback_error_body(code),
        (Some(operation), None) => operation.error_body(code),
        (Some(operation), Some(reason)) => operation.error_body_with_reason(code, &reason),
    };
    Reply::new(status, body)
}

/// Words a failure for the audit line. A refused share is for an operator to know, too.
fn told(error: &Error, exchange: &Exchange, peer: &Peer) -> String {
    let (status, code) = error.wire();
    let text = chain(error);
    let about_the_share = matches!(error, Error::NotAShare(_) | Error::HoldsAnother);
    if status == StatusCode::INTERNAL_SERVER_ERROR || about_the_share {
        let request = exchange.id().as_str();
        tracing::warn!(request, peer = peer.id(), reason = text, "a request was refused");
    }
    format!("[{code}] {text}")
}
