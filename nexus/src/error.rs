//! What can go wrong with a request, and the one table from that to the wire.

use axum::http::StatusCode;
use spike_common::{
    audit::AuditError,
    daemon::chain,
    http::BodyError,
    wire::{ErrorCode, JsonError},
};
use spike_crypto::RandomError;

use crate::{policy::PolicyError, quorum::RestoreError, secret::PathError, store::StoreError};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such path, action or method; or an operation that this backend does not have.
    #[error("no such route")]
    NoSuchRoute,
    /// The body is not what the route reads.
    #[error("malformed body: {0}")]
    Malformed(#[from] JsonError),
    /// The body did not arrive whole, in time and within its limit.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The peer may not do this. It learns nothing more.
    #[error("unauthorized: {0}")]
    Denied(String),
    /// A field has a value that is not allowed.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field of the body.
        field: &'static str,
        /// The rule that was broken. Never the value of a secret.
        reason: String,
    },
    /// No such secret or version, or the version is deleted, or there is nothing to undelete.
    #[error("not found")]
    NotFound,
    /// The memory backend makes its own key: there are no shares to take out or to feed back.
    #[error("the memory backend has no recovery shares")]
    NoShares,
    /// Recovery shares were asked for before there was a key. Upstream answers 500 here, not 503 (wire-api 15, row 31).
    #[error("there is no root key yet: {0}")]
    NothingToRecover(String),
    /// A recovery share that did not help.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// What was sent was not encrypted under the root key.
    #[error("decryption failed: another root key, or altered data")]
    Undecryptable,
    /// There is a policy of that name, and the request asked to make a new one.
    #[error("there is a policy of that name")]
    PolicyExists,
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No root key yet.
    #[error("not ready: {0}")]
    NotReady(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The request was carried out or refused, and could not be written down.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl Error {
    /// The one table from errors to the wire.
    pub const fn wire(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::NoSuchRoute
            | Self::Malformed(_)
            | Self::Body(BodyError::TooSlow | BodyError::Broken)
            | Self::Invalid { .. }
            | Self::NoShares
            | Self::Undecryptable
            | Self::Restore(
                RestoreError::NotOfTheLiveKey { .. }
                | RestoreError::NotTogether { .. }
                | RestoreError::NotOfTheKeepers { .. }
                | RestoreError::WrongKey(_),
            ) => (StatusCode::BAD_REQUEST, ErrorCode::ApiBadRequest),
            Self::Body(BodyError::TooLarge { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ApiBadRequest)
            }
            Self::Denied(_) => (StatusCode::UNAUTHORIZED, ErrorCode::AccessUnauthorized),
            Self::NotFound => (StatusCode::NOT_FOUND, ErrorCode::ApiNotFound),
            Self::PolicyExists => (StatusCode::CONFLICT, ErrorCode::EntityExists),
            Self::NotReady(_) | Self::Store(StoreError::TimedOut | StoreError::Closed) => {
                (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::StateNotReady)
            }
            Self::Store(_)
            | Self::Audit(_)
            | Self::Random(_)
            | Self::NothingToRecover(_)
            | Self::Restore(RestoreError::Store(_) | RestoreError::Bug) => {
                (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ApiInternalError)
            }
        }
    }

    /// What a peer that was let in may be told besides the code: why its request was refused, in words.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Invalid { .. } | Self::NoShares | Self::Restore(_) => Some(chain(self)),
            Self::NothingToRecover(_)
            | Self::NoSuchRoute
            | Self::Malformed(_)
            | Self::Body(_)
            | Self::Denied(_)
            | Self::NotFound
            | Self::Undecryptable
            | Self::PolicyExists
            | Self::Random(_)
            | Self::NotReady(_)
            | Self::Store(_)
            | Self::Audit(_) => None,
        }
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        Self::Invalid { field: "path", reason: error.to_string() }
    }
}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        Self::Invalid { field: "policy", reason: error.to_string() }
    }
}
