//! Secrets are not shown, in no body and no error.

use super::super::{
    ContributeRequest, DecryptResponse, EncryptRequest, RecoverResponse, RestoreRequest,
    SecretBytes, SecretGetResponse, SecretPutRequest, SecretText, SecretValues, ShardResponse,
};
use super::shard;
use zeroize::Zeroizing;

const PLANTED: &str = "hunter2";

fn planted_values() -> SecretValues {
    SecretValues::from_iter([("user".to_owned(), SecretText::from(PLANTED))])
}

#[test]
fn the_debug_text_of_a_body_names_no_value() {
    let plaintext = || SecretBytes::from(PLANTED.as_bytes());
    let shown = [
        format!("{:?}", SecretText::from(PLANTED)),
        format!("{:?}", planted_values().get("user")),
        format!("{:?}", plaintext()),
        format!("{:?}", planted_values()),
        format!("{:?}", SecretPutRequest { path: "p".into(), values: Some(planted_values()) }),
        format!("{:?}", SecretGetResponse { data: Some(planted_values()) }),
        format!("{:?}", EncryptRequest { plaintext: plaintext() }),
        format!("{:?}", DecryptResponse { plaintext: plaintext() }),
        format!("{:?}", shard(123)),
        format!("{:?}", RecoverResponse { shards: [(1, shard(123))].into() }),
        format!("{:?}", RestoreRequest { id: 1, shard: shard(123), more: false }),
        format!("{:?}", ContributeRequest { shard: shard(123) }),
        format!("{:?}", ShardResponse { shard: shard(123) }),
    ];
    for text in shown {
        assert!(text.contains("REDACTED"), "{text}");
        // The value, its first bytes as numbers, and those of the share.
        for value in [PLANTED, "104, 117", "123", "200"] {
            assert!(!text.contains(value), "{text}");
        }
    }
}

#[test]
fn an_error_names_the_place_and_not_the_content() {
    let body = format!(r#"{{"path":"p","values":{{"user":"{PLANTED}","n":{{}}}}}}"#);
    let error = SecretPutRequest::decode(body.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "malformed JSON at byte 43: expected a string");
}

#[test]
fn names_are_shown_and_sorted() {
    let values: SecretValues = ["b", "a", "B"]
        .map(|name| (name.to_owned(), SecretText::from(PLANTED)))
        .into_iter()
        .collect();
    assert_eq!(values.names().collect::<Vec<_>>(), ["B", "a", "b"]);
    assert_eq!((values.len(), values.is_empty()), (3, false));
    assert!(format!("{values:?}").contains("\"B\""));
}

#[test]
fn what_is_taken_over_is_the_same_whether_or_not_it_had_room_to_spare() {
    let mut roomy = String::with_capacity(100);
    roomy.push_str(PLANTED);
    assert_eq!(SecretText::from(roomy).expose_secret(), PLANTED);
    assert_eq!(SecretText::from(PLANTED.to_owned()).expose_secret(), PLANTED);

    let mut roomy = Zeroizing::new(Vec::with_capacity(100));
    roomy.extend_from_slice(PLANTED.as_bytes());
    assert_eq!(SecretBytes::from(roomy).expose_secret(), PLANTED.as_bytes());
    let exact = Zeroizing::new(PLANTED.as_bytes().to_vec());
    assert_eq!(SecretBytes::from(exact).expose_secret(), PLANTED.as_bytes());
}
