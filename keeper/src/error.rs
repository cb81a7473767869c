//! What can go wrong with a request, and the one table from that to the wire.

use axum::http::StatusCode;
use spike_daemon::{
    audit::AuditError,
    http::{BodyError, FrameError},
};
use spike_wire::{ErrorCode, JsonError};

use crate::slot::{NotAShare, NotPut};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such path, action or method.
    #[error("no such route")]
    NoSuchRoute,
    /// What every request is held against refuses it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The body is not what the route reads.
    #[error("malformed body: {0}")]
    Malformed(#[from] JsonError),
    /// The peer may not do this. It learns nothing more.
    #[error("unauthorized: {0}")]
    Denied(String),
    /// What was contributed is no share.
    #[error(transparent)]
    NotAShare(#[from] NotAShare),
    /// Bootstrap gives a share, and another is held.
    #[error(
        "this Keeper holds another share, which may be of the key in use, and takes a different one from Nexus only; to make \
         a new root key all the same, stop Nexus and restart every Keeper first"
    )]
    HoldsAnother,
    /// There is no share to give.
    #[error("this Keeper holds no share")]
    NoShare,
    /// The audit log takes no lines, so that nothing may be changed that could not be written down.
    #[error("nothing is changed while the audit log cannot be written: {0}")]
    Unrecordable(#[source] AuditError),
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        Self::Frame(FrameError::Body(error))
    }
}

impl Error {
    /// The one table from errors to the wire. "No share" is a 400, though upstream's documents say 404 (wire-api K2).
    pub const fn wire(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::Frame(error) => error.wire(),
            Self::NoSuchRoute | Self::Malformed(_) | Self::NotAShare(_) | Self::NoShare => {
                (StatusCode::BAD_REQUEST, ErrorCode::ApiBadRequest)
            }
            Self::HoldsAnother => (StatusCode::CONFLICT, ErrorCode::EntityExists),
            Self::Denied(_) => (StatusCode::UNAUTHORIZED, ErrorCode::AccessUnauthorized),
            Self::Unrecordable(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ApiInternalError)
            }
        }
    }

    /// What a peer that may ask is told besides the code.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::HoldsAnother => Some(self.to_string()),
            Self::Frame(error) => error.reason(),
            Self::NoSuchRoute
            | Self::Malformed(_)
            | Self::Denied(_)
            | Self::NotAShare(_)
            | Self::NoShare
            | Self::Unrecordable(_) => None,
        }
    }
}

impl From<NotPut> for Error {
    fn from(error: NotPut) -> Self {
        match error {
            NotPut::NotAShare(why) => Self::NotAShare(why),
            NotPut::HoldsAnother => Self::HoldsAnother,
        }
    }
}
