//! Failures that a test plants.

use std::{io, sync::Arc, time::Duration};

use http::StatusCode;
use spike_mtls::{
    PeerError, TransportError,
    client::{CallError, Refusal},
};
use spike_wire::{ErrorCode, NotReady, PeerErrorCode};

/// How a call of a [`Fake`](super::Fake) fails.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use spike_sdk::fake::{Failure, Fake};
///
/// let fake = Fake::new();
/// fake.fail_next(2, Failure::Busy { retry_after: Duration::from_secs(3) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// There is no root key: [`Error::Sealed`](crate::Error::Sealed).
    Sealed,
    /// Too much to do: [`Error::Busy`](crate::Error::Busy).
    Busy {
        /// After which time to try again, in whole seconds.
        retry_after: Duration,
    },
    /// Nexus fails, and does nothing: [`Error::Server`](crate::Error::Server).
    Internal,
    /// Nothing listens: [`Error::Unreachable`](crate::Error::Unreachable).
    Unreachable,
    /// The connection breaks before the answer: [`Error::Unanswered`](crate::Error::Unanswered).
    Unanswered {
        /// Whether Nexus had done what was asked for.
        done: bool,
    },
    /// Another process answers: [`Error::WrongServer`](crate::Error::WrongServer).
    WrongServer,
    /// Nexus does not accept the SVID: [`Error::IdentityRefused`](crate::Error::IdentityRefused).
    IdentityRefused,
}

const HOST: &str = "fake:8553";

impl Failure {
    /// Whether the call is carried out all the same.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Unanswered { done: true })
    }

    /// What the server asks for.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// What the client sees.
    pub(super) fn error(&self, request_id: &str) -> CallError {
        match self {
            Self::Sealed => {
                refused(ErrorCode::StateNotReady, Some(NotReady::Sealed.as_str()), request_id)
            }
            Self::Busy { .. } => CallError::Refused(Refusal {
                status: StatusCode::TOO_MANY_REQUESTS,
                ..refusal(ErrorCode::StateNotReady, Some("too many requests in flight"), request_id)
            }),
            Self::Internal => refused(ErrorCode::ApiInternalError, None, request_id),
            Self::Unreachable => {
                let source = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
                TransportError::Connect { host: HOST.to_owned(), source }.into()
            }
            Self::Unanswered { .. } => {
                TransportError::Broken("connection reset by peer".to_owned()).into()
            }
            Self::WrongServer => {
                let other = PeerError::Refused {
                    id: "spiffe://spike.ist/another".to_owned(),
                    expected: "spiffe://spike.ist/spike/nexus or below".to_owned(),
                };
                let source = Arc::new(io::Error::other(other));
                TransportError::Handshake { host: HOST.to_owned(), source }.into()
            }
            Self::IdentityRefused => TransportError::Unaccepted("TLS alert 48".to_owned()).into(),
        }
    }
}

/// An answer with an error.
pub(super) fn refused(code: ErrorCode, reason: Option<&str>, request_id: &str) -> CallError {
    CallError::Refused(refusal(code, reason, request_id))
}

fn refusal(code: ErrorCode, reason: Option<&str>, request_id: &str) -> Refusal {
    Refusal {
        status: code.status(),
        code: Some(PeerErrorCode::parse(code.as_str())),
        reason: reason.map(str::to_owned),
        request_id: Some(request_id.to_owned()),
    }
}
