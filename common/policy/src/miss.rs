//! The parts of a policy that can prevent it from allowing a request.

use std::fmt;

use super::error::ReservedCause;

/// A part of a policy that prevents it from allowing a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The SPIFFE ID pattern does not match.
    SpiffeId,
    /// The path pattern does not match.
    Path,
    /// The policy has neither the wanted permission nor `super`.
    Permission,
    /// The path is reserved, and the policy may not open it.
    Reserved(ReservedCause),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpiffeId => f.write_str("the SPIFFE ID pattern does not match"),
            Self::Path => f.write_str("the path pattern does not match"),
            Self::Permission => f.write_str("the permission is missing"),
            Self::Reserved(ReservedCause::PathNotDescribed) => f.write_str(
                "the path is reserved, and the path pattern does not match the whole path",
            ),
            Self::Reserved(ReservedCause::PathNotNamed) => f.write_str(
                "the path is reserved, and the path pattern is not the literal path, \
                 which this SPIKE Nexus requires",
            ),
            Self::Reserved(ReservedCause::IdentityNotPrecise) => f.write_str(
                "the path is reserved, and the SPIFFE ID pattern is not anchored at both ends",
            ),
        }
    }
}
