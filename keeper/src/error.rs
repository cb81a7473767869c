//! What can go wrong with a request, and the one table from that to the wire.

use axum::http::StatusCode;
use spike_common::{
    audit::AuditError,
    http::BodyError,
    wire::{ErrorCode, JsonError},
};

use crate::slot::NotAShare;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such path, action or method.
    #[error("no such route")]
    NoSuchRoute,
    /// The body did not arrive whole, in time and within its limit.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is not what the route reads.
    #[error("malformed body: {0}")]
    Malformed(#[from] JsonError),
    /// The peer may not do this. It learns nothing more.
    #[error("unauthorized: {0}")]
    Denied(&'static str),
    /// What was contributed is no share.
    #[error(transparent)]
    NotAShare(#[from] NotAShare),
    /// There is no share to give.
    #[error("this Keeper holds no share")]
    NoShare,
    /// The request was carried out or refused, and could not be written down.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl Error {
    /// The one table from errors to the wire. "No share" is a 400, though upstream's documents say 404 (wire-api K2).
    pub const fn wire(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::NoSuchRoute
            | Self::Body(BodyError::TooSlow | BodyError::Broken)
            | Self::Malformed(_)
            | Self::NotAShare(_)
            | Self::NoShare => (StatusCode::BAD_REQUEST, ErrorCode::ApiBadRequest),
            Self::Body(BodyError::TooLarge { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ApiBadRequest)
            }
            Self::Denied(_) => (StatusCode::UNAUTHORIZED, ErrorCode::AccessUnauthorized),
            Self::Audit(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ApiInternalError),
        }
    }
}
