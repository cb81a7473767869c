//! Reading and writing, compared with Go and `serde_json`, and with invalid input.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::super::{
    DecryptRequest, EncryptRequest, ErrorReply, JsonError, Policy, RecoverResponse, RestoreRequest,
    SecretGetRequest, SecretMetadataResponse, SecretPutRequest, SecretValues,
    SecretVersionsRequest,
};
use super::*;

/// How upstream's types read a body; `generate.go` produced it.
#[derive(Deserialize)]
struct Vector {
    kind: String,
    body: String,
    go: Option<String>,
}

#[test]
fn bodies_are_read_and_written_as_go_reads_and_writes_them() {
    check_vectors(include_str!("vectors/vectors.json"));
}

fn check_vectors(lines: &str) {
    let mut seen = 0;
    for line in lines.lines() {
        let vector: Vector = serde_json::from_str(line).unwrap();
        let body = STANDARD.decode(&vector.body).unwrap();
        let ours = rewrite(&vector.kind, &body).ok();
        let ours = ours.map(|body| String::from_utf8(body.to_vec()).unwrap());
        assert_eq!(ours, vector.go, "{}: {}", vector.kind, body.escape_ascii());
        seen += 1;
    }
    assert!(seen > 500, "all vectors are there");
}

fn rewrite(kind: &str, body: &[u8]) -> Result<Bytes, JsonError> {
    Ok(match kind {
        "put" => {
            let mut put = SecretPutRequest::decode(body)?;
            // Go's type cannot tell that the key is missing; ours does.
            put.values.get_or_insert_default();
            put.encode()
        }
        "get" => SecretGetRequest::decode(body)?.encode(),
        "versions" => SecretVersionsRequest::decode(body)?.encode(),
        "encrypt" => EncryptRequest::decode(body)?.encode(),
        "decrypt" => DecryptRequest::decode(body)?.encode(),
        "restore" => RestoreRequest::decode(body)?.encode(),
        other => panic!("unknown kind {other}"),
    })
}

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let deepest = nested(MAX_DEPTH - 1);
    assert!(SecretGetRequest::decode(deepest.as_bytes()).is_ok());
    let too_deep = SecretGetRequest::decode(nested(MAX_DEPTH).as_bytes()).unwrap_err();
    assert_eq!(too_deep.to_string(), "malformed JSON at byte 68: nested too deeply");
    assert!(SecretGetRequest::decode(nested(1_000_000).as_bytes()).is_err());
    let side_by_side = format!("{{\"x\":[{}[]]}}", "[],".repeat(1000));
    assert!(SecretGetRequest::decode(side_by_side.as_bytes()).is_ok(), "depth is not count");
}

