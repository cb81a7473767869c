//! Typed calls of the routes of [`spike_wire`].
//!
//! A call returns a typed answer or a [`CallError`], which distinguishes no answer, a refusal and an invalid answer.

mod keeper;
mod nexus;
mod peer_clock;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{StatusCode, Uri, header};
use spike_wire::{ErrorReply, PeerErrorCode, ReplyError};

use self::peer_clock::PeerClock;
pub use self::{keeper::KeeperClient, nexus::NexusClient};
use crate::{MtlsClient, PeerCertificate, TransportError, clock};

/// The header with the id of the request in the audit log.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

const JSON: &str = "application/json";

/// Why a call has no answer of the expected type.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server answered with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// The server answered 200, with a body of another form.
    #[error("the answer of the server cannot be used")]
    Reply(#[from] ReplyError),
}

/// An answer other than 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code in the body, if there is one.
    pub code: Option<PeerErrorCode>,
    /// The server's explanation, if any. It comes from the network: escape it before it is printed.
    pub reason: Option<String>,
    /// The id of the request in the server's audit log.
    pub request_id: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server answered {}", self.status.as_u16())?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        Ok(())
    }
}

impl CallError {
    /// The status, if the server answered with an error.
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::Transport(_) | Self::Reply(_) => None,
        }
    }
}

/// A call that has ended, with what the head of the answer says besides. Both are `None` if there was no answer.
#[derive(Debug)]
pub struct Ended<T> {
    /// The answer, or why there is none.
    pub outcome: Result<T, CallError>,
    /// The id of the request in the server's audit log.
    pub request_id: Option<String>,
    /// After which time to try again, if the server asks for that.
    pub retry_after: Option<Duration>,
}

impl<T> Ended<T> {
    fn without_answer(error: CallError) -> Self {
        Self { outcome: Err(error), request_id: None, retry_after: None }
    }
}

/// One server, and the client for it.
#[derive(Clone, Debug)]
struct ServerClient {
    http: MtlsClient,
    base: String,
    clock: Arc<PeerClock>,
}

impl ServerClient {
    fn new(http: MtlsClient, base: String) -> Self {
        Self { http, base, clock: Arc::default() }
    }

    /// The certificate of the server, without a call.
    async fn certificate(&self) -> Result<PeerCertificate, TransportError> {
        match self.base.parse() {
            Ok(uri) => self.http.certificate(&uri).await,
            Err(_) => Err(TransportError::Address(self.base.clone())),
        }
    }

    async fn json(&self, target: &str, body: Bytes) -> Result<Bytes, CallError> {
        self.post(target, JSON, body).await
    }

    /// One call. Anything but 200 is an error, as for upstream's clients (wire-api 4.6).
    async fn post(
        &self,
        target: &str,
        kind: &'static str,
        body: Bytes,
    ) -> Result<Bytes, CallError> {
        self.exchange(target, kind, body).await.outcome
    }

    async fn exchange(&self, target: &str, kind: &'static str, body: Bytes) -> Ended<Bytes> {
        let url = format!("{}{target}", self.base);
        let Ok(uri) = url.parse::<Uri>() else {
            return Ended::without_answer(TransportError::Address(url).into());
        };
        let sent = clock::now();
        let answer = match self.http.post(&uri, kind, body).await {
            Ok(answer) => answer,
            Err(error) => return Ended::without_answer(error.into()),
        };
        self.clock.note(answer.headers(), sent, clock::now());
        let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let request_id = text(REQUEST_ID_HEADER).filter(|id| id.len() <= 64).map(str::to_owned);
        // Seconds. The other form of it, a date, no server of ours sends.
        let after = text(header::RETRY_AFTER.as_str()).and_then(|after| after.parse::<u32>().ok());
        let retry_after = after.map(|seconds| Duration::from_secs(seconds.into()));
        let status = answer.status();
        let outcome = if status == StatusCode::OK {
            Ok(answer.into_body())
        } else {
            let ErrorReply { code, reason } = ErrorReply::decode(answer.body());
            let request_id = request_id.clone();
            Err(CallError::Refused(Refusal { status, code, reason, request_id }))
        };
        Ended { outcome, request_id, retry_after }
    }
}
