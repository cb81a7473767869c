//! Typed calls: one method for every route of [`spike_wire`].
//!
//! A call ends in a typed answer or a [`CallError`], which tells apart that nobody answered, that the server refused, and
//! that the answer made no sense.

mod keeper;
mod nexus;

use bytes::Bytes;
use http::{StatusCode, Uri};
use spike_wire::{ErrorReply, PeerErrorCode, ReplyError};

pub use self::{keeper::KeeperClient, nexus::NexusClient};
use crate::{MtlsClient, TransportError};

/// The header in which Nexus names the request, so that an operator finds it in the audit log.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

const JSON: &str = "application/json";

/// Why a call did not end in an answer of the expected kind.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody answered.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server answered with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// The server said 200, with a body that is not the answer.
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
    /// What the server adds in words, if anything. From the network: not fit for a terminal as it is.
    pub reason: Option<String>,
    /// The name of the request in the server's audit log.
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
    /// The status, where the server answered with one.
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::Transport(_) | Self::Reply(_) => None,
        }
    }
}

/// One server and the way to it.
#[derive(Clone, Debug)]
struct Caller {
    http: MtlsClient,
    base: String,
}

impl Caller {
    async fn json(&self, target: &str, body: Bytes) -> Result<Bytes, CallError> {
        self.post(target, JSON, body).await
    }

    /// One call; anything but 200 is an error, as for every client of upstream's (wire-api 4.6).
    async fn post(
        &self,
        target: &str,
        kind: &'static str,
        body: Bytes,
    ) -> Result<Bytes, CallError> {
        let url = format!("{}{target}", self.base);
        let Ok(uri) = url.parse::<Uri>() else {
            return Err(TransportError::Address(url).into());
        };
        let answer = self.http.post(&uri, kind, body).await?;
        if answer.status() == StatusCode::OK {
            return Ok(answer.into_body());
        }
        let request_id = answer.headers().get(REQUEST_ID_HEADER).and_then(|id| id.to_str().ok());
        let request_id = request_id.filter(|id| id.len() <= 64).map(str::to_owned);
        let ErrorReply { code, reason } = ErrorReply::decode(answer.body());
        Err(CallError::Refused(Refusal { status: answer.status(), code, reason, request_id }))
    }
}
