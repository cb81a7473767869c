use std::{io, sync::Arc};

use spike_mtls::{
    PeerError, TransportError,
    client::{CallError, Refusal},
};
use spike_wire::{ErrorCode, NotReady, fallback_error_body};

use super::*;

fn refused(status: u16, reason: Option<&str>) -> Error {
    let refusal = Refusal {
        status: status.try_into().unwrap(),
        code: None,
        reason: reason.map(str::to_owned),
        request_id: Some("abc".to_owned()),
    };
    Error::of_call(CallError::Refused(refusal), Some(Duration::from_secs(3)))
}

fn broken(error: TransportError) -> Error {
    Error::of_call(error.into(), None)
}

/// The name of the case.
fn case(error: &Error) -> String {
    let debug = format!("{error:?}");
    debug.split([' ', '(']).next().unwrap_or_default().to_owned()
}

#[test]
fn each_answer_of_nexus_is_a_case_of_its_own() {
    for (status, reason, expected) in [
        (400, Some("path"), "Invalid"),
        (401, None, "Denied"),
        (404, None, "NotFound"),
        (409, None, "AlreadyExists"),
        (413, None, "TooLarge"),
        (431, None, "TooLarge"),
        (429, Some("too many requests in flight"), "Busy"),
        (500, None, "Server"),
        (503, None, "Sealed"),
        (503, Some(NotReady::Sealed.as_str()), "Sealed"),
        (503, Some(NotReady::Store.as_str()), "Sealed"),
        (503, Some(NotReady::Busy.as_str()), "Busy"),
        (503, Some(NotReady::Ending.as_str()), "Busy"),
        (503, Some(NotReady::Crowded.as_str()), "Busy"),
        (418, None, "Server"),
    ] {
        let error = refused(status, reason);
        assert_eq!(case(&error), expected, "{status} {reason:?}");
        if let Error::Busy { retry_after, .. } = error {
            assert_eq!(retry_after, Some(Duration::from_secs(3)));
        }
    }
    assert_eq!(refused(401, None).request_id(), Some("abc"));
    assert_eq!(refused(500, None).request_id(), Some("abc"));
}

fn handshake(error: io::Error) -> TransportError {
    TransportError::Handshake { host: "nexus:8553".to_owned(), source: Arc::new(error) }
}

#[test]
fn each_way_to_have_no_answer_is_a_case_of_its_own() {
    let another = PeerError::Refused {
        id: "spiffe://spike.ist/app".to_owned(),
        expected: "spiffe://spike.ist/spike/nexus or below".to_owned(),
    };
    let connect = io::Error::from(io::ErrorKind::ConnectionRefused);
    let connect =
        TransportError::Connect { host: "nexus:8553".to_owned(), source: Arc::new(connect) };
    let timeout = |what| TransportError::Timeout { what, limit: Duration::from_secs(1) };
    for (error, expected) in [
        (connect, "Unreachable"),
        (handshake(io::Error::other("not TLS")), "Unreachable"),
        (timeout("the TCP connection"), "Unreachable"),
        (timeout("the TLS handshake"), "Unreachable"),
        (timeout("the server's answer"), "Unanswered"),
        (TransportError::Broken("reset".to_owned()), "Unanswered"),
        (TransportError::Unaccepted("alert 48".to_owned()), "IdentityRefused"),
        (TransportError::TooLarge { limit: 5 }, "TooLarge"),
        (TransportError::Endless { limit: 5 }, "TooLarge"),
        (handshake(io::Error::other(another)), "WrongServer"),
    ] {
        assert_eq!(case(&broken(error.clone())), expected, "{error}");
    }
}

#[test]
fn another_identity_at_the_other_end_is_named() {
    let id = "spiffe://spike.ist/app".to_owned();
    let other = PeerError::Refused { id: id.clone(), expected: "Nexus".to_owned() };
    let error = broken(handshake(io::Error::other(other)));
    let Error::WrongServer { id: named, .. } = &error else { panic!("{error}") };
    assert_eq!(*named, Some(id));
    assert!(!error.is_temporary() && !error.may_have_been_done());
}

#[test]
fn a_reason_from_the_network_cannot_forge_a_line_of_a_log() {
    let body = fallback_error_body(ErrorCode::ApiBadRequest, Some("a\nERROR all is lost"));
    let reason = spike_wire::ErrorReply::decode(&body).reason;
    let error = refused(400, reason.as_deref());
    assert_eq!(error.to_string(), r"refused as invalid: a\nERROR all is lost");
}
