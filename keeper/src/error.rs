//! Errors of requests, and their answers.

use http::StatusCode;
use spike_daemon::{
    audit::AuditError,
    http::{BodyError, FrameError},
};
use spike_wire::{ErrorCode, JsonError};

use crate::slot::{InvalidShare, PutError};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such path, action or method.
    #[error("no such route")]
    NoSuchRoute,
    /// The frame of all requests refused it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The body does not have the form of the route.
    #[error("malformed body: {0}")]
    Malformed(#[from] JsonError),
    /// The peer has no permission. It learns nothing more.
    #[error("unauthorized: {0}")]
    Denied(String),
    /// The contributed value is not a share.
    #[error(transparent)]
    InvalidShare(#[from] InvalidShare),
    /// Bootstrap contributed a share, and the Keeper holds another.
    #[error(
        "this Keeper holds another share, perhaps of the key in use, and only Nexus may replace it; to make a new root key, \
         stop Nexus and restart every Keeper first"
    )]
    HoldsAnother,
    /// The Keeper holds no share.
    #[error("this Keeper holds no share")]
    NoShare,
    /// The audit log cannot be written, so no change may begin.
    #[error("nothing is changed while the audit log cannot be written: {0}")]
    Unrecordable(#[source] AuditError),
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        Self::Frame(FrameError::Body(error))
    }
}

impl Error {
    /// Maps errors to the wire; nothing else does. "No share" is a 400, although upstream's documents say 404 (wire-api
    /// K2).
    pub const fn wire(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::Frame(error) => error.wire(),
            Self::NoSuchRoute | Self::Malformed(_) | Self::InvalidShare(_) | Self::NoShare => {
                (StatusCode::BAD_REQUEST, ErrorCode::ApiBadRequest)
            }
            Self::HoldsAnother => (StatusCode::CONFLICT, ErrorCode::EntityExists),
            Self::Denied(_) => (StatusCode::UNAUTHORIZED, ErrorCode::AccessUnauthorized),
            Self::Unrecordable(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ApiInternalError)
            }
        }
    }

    /// The explanation, besides the code, for a peer with the permission.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::HoldsAnother => Some(self.to_string()),
            Self::Frame(error) => error.reason(),
            Self::NoSuchRoute
            | Self::Malformed(_)
            | Self::Denied(_)
            | Self::InvalidShare(_)
            | Self::NoShare
            | Self::Unrecordable(_) => None,
        }
    }
}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        match error {
            PutError::InvalidShare(why) => Self::InvalidShare(why),
            PutError::HoldsAnother => Self::HoldsAnother,
        }
    }
}
