//! Why a policy is refused: the field, the position and the reason. The answer to the request is 400.

use std::fmt;

use spike_domain::rules::{Fault, SpiffeIdPatternFault};

use super::go_syntax::SyntaxError;

/// A field of a policy, named as in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The name, which is the identity of a policy.
    Name,
    /// The pattern that the peer's SPIFFE ID must match.
    SpiffeIdPattern,
    /// The pattern that the path must match.
    PathPattern,
    /// The permissions.
    Permissions,
}

impl Field {
    /// The key in the JSON of a put request (wire-api N7).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::SpiffeIdPattern => "spiffeidPattern",
            Self::PathPattern => "pathPattern",
            Self::Permissions => "permissions",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy that may not be stored, or that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct PolicyError {
    /// The field at fault.
    pub field: Field,
    /// The reason.
    pub why: Refusal,
}

impl PolicyError {
    pub(super) const fn new(field: Field, why: Refusal) -> Self {
        Self { field, why }
    }

    /// The offset of the fault in the field, in bytes, if it has one.
    pub const fn offset(&self) -> Option<usize> {
        match &self.why {
            Refusal::Character { offset, .. } => Some(*offset),
            Refusal::Syntax(error) => Some(error.offset),
            Refusal::Empty
            | Refusal::TooLong { .. }
            | Refusal::NotSpiffeId
            | Refusal::TooComplex { .. }
            | Refusal::TooManyLoose { .. }
            | Refusal::UnknownPermission { .. }
            | Refusal::ReservedPath { .. } => None,
        }
    }
}

/// Why a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The field is empty.
    #[error("must not be empty")]
    Empty,
    /// The field is too long.
    #[error("has {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The largest length.
        limit: usize,
    },
    /// A character that is not allowed.
    #[error("{found:?} is not allowed at byte {offset}")]
    Character {
        /// The character.
        found: char,
        /// Its offset in bytes.
        offset: usize,
    },
    /// The pattern of SPIFFE IDs does not begin like a SPIFFE ID.
    #[error("must begin with spiffe:// or ^spiffe:// and a trust domain")]
    NotSpiffeId,
    /// A pattern that Go's `regexp` refuses.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The pattern is too expensive to match.
    #[error(
        "is too expensive to match: its width is {width}, at most {limit} is allowed; begin it with ^ and a text, or \
         use fewer repetitions"
    )]
    TooComplex {
        /// Its width: the most positions that a search follows at once.
        width: u64,
        /// The largest width.
        limit: u64,
    },
    /// The pattern would be tried for nearly every request, and such patterns are at their limit.
    #[error(
        "has no text that every match contains, so nearly every request is matched with it; its width is {width}, and \
         such patterns have a width of {in_use} already, at most {limit} together: begin it with ^ and a text"
    )]
    TooManyLoose {
        /// The width of the new patterns.
        width: u64,
        /// The width of the existing ones.
        in_use: u64,
        /// The largest sum.
        limit: u64,
    },
    /// The permission does not exist.
    #[error("{word:?} is none of read, write, list, execute, super")]
    UnknownPermission {
        /// The word, cut after 60 characters.
        word: String,
    },
    /// The path pattern matches a reserved path that the policy may not open (wire-api 5.5).
    #[error("finds the reserved path {path}, but {cause}")]
    ReservedPath {
        /// The reserved path.
        path: &'static str,
        /// The reason.
        cause: ReservedCause,
    },
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Empty => Self::Empty,
            Fault::TooLong { length, limit } => Self::TooLong { length, limit },
            Fault::Character { found, offset } => Self::Character { found, offset },
        }
    }
}

impl From<SpiffeIdPatternFault> for Refusal {
    fn from(fault: SpiffeIdPatternFault) -> Self {
        match fault {
            SpiffeIdPatternFault::Text(fault) => fault.into(),
            SpiffeIdPatternFault::NotSpiffeId => Self::NotSpiffeId,
        }
    }
}

/// Why a policy may not open a reserved path that its path pattern matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservedCause {
    /// The path pattern matches a part of the path, but not the whole path.
    PathNotDescribed,
    /// The path pattern matches the path, but is not the literal path, which the setting requires.
    PathNotNamed,
    /// The SPIFFE ID pattern is not anchored at both ends.
    IdentityNotPrecise,
}

impl fmt::Display for ReservedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PathNotDescribed => "does not match the whole path",
            Self::PathNotNamed => "is not the literal path",
            Self::IdentityNotPrecise => "spiffeidPattern does not begin with ^ and end with $",
        })
    }
}
