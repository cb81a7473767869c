//! Every request body, as the daemons decode it. The first byte says which.

use std::convert::Infallible;

use spike_common::wire::{
    ContributeRequest, DecryptRequest, EmptyRequest, EncryptRequest, ExplainRequest, MAX_DEPTH,
    PolicyListRequest, PolicyNameRequest, PolicyPutRequest, RestoreRequest, SecretGetRequest,
    SecretGetResponse, SecretListRequest, SecretPutRequest, SecretValues, SecretVersionsRequest,
    VerifyRequest, WhoCanRequest,
};

use crate::json::{depth, is_json, same_values, survives};

/// See the module.
pub fn check(data: &[u8]) -> bool {
    let Some((selector, body)) = data.split_first() else { return false };
    match selector {
        b'a' => empty(body),
        b'b' => survives(body, SecretPutRequest::decode, SecretPutRequest::encode, same_secret),
        b'c' => survives(body, SecretGetRequest::decode, SecretGetRequest::encode, PartialEq::eq),
        b'd' => survives(
            body,
            SecretVersionsRequest::decode,
            SecretVersionsRequest::encode,
            PartialEq::eq,
        ),
        b'e' => survives(body, SecretListRequest::decode, SecretListRequest::encode, same_listing),
        b'f' => survives(body, PolicyPutRequest::decode, PolicyPutRequest::encode, PartialEq::eq),
        b'g' => survives(body, PolicyNameRequest::decode, PolicyNameRequest::encode, PartialEq::eq),
        b'h' => survives(body, PolicyListRequest::decode, PolicyListRequest::encode, PartialEq::eq),
        b'i' => survives(body, ExplainRequest::decode, ExplainRequest::encode, PartialEq::eq),
        b'j' => survives(body, WhoCanRequest::decode, WhoCanRequest::encode, PartialEq::eq),
        b'k' => survives(body, EncryptRequest::decode, EncryptRequest::encode, same_plaintext),
        b'l' => survives(body, DecryptRequest::decode, DecryptRequest::encode, PartialEq::eq),
        b'm' => survives(body, RestoreRequest::decode, RestoreRequest::encode, same_share),
        b'n' => survives(body, VerifyRequest::decode, VerifyRequest::encode, PartialEq::eq),
        b'o' => {
            survives(body, ContributeRequest::decode, ContributeRequest::encode, same_contribution)
        }
        b'p' => stored_values(body),
        _ => false,
    }
}

/// The one body of which everything is known: any object within the bounds will do, and nothing else.
fn empty(body: &[u8]) -> bool {
    let begins = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let expected = is_json(body) && matches!(begins, Some(b'{' | b'n')) && depth(body) <= MAX_DEPTH;
    let accepted = survives(body, EmptyRequest::decode, |request| request.encode(), PartialEq::eq);
    assert_eq!(accepted, expected, "the reader and serde_json differ on what is an object");
    accepted
}

/// The values of a secret, as a row of the store holds them.
fn stored_values(row: &[u8]) -> bool {
    let decode = |json: &[u8]| SecretValues::from_json_object(json).map(Option::unwrap_or_default);
    let accepted = survives(row, decode, SecretValues::to_json_object, same_values);
    if accepted {
        let Ok(body) = SecretGetResponse::encode_stored(|out| {
            out.extend_from_slice(row);
            Ok::<_, Infallible>(())
        });
        let answer = SecretGetResponse::decode(&body);
        let sent = answer.expect("a stored row can be sent as it is").data.unwrap_or_default();
        assert!(decode(row).is_ok_and(|stored| same_values(&stored, &sent)));
    }
    accepted
}

fn same_secret(left: &SecretPutRequest, right: &SecretPutRequest) -> bool {
    let same = match (&left.values, &right.values) {
        (Some(left), Some(right)) => same_values(left, right),
        (left, right) => left.is_none() && right.is_none(),
    };
    left.path == right.path && same
}

/// A limit below zero is none, like zero, and is not sent.
fn same_listing(left: &SecretListRequest, right: &SecretListRequest) -> bool {
    left.prefix == right.prefix && left.after == right.after && left.limit.max(0) == right.limit
}

fn same_plaintext(left: &EncryptRequest, right: &EncryptRequest) -> bool {
    left.plaintext.expose_secret() == right.plaintext.expose_secret()
}

/// A short share is filled up and a long one cut, so that what is sent is always whole.
fn same_share(left: &RestoreRequest, right: &RestoreRequest) -> bool {
    (left.id, left.more) == (right.id, right.more)
        && left.shard.expose_secret() == right.shard.expose_secret()
        && right.shard.is_whole()
}

fn same_contribution(left: &ContributeRequest, right: &ContributeRequest) -> bool {
    left.shard.expose_secret() == right.shard.expose_secret() && right.shard.is_whole()
}
