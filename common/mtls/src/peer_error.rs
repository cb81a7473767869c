//! Why a certificate does not make a peer.

use time::OffsetDateTime;

use crate::clock::second;

/// Why a certificate does not make a peer.
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
    /// A CA certificate shown as a leaf.
    #[error("{0} was shown in a certificate that may sign others")]
    SigningCertificate(String),
    /// The trust domain is a stranger's.
    #[error("{0} is of a trust domain whose bundle this process does not hold")]
    UnknownTrustDomain(String),
    /// Its time is over, or has not begun, as far as this machine knows.
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
        /// What time it is here.
        now: OffsetDateTime,
    },
    /// Not signed by the bundle.
    #[error("the certificate of {id} does not verify: {reason}")]
    Chain {
        /// The ID that the certificate claims.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A real SVID, but not one that belongs here.
    #[error("{id} is not accepted here: expected {expected}")]
    Refused {
        /// The ID, which is proved.
        id: String,
        /// Who is accepted, and the settings that say so.
        expected: String,
    },
}

impl PeerError {
    /// The SPIFFE ID that the refused certificate claims, where it claims one. Nothing has proved it.
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
