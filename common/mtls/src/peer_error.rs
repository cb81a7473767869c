//! Why a peer's certificate is refused.

use time::OffsetDateTime;

use crate::clock::second;

/// Why a peer's certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not an X.509 certificate.
    #[error("the certificate does not parse")]
    Malformed,
    /// An SVID has exactly one URI SAN.
    #[error("the certificate has {0} URI names, an X.509-SVID has exactly one")]
    UriNames(usize),
    /// The URI is not a SPIFFE ID.
    #[error("{0:?} is not a SPIFFE ID")]
    NotASpiffeId(String),
    /// A CA certificate used as a leaf.
    #[error("{0} is in a certificate that may sign others")]
    SigningCertificate(String),
    /// This process has no bundle of the trust domain.
    #[error("{0} is of a trust domain whose bundle this process does not hold")]
    UnknownTrustDomain(String),
    /// It has expired or is not valid yet, by this machine's clock.
    #[error(
        "the certificate of {id} is valid from {} until {}, and it is {} on this machine: is the clock right?",
        second(*not_before), second(*not_after), second(*now)
    )]
    Times {
        /// The ID that the certificate claims.
        id: String,
        /// When it begins to be valid.
        not_before: OffsetDateTime,
        /// When it ends.
        not_after: OffsetDateTime,
        /// The time of this machine.
        now: OffsetDateTime,
    },
    /// Not signed by the bundle.
    #[error("the certificate of {id} does not verify: {reason}")]
    Chain {
        /// The ID that the certificate claims.
        id: String,
        /// Why it does not verify.
        reason: String,
    },
    /// A valid SVID that the rule does not admit.
    #[error("{id} is not accepted here: expected {expected}")]
    Refused {
        /// The verified ID.
        id: String,
        /// The IDs that are accepted, and the settings that name them.
        expected: String,
    },
}

impl PeerError {
    /// The SPIFFE ID in the refused certificate, if there is one. It is not proved.
    pub fn claimed_id(&self) -> Option<&str> {
        match self {
            Self::Malformed | Self::UriNames(_) | Self::NotASpiffeId(_) => None,
            Self::SigningCertificate(id)
            | Self::UnknownTrustDomain(id)
            | Self::Times { id, .. }
            | Self::Chain { id, .. }
            | Self::Refused { id, .. } => Some(id),
        }
    }
}
