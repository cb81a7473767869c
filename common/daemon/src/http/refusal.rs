//! Why the frame refuses a request, whatever the daemon.

use std::{fmt, time::Duration};

use axum::http::StatusCode;
use spike_mtls::{IdentityEnded, budget::Over};
use spike_wire::{ErrorCode, NotReady};

use super::BodyError;
use crate::{
    audit::AuditError,
    serve::{MAX_FIELDS, MAX_HEAD},
};

/// A limit on the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadLimit {
    /// [`MAX_HEAD`].
    Bytes,
    /// [`MAX_FIELDS`].
    Fields,
}

impl fmt::Display for HeadLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "{MAX_HEAD} bytes"),
            Self::Fields => write!(f, "{MAX_FIELDS} fields"),
        }
    }
}

/// Why a request was not carried out, or its answer was replaced.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer's identity is no longer valid.
    #[error(transparent)]
    Identity(#[from] IdentityEnded),
    /// The head is too large.
    #[error("the head of the request has more than {0}")]
    HeadTooLarge(HeadLimit),
    /// There are too many requests in flight.
    #[error(transparent)]
    Over(#[from] Over),
    /// The peer was denied too often and has to wait.
    #[error("denied too often: it may ask again in {} s", seconds(*after))]
    DeniedTooOften {
        /// When it may be denied again.
        after: Duration,
    },
    /// The body did not arrive whole, in time and within its limits.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The bodies and answers in memory leave no space for its answer.
    #[error("no memory for the answer: {0}")]
    Answer(#[source] Over),
    /// Its audit line could not be written.
    #[error(transparent)]
    Unrecorded(#[from] AuditError),
    /// A bug: the handler panicked.
    #[error("the handler of the request panicked")]
    Panicked,
}

impl FrameError {
    /// Whether a budget leaves no place: that of the peer, or that of all.
    pub const fn is_busy(&self) -> bool {
        matches!(self, Self::Over(_) | Self::Answer(_) | Self::Body(BodyError::Over(_)))
    }

    /// Whether the request was not carried out because its peer sends too many.
    pub const fn is_slowed_down(&self) -> bool {
        matches!(
            self,
            Self::Over(Over::Own)
                | Self::DeniedTooOften { .. }
                | Self::Body(BodyError::SenderDenied { .. })
        )
    }

    /// Maps these errors to the wire. Nothing else does.
    pub const fn wire(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::Identity(_) => (StatusCode::UNAUTHORIZED, ErrorCode::AccessUnauthorized),
            Self::HeadTooLarge(_) => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorCode::ApiBadRequest)
            }
            Self::Over(Over::Own)
            | Self::Answer(Over::Own)
            | Self::DeniedTooOften { .. }
            | Self::Body(BodyError::Over(Over::Own) | BodyError::SenderDenied { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, ErrorCode::StateNotReady)
            }
            // Those that `not_ready` maps.
            Self::Over(Over::All)
            | Self::Answer(Over::All)
            | Self::Body(BodyError::Over(Over::All) | BodyError::Ending) => {
                (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::StateNotReady)
            }
            Self::Body(BodyError::TooLarge { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ApiBadRequest)
            }
            Self::Body(BodyError::TooSlow | BodyError::Broken) => {
                (StatusCode::BAD_REQUEST, ErrorCode::ApiBadRequest)
            }
            Self::Unrecorded(_) | Self::Panicked => {
                (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ApiInternalError)
            }
        }
    }

    /// If the same request may succeed later, whoever sends it: what it waits for. The answer is 503.
    pub const fn not_ready(&self) -> Option<NotReady> {
        match self {
            Self::Over(Over::All)
            | Self::Answer(Over::All)
            | Self::Body(BodyError::Over(Over::All)) => Some(NotReady::Crowded),
            Self::Body(BodyError::Ending) => Some(NotReady::Ending),
            Self::Over(Over::Own)
            | Self::Answer(Over::Own)
            | Self::DeniedTooOften { .. }
            | Self::Identity(_)
            | Self::HeadTooLarge(_)
            | Self::Body(
                BodyError::Over(Over::Own)
                | BodyError::SenderDenied { .. }
                | BodyError::TooLarge { .. }
                | BodyError::TooSlow
                | BodyError::Broken,
            )
            | Self::Unrecorded(_)
            | Self::Panicked => None,
        }
    }

    /// A sentence for the peer besides the code, if the peer can do something.
    pub fn reason(&self) -> Option<String> {
        if let Some(not_ready) = self.not_ready() {
            return Some(not_ready.as_str().to_owned());
        }
        match self {
            Self::Over(_) => Some(format!("{self} (SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID)")),
            Self::Answer(_) | Self::Body(BodyError::Over(_)) => {
                Some(format!("{self} (SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID)"))
            }
            Self::DeniedTooOften { .. } | Self::Body(BodyError::SenderDenied { .. }) => {
                Some(format!("{self} (SPIKE_HTTP_SERVER_DENIALS_PER_SECOND)"))
            }
            Self::Body(BodyError::TooLarge { .. }) => {
                Some(format!("{self} (SPIKE_HTTP_SERVER_MAX_BODY_SIZE)"))
            }
            Self::Identity(_)
            | Self::HeadTooLarge(_)
            | Self::Body(BodyError::TooSlow | BodyError::Broken | BodyError::Ending)
            | Self::Unrecorded(_)
            | Self::Panicked => None,
        }
    }

    /// Whether no well-behaved peer repeats a request that ends like this.
    pub const fn is_the_peers_fault(&self) -> bool {
        match self {
            Self::HeadTooLarge(_)
            | Self::Over(Over::Own)
            | Self::Answer(Over::Own)
            | Self::Body(
                BodyError::TooLarge { .. }
                | BodyError::Over(Over::Own)
                | BodyError::SenderDenied { .. }
                | BodyError::TooSlow
                | BodyError::Broken,
            ) => true,
            Self::Identity(_)
            | Self::Over(Over::All)
            | Self::Answer(Over::All)
            | Self::DeniedTooOften { .. }
            | Self::Body(BodyError::Over(Over::All) | BodyError::Ending)
            | Self::Unrecorded(_)
            | Self::Panicked => false,
        }
    }

    /// After how many seconds to try again, if that makes sense.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Over(_)
            | Self::Answer(_)
            | Self::Body(BodyError::Over(_) | BodyError::Ending) => Some(1),
            Self::DeniedTooOften { after } | Self::Body(BodyError::SenderDenied { after }) => {
                Some(seconds(*after))
            }
            Self::Identity(_)
            | Self::HeadTooLarge(_)
            | Self::Body(BodyError::TooLarge { .. } | BodyError::TooSlow | BodyError::Broken)
            | Self::Unrecorded(_)
            | Self::Panicked => None,
        }
    }
}

/// Whole seconds, and at least one: `Retry-After` has no fractions.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
}
