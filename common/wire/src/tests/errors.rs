//! Error codes and bodies (wire-api 4.4, 4.5, appendix A). The error body of each operation is in `docs/wire-api.md`, which `table` holds.

use super::super::{
    EmptyResponse, ErrorCode, ErrorReply, KeeperOperation, NotReady, Operation, PeerErrorCode,
    ReplyError, fallback_error_body,
};
use super::json;

/// What operators and clients read about errors.
const ERROR_CODES: &str = include_str!("../../../../docs/error-codes.md");
const WIRE_API: &str = include_str!("../../../../docs/wire-api.md");

#[test]
fn the_keepers_error_bodies_differ_in_a_capital_letter() {
    let code = ErrorCode::ApiBadRequest;
    assert_eq!(KeeperOperation::Contribute.error_body(code), r#"{"err":"api_bad_request"}"#);
    assert_eq!(
        KeeperOperation::Shard.error_body(code),
        r#"{"shard":null,"Err":"api_bad_request"}"#
    );
}

#[test]
fn where_no_operation_was_recognised_the_body_is_the_code_alone() {
    assert_eq!(fallback_error_body(ErrorCode::StateNotReady, None), r#"{"err":"state_not_ready"}"#);
    let body = fallback_error_body(ErrorCode::ApiBadRequest, None);
    assert_eq!((body.len(), &*body), (25, br#"{"err":"api_bad_request"}"#.as_slice()));
}

#[test]
fn a_reason_stands_beside_the_code_and_is_read_back() {
    let reason = "path pattern: unclosed group at byte 1: \"a(\"";
    for &operation in Operation::ALL {
        let body = operation.error_body_with_reason(ErrorCode::ApiBadRequest, reason);
        assert_eq!(json(&body)["err"], "api_bad_request");
        assert_eq!(
            ErrorReply::decode(&body),
            ErrorReply {
                code: Some(PeerErrorCode::parse("api_bad_request")),
                reason: Some(reason.to_owned())
            }
        );
    }
}

#[test]
fn the_code_of_every_error_body_is_read_back() {
    for &operation in Operation::ALL {
        let reply = ErrorReply::decode(&operation.error_body(ErrorCode::ApiNotFound));
        assert_eq!(reply.reason, None);
        assert!(reply.code.is_some_and(|code| code == ErrorCode::ApiNotFound), "{operation}");
    }
    let reply = ErrorReply::decode(&KeeperOperation::Shard.error_body(ErrorCode::ApiNotFound));
    assert!(reply.code.is_some_and(|code| code == ErrorCode::ApiNotFound));
}

#[test]
fn a_body_that_is_no_error_body_says_nothing() {
    for body in ["", "404 page not found\n", "[]", "{", r#"{"err":5}"#, r#"{"err":""}"#, "null"] {
        assert_eq!(ErrorReply::decode(body.as_bytes()), ErrorReply::default(), "{body}");
    }
}

#[test]
fn each_code_has_its_status() {
    for (code, text, status) in [
        (ErrorCode::ApiBadRequest, "api_bad_request", 400),
        (ErrorCode::AccessUnauthorized, "access_unauthorized", 401),
        (ErrorCode::ApiNotFound, "api_not_found", 404),
        (ErrorCode::EntityExists, "entity_exists", 409),
        (ErrorCode::ApiInternalError, "api_internal_error", 500),
        (ErrorCode::StateNotReady, "state_not_ready", 503),
        (ErrorCode::CryptoFailedToReadVersion, "crypto_failed_to_read_version", 400),
        (ErrorCode::CryptoUnsupportedVersion, "crypto_unsupported_version", 400),
        (ErrorCode::CryptoFailedToReadNonce, "crypto_failed_to_read_nonce", 400),
        (ErrorCode::DataReadFailure, "data_read_failure", 400),
        (ErrorCode::CryptoCipherNotAvailable, "crypto_cipher_not_available", 500),
        (ErrorCode::CryptoNonceGenerationFailed, "crypto_nonce_generation_failed", 500),
    ] {
        assert_eq!((code.as_str(), code.status().as_u16()), (text, status));
        assert!(PeerErrorCode::parse(text).is_registered(), "the SDK knows {text}");
        let row = format!("| `{text}` | {status} |");
        let by_name = format!("`{text}`");
        let only_upstreams = matches!(
            code,
            ErrorCode::DataReadFailure
                | ErrorCode::CryptoCipherNotAvailable
                | ErrorCode::CryptoNonceGenerationFailed
        );
        let documented = ERROR_CODES.contains(if only_upstreams { &by_name } else { &row });
        assert!(documented, "docs/error-codes.md says nothing of {text} {status}");
    }
}

#[test]
fn each_reason_of_a_503_is_in_the_reference() {
    for reason in NotReady::ALL {
        let word = reason.as_str().split(':').next().unwrap_or_default();
        for (file, text) in [("error-codes.md", ERROR_CODES), ("wire-api.md", WIRE_API)] {
            assert!(text.contains(&format!("`{word}`")), "docs/{file}: {word}");
        }
    }
}

#[test]
fn a_code_that_the_sdk_does_not_know_is_kept_but_not_registered() {
    let code = PeerErrorCode::parse("quota_exceeded");
    assert_eq!((code.as_str(), code.is_registered()), ("quota_exceeded", false));
}

#[test]
fn text_that_is_no_code_becomes_the_general_failure() {
    let long = "a".repeat(65);
    for text in ["", "Not a code", "\u{1b}[31mred", "ünknown", long.as_str()] {
        assert_eq!(PeerErrorCode::parse(text).as_str(), "gen_general_failure", "{text:?}");
    }
}

#[test]
fn a_code_in_the_body_of_a_200_is_an_error() {
    let refused = |code| Err(ReplyError::Refused(PeerErrorCode::parse(code)));
    assert_eq!(EmptyResponse::decode(b"{}"), Ok(EmptyResponse));
    assert_eq!(EmptyResponse::decode(br#"{"err":""}"#), Ok(EmptyResponse));
    assert_eq!(EmptyResponse::decode(br#"{"err":"api_not_found"}"#), refused("api_not_found"));
    assert_eq!(EmptyResponse::decode(br#"{"err":"\u001b"}"#), refused("gen_general_failure"));
    assert!(matches!(EmptyResponse::decode(b"<html>"), Err(ReplyError::Malformed(_))));
}
