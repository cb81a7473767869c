//! Readable texts for errors of the TLS library, whose own texts are names of its types.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::peer_error::PeerError;

/// The text for an end that the protocol does not announce. The text of the TLS library has a link to its manual.
const ENDED: &str = "the other end closed the connection";

/// The error of a handshake with a readable text. A [`PeerError`] in it is kept.
pub fn of_handshake(error: io::Error) -> io::Error {
    let kind = error.kind();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::Other(other))) => {
            match other.0.downcast_ref::<PeerError>() {
                Some(refused) => io::Error::new(kind, refused.clone()),
                None => io::Error::new(kind, other.0.to_string()),
            }
        }
        Some(tls) => io::Error::new(kind, of_tls(tls)),
        None if kind == io::ErrorKind::UnexpectedEof => io::Error::new(kind, ENDED),
        None => error,
    }
}

/// The readable text of an error that broke a connection later.
pub(crate) fn of_cause(cause: &(dyn std::error::Error + 'static)) -> String {
    let io = cause.downcast_ref::<io::Error>();
    // An I/O error with an inner error does not list it among its causes.
    let inner = io.and_then(io::Error::get_ref);
    match inner.map_or_else(|| cause.downcast_ref(), |inner| inner.downcast_ref()) {
        Some(tls) => of_tls(tls),
        None if io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) => ENDED.to_owned(),
        None => cause.to_string(),
    }
}

/// Whether the other end has said that it does not accept the certificate of this process.
pub(crate) fn is_refusal(cause: &(dyn std::error::Error + 'static)) -> bool {
    let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let tls = inner.map_or_else(|| cause.downcast_ref(), |inner| inner.downcast_ref());
    matches!(tls, Some(Error::AlertReceived(alert)) if refuses_us(*alert))
}

fn of_tls(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::InvalidMessage(_) => "the answer is not TLS".to_owned(),
        Error::PeerIncompatible(_) => {
            "both ends have no TLS version or algorithm in common".to_owned()
        }
        Error::NoCertificatesPresented => "the other end shows no certificate".to_owned(),
        other => other.to_string(),
    }
}

fn of_alert(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let number = u8::from(alert);
    match alert {
        alert if refuses_us(alert) => format!(
            "the other end does not accept the certificate of this process (TLS alert {number})"
        ),
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
            format!("both ends have no TLS version or algorithm in common (TLS alert {number})")
        }
        _ => format!("the other end ended the handshake (TLS alert {number})"),
    }
}

const fn refuses_us(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
    )
}

/// Why a certificate chain does not verify.
pub(crate) fn of_chain(error: &webpki::Error) -> String {
    let text = match error {
        // All SPIRE servers use the same name for their authorities; then only the signature differs.
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            "no authority that this process trusts for its trust domain has signed it: is it of another CA, or is the trust bundle of one end an old one?"
        }
        webpki::Error::CertExpired { .. } => {
            "an authority between it and the trust bundle has expired: is the clock right?"
        }
        webpki::Error::CertNotValidYet { .. } => {
            "an authority between it and the trust bundle is not valid yet: is the clock right?"
        }
        other => {
            let name = format!("{other:?}");
            let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            return format!("it breaks a rule of X.509 ({name})");
        }
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[test]
    fn a_refused_peer_is_named_and_can_still_be_told_from_others() {
        let refused = PeerError::Refused {
            id: "spiffe://example.org/app".to_owned(),
            expected: "spiffe://example.org/spike/nexus or below".to_owned(),
        };
        let other = CertificateError::Other(OtherError(Arc::new(refused.clone())));
        let error = io::Error::new(io::ErrorKind::InvalidData, Error::InvalidCertificate(other));
        let found = of_handshake(error);
        assert_eq!(
            found.to_string(),
            "spiffe://example.org/app is not accepted here: expected spiffe://example.org/spike/nexus or below"
        );
        let inner = found.get_ref().and_then(|inner| inner.downcast_ref::<PeerError>());
        assert_eq!(inner, Some(&refused));
    }

    // The text of the TLS library, with a link to its manual, was shown to people.
    #[test]
    fn a_connection_that_ends_without_close_notify_is_told_without_a_link() {
        let text = "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/latest/x";
        let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, text);
        assert_eq!(of_cause(&ended()), "the other end closed the connection");
        assert_eq!(of_handshake(ended()).to_string(), of_cause(&ended()));
    }

    #[test]
    fn no_text_is_a_dump_of_a_type() {
        let tls = [
            Error::AlertReceived(AlertDescription::CertificateUnknown),
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            Error::AlertReceived(AlertDescription::InternalError),
            Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
            Error::PeerIncompatible(rustls::PeerIncompatible::NoCipherSuitesInCommon),
            Error::NoCertificatesPresented,
        ];
        let chains = [
            webpki::Error::UnknownIssuer,
            webpki::Error::BadDer,
            webpki::Error::CertExpired {
                time: rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::ZERO),
                not_after: rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::ZERO),
            },
        ];
        let found = tls.iter().map(of_tls).chain(chains.iter().map(of_chain));
        for text in found {
            assert!(!text.contains('{') && !text.contains("::") && text.contains(' '), "{text}");
        }
    }
}
