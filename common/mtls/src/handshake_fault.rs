//! The kinds of failed handshakes, for metrics: few, and none says who the peer was.

use std::io;

use rustls::{CertificateError, Error};

use super::{handshake_stream::HandshakeTooLong, peer_error::PeerError, tls_error};

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeFault {
    /// The peer shows no certificate.
    NoCertificate,
    /// It shows one that is no X.509-SVID.
    NoSvid,
    /// This process has no bundle of its trust domain.
    UnknownTrustDomain,
    /// Its SVID has expired, by this machine's clock.
    Expired,
    /// Its SVID is not valid yet, by this machine's clock.
    NotYetValid,
    /// No authority that is trusted for its trust domain has signed its SVID.
    Untrusted,
    /// Its SVID is valid, and this process does not accept its SPIFFE ID.
    WrongId,
    /// The peer does not accept the certificate of this process.
    RefusedByPeer,
    /// The peer closed the connection, or the connection broke.
    Ended,
    /// Both ends have no TLS version or algorithm in common, or the peer breaks the protocol or sends too much.
    Protocol,
}

impl HandshakeFault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::NoCertificate,
        Self::NoSvid,
        Self::UnknownTrustDomain,
        Self::Expired,
        Self::NotYetValid,
        Self::Untrusted,
        Self::WrongId,
        Self::RefusedByPeer,
        Self::Ended,
        Self::Protocol,
    ];

    /// The value of a label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::NoSvid => "no_svid",
            Self::UnknownTrustDomain => "unknown_trust_domain",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Untrusted => "untrusted",
            Self::WrongId => "wrong_id",
            Self::RefusedByPeer => "refused_by_peer",
            Self::Ended => "ended",
            Self::Protocol => "protocol",
        }
    }

    /// Of an error of the TLS library, as it comes from the handshake.
    pub fn of(error: &io::Error) -> Self {
        if let Some(inner) = error.get_ref()
            && inner.is::<HandshakeTooLong>()
        {
            return Self::Protocol;
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented) => Self::NoCertificate,
            Some(Error::InvalidCertificate(CertificateError::Other(other))) => {
                other.0.downcast_ref::<PeerError>().map_or(Self::NoSvid, Self::of_peer)
            }
            Some(Error::InvalidCertificate(_)) => Self::Untrusted,
            Some(_) if tls_error::is_refusal(error) => Self::RefusedByPeer,
            Some(_) => Self::Protocol,
            None => Self::Ended,
        }
    }

    /// Of a certificate that was refused.
    pub fn of_peer(error: &PeerError) -> Self {
        match error {
            PeerError::Malformed
            | PeerError::UriNames(_)
            | PeerError::NotASpiffeId(_)
            | PeerError::SigningCertificate(_) => Self::NoSvid,
            PeerError::UnknownTrustDomain(_) => Self::UnknownTrustDomain,
            PeerError::Times { not_before, now, .. } if now < not_before => Self::NotYetValid,
            PeerError::Times { .. } => Self::Expired,
            PeerError::Chain { .. } => Self::Untrusted,
            PeerError::Refused { .. } => Self::WrongId,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{AlertDescription, OtherError, PeerIncompatible};
    use time::{Duration, OffsetDateTime};

    use super::*;

    fn times(now: i64) -> PeerError {
        let at = |seconds| OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let id = "spiffe://example.org/app".to_owned();
        PeerError::Times { id, not_before: at(10), not_after: at(20), now: at(now) }
    }

    #[test]
    fn each_error_of_a_handshake_has_its_kind() {
        let io = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let refused = |error: PeerError| {
            let other = OtherError(Arc::new(error));
            io(Error::InvalidCertificate(CertificateError::Other(other)))
        };
        let id = || "spiffe://example.org/app".to_owned();
        for (error, fault) in [
            (io(Error::NoCertificatesPresented), HandshakeFault::NoCertificate),
            (refused(PeerError::UriNames(2)), HandshakeFault::NoSvid),
            (refused(PeerError::UnknownTrustDomain(id())), HandshakeFault::UnknownTrustDomain),
            (refused(times(5)), HandshakeFault::NotYetValid),
            (refused(times(20)), HandshakeFault::Expired),
            (
                refused(PeerError::Chain { id: id(), reason: String::new() }),
                HandshakeFault::Untrusted,
            ),
            (
                refused(PeerError::Refused { id: id(), expected: String::new() }),
                HandshakeFault::WrongId,
            ),
            (io(Error::AlertReceived(AlertDescription::UnknownCA)), HandshakeFault::RefusedByPeer),
            (
                io(Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon)),
                HandshakeFault::Protocol,
            ),
            (io::Error::other(HandshakeTooLong::Unanswered), HandshakeFault::Protocol),
            (io::ErrorKind::UnexpectedEof.into(), HandshakeFault::Ended),
        ] {
            assert_eq!(HandshakeFault::of(&error), fault, "{error}");
        }
    }

    #[test]
    fn no_two_kinds_share_a_label() {
        let labels = HandshakeFault::ALL.map(HandshakeFault::label);
        let apart: std::collections::BTreeSet<_> = labels.iter().collect();
        assert_eq!(apart.len(), labels.len());
    }
}
