//! Every body that a client reads: answers of Nexus and of Keepers, errors included. The first byte says which.

use spike_common::wire::{
    DecryptResponse, EmptyResponse, EncryptResponse, ErrorCode, ErrorReply, ExplainResponse,
    KeeperStatusResponse, LintResponse, Operation, PeerErrorCode, Policy, PolicyListResponse,
    PolicyPutResponse, RecoverResponse, ReplyError, RestoreResponse, SecretGetResponse,
    SecretListResponse, SecretMetadataResponse, ShardResponse, StatusResponse, SurveyResponse,
    VerifyResponse, WhoCanResponse, ZERO_TIME,
};
use time::{OffsetDateTime, UtcOffset};

use crate::json::{is_json, same_values, survives};

/// See the module.
pub fn check(data: &[u8]) -> bool {
    let Some((selector, body)) = data.split_first() else { return false };
    match selector {
        b'a' => survives(body, EmptyResponse::decode, |reply| reply.encode(), PartialEq::eq),
        b'b' => survives(body, SecretGetResponse::decode, SecretGetResponse::encode, same_secret),
        b'c' => {
            survives(body, SecretListResponse::decode, SecretListResponse::encode, PartialEq::eq)
        }
        b'd' => survives(
            body,
            SecretMetadataResponse::decode,
            SecretMetadataResponse::encode,
            same_metadata,
        ),
        b'e' => survives(body, PolicyPutResponse::decode, PolicyPutResponse::encode, PartialEq::eq),
        b'f' => survives(body, Policy::decode, Policy::encode, same_policy),
        b'g' => {
            survives(body, PolicyListResponse::decode, PolicyListResponse::encode, PartialEq::eq)
        }
        b'h' => survives(body, ExplainResponse::decode, ExplainResponse::encode, PartialEq::eq),
        b'i' => survives(body, WhoCanResponse::decode, WhoCanResponse::encode, PartialEq::eq),
        b'j' => survives(body, LintResponse::decode, LintResponse::encode, PartialEq::eq),
        b'k' => survives(body, EncryptResponse::decode, EncryptResponse::encode, PartialEq::eq),
        b'l' => survives(body, DecryptResponse::decode, DecryptResponse::encode, same_plaintext),
        b'm' => survives(body, RecoverResponse::decode, RecoverResponse::encode, same_shares),
        b'n' => survives(body, RestoreResponse::decode, |reply| reply.encode(), PartialEq::eq),
        b'o' => survives(body, StatusResponse::decode, StatusResponse::encode, PartialEq::eq),
        b'p' => survives(body, VerifyResponse::decode, VerifyResponse::encode, PartialEq::eq),
        b'q' => survives(body, ShardResponse::decode, ShardResponse::encode, same_share),
        b'r' => error_read(body),
        b's' => error_sent(body),
        b't' => survives(body, SurveyResponse::decode, SurveyResponse::encode, PartialEq::eq),
        b'u' => survives(
            body,
            KeeperStatusResponse::decode,
            KeeperStatusResponse::encode,
            PartialEq::eq,
        ),
        _ => false,
    }
}

/// Whatever a peer calls its error, nothing but a plain word comes through, and an answer with a code is no answer.
fn error_read(body: &[u8]) -> bool {
    let error = ErrorReply::decode(body);
    assert_ne!(error.reason.as_deref(), Some(""));
    match EmptyResponse::decode(body) {
        Ok(_) => assert_eq!(error.code, None),
        Err(ReplyError::Refused(code)) => {
            assert_plain(&code);
            // A `reason` that is no text makes a malformed error body, which gives nothing.
            assert!(error.code == Some(code) || error == ErrorReply::default());
        }
        Err(ReplyError::Malformed(_)) => assert_eq!(error, ErrorReply::default()),
    }
    error.code.is_some()
}

/// The reason of an error reaches the client as it was given.
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

fn same_secret(left: &SecretGetResponse, right: &SecretGetResponse) -> bool {
    match (&left.data, &right.data) {
        (Some(left), Some(right)) => same_values(left, right),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn same_metadata(left: &SecretMetadataResponse, right: &SecretMetadataResponse) -> bool {
    let mut sent = left.clone();
    for version in sent.versions.values_mut() {
        version.created_time = as_sent(version.created_time);
        version.deleted_time = version.deleted_time.map(as_sent);
    }
    sent.metadata.created_time = as_sent(sent.metadata.created_time);
    sent.metadata.updated_time = as_sent(sent.metadata.updated_time);
    sent == *right
}

fn same_policy(left: &Policy, right: &Policy) -> bool {
    let (created_at, updated_at) = (as_sent(left.created_at), as_sent(left.updated_at));
    Policy { created_at, updated_at, ..left.clone() } == *right
}

/// A time is sent in UTC, where it may be one of a year that RFC 3339 cannot name.
fn as_sent(time: OffsetDateTime) -> OffsetDateTime {
    let utc = time.checked_to_offset(UtcOffset::UTC);
    utc.filter(|utc| (0..=9999).contains(&utc.year())).unwrap_or(ZERO_TIME)
}

fn same_plaintext(left: &DecryptResponse, right: &DecryptResponse) -> bool {
    left.plaintext.expose_secret() == right.plaintext.expose_secret()
}

fn same_shares(left: &RecoverResponse, right: &RecoverResponse) -> bool {
    let shares = |response: &RecoverResponse| -> Vec<(i64, [u8; 32])> {
        response.shards.iter().map(|(index, shard)| (*index, *shard.expose_secret())).collect()
    };
    shares(left) == shares(right)
}

fn same_share(left: &ShardResponse, right: &ShardResponse) -> bool {
    left.shard.expose_secret() == right.shard.expose_secret() && right.shard.is_whole()
}
