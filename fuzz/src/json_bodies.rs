//! Every request body, as the daemons decode it. The first line is its name.

use std::convert::Infallible;

use spike_wire::{BodyKind, MAX_DEPTH, SecretGetResponse, SecretValues};

use crate::json::{self, depth, is_json, named, same_values, survives, survives_as_declared};

/// See the module.
pub fn check(data: &[u8]) -> bool {
    match named(data) {
        Some(("EmptyRequest", body)) => empty(body),
        Some(("stored values", row)) => stored_values(row),
        Some((name, body)) => survives_as_declared(name, body, |kind| kind == BodyKind::Request),
        None => false,
    }
}

/// Where it begins.
pub fn examples() -> Vec<Vec<u8>> {
    json::examples(|kind| kind == BodyKind::Request)
}

/// The one body with a complete specification: any object within the bounds is valid, and nothing else.
fn empty(body: &[u8]) -> bool {
    let begins = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let expected = is_json(body) && matches!(begins, Some(b'{' | b'n')) && depth(body) <= MAX_DEPTH;
    let accepted = survives_as_declared("EmptyRequest", body, |kind| kind == BodyKind::Request);
    assert_eq!(accepted, expected, "the reader and serde_json differ on what is an object");
    accepted
}

/// The values of a secret, as a row of the store has them.
fn stored_values(row: &[u8]) -> bool {
    let decode = |json: &[u8]| SecretValues::from_json_object(json).map(Option::unwrap_or_default);
    let rewrite = |json: &[u8]| decode(json).map(|values| values.to_json_object().to_vec());
    let same = |one: &[u8], again: &[u8]| {
        decode(one).is_ok_and(|one| decode(again).is_ok_and(|again| same_values(&one, &again)))
    };
    let accepted = survives(row, rewrite, same);
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
