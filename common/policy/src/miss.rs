//! The parts of a policy that can keep it from allowing a request.

use std::fmt;

use super::error::ReservedCause;

/// A part of a policy that keeps it from allowing a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The SPIFFE ID pattern finds no match.
    SpiffeId,
    /// The path pattern finds no match.
    Path,
    /// Neither the wanted permission nor `super` is among the permissions.
    Permission,
    /// The path is reserved, and the policy is not entitled to it.
    Reserved(ReservedCause),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpiffeId => f.write_str("the SPIFFE ID pattern does not match"),
            Self::Path => f.write_str("the path pattern does not match"),
            Self::Permission => f.write_str("the permission is missing"),
            Self::Reserved(ReservedCause::PathNotDescribed) => f.write_str(
                "the path is reserved, and the path pattern does not describe the whole of it",
            ),
            Self::Reserved(ReservedCause::PathNotNamed) => f.write_str(
                "the path is reserved, and the path pattern does not name it letter for letter, \
                 as this SPIKE Nexus is set to ask",
            ),
            Self::Reserved(ReservedCause::IdentityNotPrecise) => f.write_str(
                "the path is reserved, and the SPIFFE ID pattern is not anchored at both ends",
            ),
        }
    }
}