#[test]
fn the_place_of_an_error_is_named() {
    for (body, text) in [
        ("", "malformed JSON at byte 0: expected an object"),
        ("[]", "malformed JSON at byte 0: expected an object"),
        ("{} x", "malformed JSON at byte 3: expected the end"),
        (r#"{"path" 1}"#, "malformed JSON at byte 8: expected a colon"),
        (r#"{"path":1}"#, "malformed JSON at byte 8: expected a string"),
        ("{\"path\":\"ab\ncd\"}", "malformed JSON at byte 11: not a valid string"),
        (r#"{"version":1.5}"#, "malformed JSON at byte 14: expected an integer in range"),
        (r#"{"version":"1"}"#, "malformed JSON at byte 11: expected a value of another kind"),
    ] {
        assert_eq!(
            SecretGetRequest::decode(body.as_bytes()).unwrap_err().to_string(),
            text,
            "{body}"
        );
    }
}

#[test]
fn integers_are_written_as_they_are_elsewhere() {
    for value in [0, 1, 9, 10, 11, 99, 100, 101, 255, 1_000_000, -1, -10, i64::MAX, i64::MIN] {
        let text = body(|out| out.integer(value));
        assert_eq!(text, value.to_string());
    }
}

#[test]
fn a_body_fills_its_buffer_to_the_last_byte() {
    let written = secret_json(|out| {
        out.object(|out| {
            out.name("text").text("<\u{2029}\u{20ac}\"\u{0}>");
            out.name("bytes").bytes(b"12345");
            out.name("list").byte_list(&[0, 25, 255]);
        });
    });
    assert_eq!(
        String::from_utf8(written.to_vec()).unwrap(),
        "{\"text\":\"\\u003c\\u2029\u{20ac}\\\"\\u0000\\u003e\",\"bytes\":\"MTIzNDU=\",\"list\":[0,25,255]}"
    );
    assert_eq!(written.len(), written.capacity());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_serde_json_writes_is_passed_over(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        prop_assert!(decode(&text.unwrap(), Reader::skip).is_ok());
    }

    #[test]
    fn what_serde_json_refuses_is_refused(bytes in r#"[\[\]{}",:0-9.eE+\-\\untrfals \n]{0,12}"#) {
        // Both follow RFC 8259, save that we keep lone surrogates and numbers too large for a double.
        let ours = decode(bytes.as_bytes(), Reader::skip).is_ok();
        match serde_json::from_str::<Value>(&bytes) {
            Ok(_) => prop_assert!(ours),
            Err(error) if error.to_string().contains("number out of range") => prop_assert!(ours),
            Err(_) if bytes.contains("\\u") => {}
            Err(error) => prop_assert!(!ours, "{error}"),
        }
    }

    #[test]
    fn every_text_comes_back_from_its_json(text in any::<String>()) {
        let written = body(|out| out.text(&text));
        prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text.clone());
        let mut read = String::new();
        decode(&written, |reader| read.read(reader)).unwrap();
        prop_assert_eq!(read, text.clone());
        let theirs = serde_json::to_vec(&text).unwrap();
        let mut read = String::new();
        decode(&theirs, |reader| read.read(reader)).unwrap();
        prop_assert_eq!(read, text);
    }

    #[test]
    fn values_come_back_from_their_json(map: std::collections::BTreeMap<String, String>) {
        let values: SecretValues =
            map.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
        let stored = values.to_json_object();
        prop_assert_eq!(stored.len(), stored.capacity());
        let read = SecretValues::from_json_object(&stored).unwrap().unwrap();
        let read: Vec<_> = read.iter().map(|(name, text)| (name, text.expose_secret())).collect();
        prop_assert_eq!(read, map.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect::<Vec<_>>());
    }

    #[test]
    fn bytes_come_back_from_base64_and_from_a_list(bytes: Vec<u8>) {
        for written in [body(|out| out.bytes(&bytes)), body(|out| out.byte_list(&bytes))] {
            let mut read: Vec<u8> = Vec::new();
            decode(&written, |reader| read.read(reader)).unwrap();
            prop_assert_eq!(&read, &bytes);
        }
    }

    #[test]
    fn nonsense_is_refused_or_read_but_never_a_panic(bytes: Vec<u8>) {
        read_with_everything(&bytes);
    }

    #[test]
    fn near_misses_are_refused_or_read_but_never_a_panic(
        body in r#"\{("(path|values|versions?|shards?|id|err|plaintext|createdAt)":[\[{"0-9A-Za-z\\:,\]}\-.]{0,20},?){0,4}\}?"#,
        cut in any::<prop::sample::Index>(),
    ) {
        read_with_everything(body.as_bytes());
        read_with_everything(body.as_bytes().split_at(cut.index(body.len())).0);
    }
}

fn read_with_everything(bytes: &[u8]) {
    let outcomes = [
        decode(bytes, Reader::skip).is_ok(),
        SecretPutRequest::decode(bytes).is_ok(),
        SecretGetRequest::decode(bytes).is_ok(),
        SecretVersionsRequest::decode(bytes).is_ok(),
        SecretMetadataResponse::decode(bytes).is_ok(),
        EncryptRequest::decode(bytes).is_ok(),
        RestoreRequest::decode(bytes).is_ok(),
        RecoverResponse::decode(bytes).is_ok(),
        Policy::decode(bytes).is_ok(),
        ErrorReply::decode(bytes).code.is_some(),
    ];
    let [any_json, ..] = outcomes;
    assert!(any_json || outcomes.iter().all(|read| !read), "what is no JSON is no body either");
}
