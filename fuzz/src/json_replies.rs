//! Every body that a client reads: answers of Nexus and of Keepers, their parts, and errors. The first line is its
//! name.

use spike_wire::{
    BodyKind, EmptyResponse, ErrorCode, ErrorReply, Operation, PeerErrorCode, ReplyError,
};

use crate::json::{self, is_json, named, survives_as_declared};

/// See the module.
pub fn check(data: &[u8]) -> bool {
    match named(data) {
        Some(("error read", body)) => error_read(body),
        Some(("error sent", body)) => error_sent(body),
        Some((name, body)) => survives_as_declared(name, body, |kind| kind != BodyKind::Request),
        None => false,
    }
}

/// Where it begins.
pub fn examples() -> Vec<Vec<u8>> {
    json::examples(|kind| kind != BodyKind::Request)
}

/// Of a peer's error code only a plain word is accepted, and an answer with a code is an error.
fn error_read(body: &[u8]) -> bool {
    let error = ErrorReply::decode(body);
    assert_ne!(error.reason.as_deref(), Some(""));
    match EmptyResponse::decode(body) {
        Ok(_) => assert_eq!(error.code, None),
        Err(ReplyError::Refused(code)) => {
            assert_plain(&code);
            // A `reason` that is not text makes an error body malformed; it is ignored then.
            assert!(error.code == Some(code) || error == ErrorReply::default());
        }
        Err(ReplyError::Malformed(_)) => assert_eq!(error, ErrorReply::default()),
    }
    error.code.is_some()
}

/// The reason of an error reaches the client unchanged.
fn error_sent(data: &[u8]) -> bool {
    let Some((selector, reason)) = data.split_first() else { return false };
    let Ok(reason) = std::str::from_utf8(reason) else { return false };
    let operation = Operation::ALL[usize::from(*selector) % Operation::ALL.len()];
    let body = operation.error_body_with_reason(ErrorCode::ApiBadRequest, reason);
    assert!(is_json(&body));
    let error = ErrorReply::decode(&body);
    assert!(error.code.is_some_and(|code| code == ErrorCode::ApiBadRequest));
    assert_eq!(error.reason.unwrap_or_default(), reason);
    true
}

fn assert_plain(code: &PeerErrorCode) {
    let code = code.as_str();
    assert!((1..=64).contains(&code.len()), "{code:?}");
    assert!(code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{code:?}");
}
