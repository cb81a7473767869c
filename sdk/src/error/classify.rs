//! Which error of a call is which case of [`Error`].

use std::{error::Error as _, time::Duration};

use spike_mtls::{
    TransportError,
    client::{CallError, Refusal},
};
use spike_wire::NotReady;

use super::Error;

impl Error {
    /// The case of a call that ended without an answer of its type. Of what Nexus asks for, `retry_after` is kept.
    pub(crate) fn of_call(error: CallError, retry_after: Option<Duration>) -> Self {
        match error {
            CallError::Transport(transport) => Self::of_transport(&transport),
            CallError::Refused(refusal) => Self::of_refusal(refusal, retry_after),
            CallError::Reply(reply) => {
                let cause = reply.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                Self::BadAnswer { reason: format!("{reply}{cause}") }
            }
        }
    }

    fn of_transport(error: &TransportError) -> Self {
        let reason = error.to_string();
        if let Some(refused) = error.peer_error() {
            return Self::WrongServer {
                id: refused.claimed_id().map(str::to_owned),
                reason: refused.to_string(),
            };
        }
        match error {
            TransportError::Timeout { .. } if error.is_before_the_request() => {
                Self::Unreachable { reason }
            }
            TransportError::Connect { .. } | TransportError::Handshake { .. } => {
                Self::Unreachable { reason }
            }
            TransportError::Timeout { .. } | TransportError::Broken(_) => {
                Self::Unanswered { reason }
            }
            TransportError::Unaccepted(said) => Self::IdentityRefused { reason: said.clone() },
            // Settings with such an address are refused before.
            TransportError::Address(_) => Self::Invalid { reason: Some(reason) },
            TransportError::TooLarge { .. } | TransportError::Endless { .. } => {
                Self::TooLarge { reason: Some(reason) }
            }
        }
    }

    fn of_refusal(refusal: Refusal, retry_after: Option<Duration>) -> Self {
        let Refusal { status, reason, request_id, .. } = refusal;
        match status.as_u16() {
            400 => Self::Invalid { reason },
            401 => Self::Denied { request_id },
            404 => Self::NotFound,
            409 => Self::AlreadyExists,
            413 | 431 => Self::TooLarge { reason },
            429 => Self::Busy { reason, retry_after },
            503 => match reason.as_deref().and_then(NotReady::of_reason) {
                Some(NotReady::Busy | NotReady::Ending | NotReady::Crowded) => {
                    Self::Busy { reason, retry_after }
                }
                // Upstream's answers 503 only while it is sealed, without a reason.
                Some(NotReady::Sealed | NotReady::Store) | None => Self::Sealed { reason },
            },
            status => Self::Server { status, reason, request_id },
        }
    }
}
