//! Why a policy is refused: which field, where in it, and why. The edge answers 400 with it.

use std::fmt;

use spike_domain::rules::{Fault, SpiffeIdPatternFault};

use super::go_syntax::SyntaxError;

/// A field of a policy, under its name in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The name, which is the identity of a policy.
    Name,
    /// The pattern that the peer's SPIFFE ID must match.
    SpiffeIdPattern,
    /// The pattern that the path must match.
    PathPattern,
    /// What the policy allows.
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
    /// What is wrong with it.
    pub why: Refusal,
}

impl PolicyError {
    pub(super) const fn new(field: Field, why: Refusal) -> Self {
        Self { field, why }
    }

    /// Where in the field the fault begins, in bytes, when it is at one place.
    pub const fn offset(&self) -> Option<usize> {
        match &self.why {
            Refusal::Character { offset, .. } => Some(*offset),
            Refusal::Syntax(error) => Some(error.offset),
            Refusal::Empty
            | Refusal::TooLong { .. }
            | Refusal::NotSpiffeId
            | Refusal::TooComplex { .. }
            | Refusal::NoRoom { .. }
            | Refusal::UnknownPermission { .. }
            | Refusal::ReservedPath { .. } => None,
        }
    }
}

/// The reasons for refusing a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// More bytes than the field may have.
    #[error("has {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A character that may not stand there.
    #[error("{found:?} is not allowed at byte {offset}")]
    Character {
        /// The character.
        found: char,
        /// Where it stands, in bytes.
        offset: usize,
    },
    /// A SPIFFE ID pattern that names no SPIFFE ID.
    #[error("must begin with spiffe:// or ^spiffe:// and go on with a trust domain")]
    NotSpiffeId,
    /// A pattern that Go's `regexp` refuses.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// A pattern that costs too much to search for.
    #[error(
        "a search may have to follow {width} places of it at once, at most {limit} are allowed: begin it with ^ and a \
         text, or ask for fewer repetitions"
    )]
    TooComplex {
        /// Places that may have to be followed at once.
        width: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// One pattern too many of those that nearly every request is searched with.
    #[error(
        "has no text that tells which requests it is about, so that nearly all are searched with it, and {width} of its \
         places may have to be followed at once; such patterns have {in_use} already, at most {limit} together: begin \
         it with ^ and a text"
    )]
    NoRoom {
        /// Places of the new patterns that may have to be followed at once.
        width: u64,
        /// Those of the patterns that there are.
        in_use: u64,
        /// How many are allowed in all.
        limit: u64,
    },
    /// A word that names no permission.
    #[error("{word:?} is none of read, write, list, execute, super")]
    UnknownPermission {
        /// The word, cut after 60 characters.
        word: String,
    },
    /// A path pattern that finds a reserved path without being entitled to it (wire-api 5.5).
    #[error("finds the reserved path {path}, but {cause}")]
    ReservedPath {
        /// The reserved path.
        path: &'static str,
        /// What is missing.
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

/// What keeps a policy from a reserved path that its path pattern finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservedCause {
    /// The path pattern finds the path somewhere inside, but does not describe the whole of it.
    PathNotDescribed,
    /// The path pattern describes the path without naming it letter for letter, where that is asked for.
    PathNotNamed,
    /// The SPIFFE ID pattern is not anchored at both ends.
    IdentityNotPrecise,
}

impl fmt::Display for ReservedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PathNotDescribed => "does not describe the whole of it",
            Self::PathNotNamed => "does not name it letter for letter",
            Self::IdentityNotPrecise => "spiffeidPattern does not begin with ^ and end with $",
        })
    }
}
