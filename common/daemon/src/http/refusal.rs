//! Why a request is refused by the frame, whatever the daemon would have made of it.

use std::time::Duration;

use axum::http::StatusCode;
use spike_mtls::{IdentityEnded, budget::Over};
use spike_wire::{ErrorCode, NotReady};

use super::BodyError;
use crate::audit::AuditError;

/// Why a request was not carried out, or may not be answered as it was.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer's identity does not stand any more.
    #[error(transparent)]
    Identity(#[from] IdentityEnded),
    /// The head is larger than a head may be.
    #[error("the head of the request is larger than {} bytes", crate::serve::MAX_HEAD)]
    HeadTooLarge,
    /// There are too many requests in flight.
    #[error(transparent)]
    Over(#[from] Over),
    /// The peer was denied so often that it has to wait.
    #[error("denied too often: it may ask again in {} s", seconds(*after))]
    DeniedTooOften {
        /// When it may be denied again.
        after: Duration,
    },
    /// The body did not arrive whole, in time and within its limits.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// It could not be written down.
    #[error(transparent)]
    Unrecorded(#[from] AuditError),
    /// A bug: the handler panicked.
    #[error("the handler of the request panicked")]
    Panicked,
}

impl FrameError {
    /// Whether the peer has too many requests in flight.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Over(_))
    }

    /// The one table from these errors to the wire.
    pub const fn wire(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::Identity(_) => (StatusCode::UNAUTHORIZED, ErrorCode::AccessUnauthorized),
            Self::HeadTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorCode::ApiBadRequest)
            }
            Self::Over(Over::Own)
            | Self::DeniedTooOften { .. }
            | Self::Body(BodyError::Over(Over::Own) | BodyError::Unwanted { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, ErrorCode::StateNotReady)
            }
            // Those that `not_ready` names.
            Self::Over(Over::All) | Self::Body(BodyError::Over(Over::All) | BodyError::Ending) => {
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

    /// Whether the same request may be carried out later whoever sends it, and what it waits for: the answer is 503.
    pub const fn not_ready(&self) -> Option<NotReady> {
        match self {
            Self::Over(Over::All) | Self::Body(BodyError::Over(Over::All)) => {
                Some(NotReady::Crowded)
            }
            Self::Body(BodyError::Ending) => Some(NotReady::Ending),
            Self::Over(Over::Own)
            | Self::DeniedTooOften { .. }
            | Self::Identity(_)
            | Self::HeadTooLarge
            | Self::Body(
                BodyError::Over(Over::Own)
                | BodyError::Unwanted { .. }
                | BodyError::TooLarge { .. }
                | BodyError::TooSlow
                | BodyError::Broken,
            )
            | Self::Unrecorded(_)
            | Self::Panicked => None,
        }
    }

    /// What the peer is told besides the code, where it can do something about it.
    pub fn reason(&self) -> Option<String> {
        if let Some(not_ready) = self.not_ready() {
            return Some(not_ready.as_str().to_owned());
        }
        match self {
            Self::Over(_) => Some(format!("{self} (SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID)")),
            Self::Body(BodyError::Over(_)) => {
                Some(format!("{self} (SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID)"))
            }
            Self::DeniedTooOften { .. } | Self::Body(BodyError::Unwanted { .. }) => {
                Some(format!("{self} (SPIKE_HTTP_SERVER_DENIALS_PER_SECOND)"))
            }
            Self::Identity(_)
            | Self::HeadTooLarge
            | Self::Body(
                BodyError::TooLarge { .. }
                | BodyError::TooSlow
                | BodyError::Broken
                | BodyError::Ending,
            )
            | Self::Unrecorded(_)
            | Self::Panicked => None,
        }
    }

    /// Whether a request that ends so is one that no well-meaning peer sends again and again.
    pub const fn is_the_peers_fault(&self) -> bool {
        match self {
            Self::HeadTooLarge
            | Self::Over(Over::Own)
            | Self::Body(
                BodyError::TooLarge { .. }
                | BodyError::Over(Over::Own)
                | BodyError::Unwanted { .. }
                | BodyError::TooSlow
                | BodyError::Broken,
            ) => true,
            Self::Identity(_)
            | Self::Over(Over::All)
            | Self::DeniedTooOften { .. }
            | Self::Body(BodyError::Over(Over::All) | BodyError::Ending)
            | Self::Unrecorded(_)
            | Self::Panicked => false,
        }
    }

    /// After how many seconds it makes sense to try again, where it does.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Over(_) | Self::Body(BodyError::Over(_) | BodyError::Ending) => Some(1),
            Self::DeniedTooOften { after } | Self::Body(BodyError::Unwanted { after }) => {
                Some(seconds(*after))
            }
            Self::Identity(_)
            | Self::HeadTooLarge
            | Self::Body(BodyError::TooLarge { .. } | BodyError::TooSlow | BodyError::Broken)
            | Self::Unrecorded(_)
            | Self::Panicked => None,
        }
    }
}

/// Whole seconds, and at least one: `Retry-After` knows no parts.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
}
