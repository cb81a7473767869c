//! The bodies of wire-api 7 and 8, in both directions.

use time::macros::datetime;

use super::super::*;
use super::{json, shard, shard_json};

/// Decodes an example, and encodes it to the same JSON again.
macro_rules! assert_round_trip {
    ($type:ty, $body:expr) => {
        let body = $body;
        let decoded = <$type>::decode(body.as_bytes()).unwrap();
        assert_eq!(json(&decoded.encode()), json(body.as_bytes()), stringify!($type));
    };
}

#[test]
fn every_request_of_the_reference_is_read_and_written() {
    assert_round_trip!(
        SecretPutRequest,
        r#"{"path":"tenants/acme/db","values":{"user":"root","pass":"s3cret"}}"#
    );
    assert_round_trip!(SecretGetRequest, r#"{"path":"tenants/acme/db","version":2}"#);
    assert_round_trip!(SecretGetRequest, r#"{"path":"tenants/acme/db"}"#);
    assert_round_trip!(SecretVersionsRequest, r#"{"path":"tenants/acme/db","versions":[1,2]}"#);
    assert_round_trip!(SecretListRequest, "{}");
    assert_round_trip!(SecretListRequest, r#"{"prefix":"a/","after":"a/b","limit":100}"#);
    assert_round_trip!(
        PolicyPutRequest,
        r#"{"name":"web-service-policy","spiffeidPattern":"^spiffe://example\\.org/web-service/.*$","pathPattern":"^secrets/web-service/database$","permissions":["read","write"]}"#
    );
    assert_round_trip!(
        PolicyPutRequest,
        r#"{"name":"n","spiffeidPattern":"s","pathPattern":"p","permissions":[],"createOnly":true}"#
    );
    assert_round_trip!(PolicyNameRequest, r#"{"id":"web-service-policy"}"#);
    assert_round_trip!(PolicyListRequest, r#"{"spiffeidPattern":"","pathPattern":""}"#);
    assert_round_trip!(EncryptRequest, r#"{"plaintext":"aGVsbG8="}"#);
    assert_round_trip!(
        DecryptRequest,
        r#"{"version":1,"nonce":"WyDlwa/g7MhfhHHl","ciphertext":"MC1YpTYT2vQ3i7fVbADBU2cOKTm1"}"#
    );
    assert_round_trip!(EmptyRequest, "{}");
    assert_round_trip!(RestoreRequest, format!(r#"{{"id":1,"shard":{}}}"#, shard_json(212)));
    assert_round_trip!(
        VerifyRequest,
        r#"{"nonce":"5Wc59RU7B9DTANzk","ciphertext":"R6IOwJElUQ/ch2RbG/Pz4nMMyH8ykq8o7C/XATh0+Ec+7sHYAd+eLXADhstEHCLxx6haz7REOGU9IrQCQvuHj18SfquQ246+g2HHHS8Jy0w="}"#
    );
    assert_round_trip!(ContributeRequest, format!(r#"{{"shard":{}}}"#, shard_json(212)));
}

#[test]
fn every_answer_of_the_reference_is_read_and_written() {
    assert_round_trip!(EmptyResponse, "{}");
    assert_round_trip!(SecretGetResponse, r#"{"data":{"pass":"s3cret","user":"root"}}"#);
    assert_round_trip!(SecretGetResponse, r#"{"data":{}}"#);
    assert_round_trip!(SecretGetResponse, r#"{"data":null}"#);
    assert_round_trip!(SecretListResponse, r#"{"keys":["tenants/acme/db","tenants/beta/api"]}"#);
    assert_round_trip!(SecretListResponse, r#"{"keys":[]}"#);
    assert_round_trip!(SecretListResponse, r#"{"keys":["a","b"],"next":"b"}"#);
    assert_round_trip!(
        SecretMetadataResponse,
        r#"{"versions":{"1":{"createdTime":"2026-01-20T04:33:41.5Z","version":1,"deletedTime":"2026-01-20T05:00:00Z"},
            "2":{"createdTime":"2026-01-20T04:40:00.123456789Z","version":2,"deletedTime":null}},
            "metadata":{"currentVersion":2,"oldestVersion":2,"createdTime":"2026-01-20T04:33:41.5Z","updatedTime":"2026-01-20T04:40:00.123456789Z","maxVersions":10}}"#
    );
    assert_round_trip!(PolicyPutResponse, "{}");
    assert_round_trip!(PolicyPutResponse, r#"{"id":"web-service-policy"}"#);
    assert_round_trip!(
        EncryptResponse,
        r#"{"version":1,"nonce":"WyDlwa/g7MhfhHHl","ciphertext":"MC1YpTYT2vQ3i7fVbADBU2cOKTm1"}"#
    );
    assert_round_trip!(DecryptResponse, r#"{"plaintext":"aGVsbG8="}"#);
    assert_round_trip!(DecryptResponse, r#"{"plaintext":null}"#);
    assert_round_trip!(
        RecoverResponse,
        format!(r#"{{"shards":{{"1":{},"2":{}}}}}"#, shard_json(212), shard_json(175))
    );
    assert_round_trip!(RestoreResponse, r#"{"collected":1,"remaining":1,"restored":false}"#);
    assert_round_trip!(RestoreResponse, r#"{"collected":2,"remaining":0,"restored":true}"#);
    assert_round_trip!(
        VerifyResponse,
        r#"{"hash":"4a1ef1db198770aaf9904d02931edf2a5495dd0295f0465279213976df133cdf"}"#
    );
    assert_round_trip!(ShardResponse, format!(r#"{{"shard":{},"Err":""}}"#, shard_json(212)));
}

#[test]
fn values_that_are_stored_as_json_are_sent_as_they_are() {
    let mut values = SecretValues::default();
    values.insert("user".into(), SecretText::from("root"));
    values.insert("pass".into(), SecretText::from("<s3&cret>\u{2028}"));
    let stored = values.to_json_object();
    let around = |stored: &[u8]| {
        let written = SecretGetResponse::encode_stored(|out| {
            out.extend_from_slice(stored);
            Ok::<_, std::convert::Infallible>(())
        });
        written.unwrap()
    };
    let body = around(&stored);
    assert_eq!(body, r#"{"data":{"pass":"\u003cs3\u0026cret\u003e\u2028","user":"root"}}"#);
    assert_eq!(body, SecretGetResponse { data: Some(values) }.encode());
    assert_eq!(around(b"null"), r#"{"data":null}"#);
}

/// Each had 2 KiB, for as long as its peer did not take it.
#[test]
fn an_answer_with_a_short_value_has_the_memory_that_it_needs_and_no_more() {
    let stored = br#"{"k":"v"}"#;
    let body = SecretGetResponse::encode_stored(|out| {
        // The store reserves the length of the ciphertext: a tag more than the value.
        out.reserve_exact(stored.len() + 16);
        out.extend_from_slice(stored);
        Ok::<_, std::convert::Infallible>(())
    });
    let body = body.unwrap();
    let length = body.len();
    assert!(Vec::from(body).capacity() <= length + 16);
}

#[test]
fn stored_values_are_read_back_and_null_is_told_from_empty() {
    let values = SecretValues::from_json_object(br#"{"k":"v","n":null}"#).unwrap().unwrap();
    assert_eq!(values.get("k").unwrap().expose_secret(), "v");
    assert_eq!(values.get("n").unwrap().expose_secret(), "");
    assert!(SecretValues::from_json_object(b"{}").unwrap().unwrap().is_empty());
    assert!(SecretValues::from_json_object(b"null").unwrap().is_none());
    for broken in ["", "[]", r#"{"k":1}"#, "{}x"] {
        assert!(SecretValues::from_json_object(broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn a_put_without_values_is_read_as_one_without_any() {
    for body in [r#"{"path":"p","values":null}"#, r#"{"path":"p","values":{}}"#] {
        let request = SecretPutRequest::decode(body.as_bytes()).unwrap();
        let values = request.values.map(|values| values.len());
        assert_eq!((request.path.as_str(), values), ("p", Some(0)), "{body}");
    }
}

#[test]
fn a_put_whose_body_has_no_such_key_is_told_from_one_without_values() {
    for body in [r#"{"path":"p"}"#, r#"{"path":"p","version":2}"#, "null"] {
        assert!(SecretPutRequest::decode(body.as_bytes()).unwrap().values.is_none(), "{body}");
    }
    assert_round_trip!(SecretPutRequest, r#"{"path":"p"}"#);
    assert_round_trip!(SecretPutRequest, r#"{"path":"p","values":{}}"#);
}

#[test]
fn metadata_is_asked_for_as_upstream_does_unless_deleted_versions_are_meant() {
    let body = r#"{"path":"tenants/acme/db","version":2}"#;
    assert_round_trip!(SecretMetadataRequest, body);
    assert_eq!(
        SecretMetadataRequest::decode(body.as_bytes()).unwrap().encode(),
        SecretGetRequest::decode(body.as_bytes()).unwrap().encode()
    );
    assert_round_trip!(SecretMetadataRequest, r#"{"path":"p","includeDeleted":true}"#);
}

#[test]
fn the_keys_of_maps_with_integer_keys_are_sorted_as_text() {
    let version = VersionMetadata { created_time: ZERO_TIME, version: 0, deleted_time: None };
    let response = SecretMetadataResponse {
        versions: [1, 2, 10].map(|number| (number, version)).into(),
        metadata: SecretMetadata::default(),
    };
    let body = String::from_utf8(response.encode().to_vec()).unwrap();
    let places = ["\"1\":", "\"10\":", "\"2\":"].map(|key| body.find(key).unwrap());
    assert!(places.is_sorted(), "{body}");

    let shards = RecoverResponse { shards: [1, 2, 10].map(|index| (index, shard(9))).into() };
    let body = String::from_utf8(shards.encode().to_vec()).unwrap();
    let places = ["\"1\":", "\"10\":", "\"2\":"].map(|key| body.find(key).unwrap());
    assert!(places.is_sorted(), "{body}");
}

#[test]
fn metadata_without_versions_leaves_the_map_out() {
    let body = SecretMetadataResponse::default().encode();
    assert_eq!(
        body,
        r#"{"metadata":{"currentVersion":0,"oldestVersion":0,"createdTime":"0001-01-01T00:00:00Z","updatedTime":"0001-01-01T00:00:00Z","maxVersions":0}}"#
    );
}

#[test]
fn a_policy_is_written_under_both_spellings_with_its_name_as_id() {
    let policy = Policy {
        name: "web".into(),
        spiffeid_pattern: "^spiffe://x$".into(),
        path_pattern: "^a$".into(),
        permissions: vec!["read".into()],
        created_at: datetime!(2026-01-20 04:33:41 UTC),
        updated_at: datetime!(2026-01-20 05:33:41.25 +1),
    };
    let body = policy.encode();
    assert_eq!(
        body,
        r#"{"id":"web","name":"web","spiffiedPattern":"^spiffe://x$","spiffeidPattern":"^spiffe://x$","pathPattern":"^a$","permissions":["read"],"createdAt":"2026-01-20T04:33:41Z","updatedAt":"2026-01-20T04:33:41.25Z"}"#
    );
    assert_eq!(Policy::decode(&body).unwrap(), policy);
}

#[test]
fn a_policy_is_read_under_either_spelling() {
    for key in ["spiffiedPattern", "spiffeidPattern"] {
        let body = format!(
            r#"{{"id":"","name":"web","{key}":"^spiffe://x$","pathPattern":"","permissions":null}}"#
        );
        let policy = Policy::decode(body.as_bytes()).unwrap();
        assert_eq!(
            (policy.name.as_str(), policy.spiffeid_pattern.as_str()),
            ("web", "^spiffe://x$")
        );
        assert_eq!((policy.permissions.len(), policy.created_at), (0, ZERO_TIME));
    }
}

#[test]
fn a_list_of_policies_names_each_twice_and_is_read_from_upstream_too() {
    let response = PolicyListResponse { names: vec!["a".into(), "b".into()], next: None };
    let body = response.encode();
    assert_eq!(body, r#"{"policies":[{"id":"a","name":"a"},{"id":"b","name":"b"}]}"#);
    assert_eq!(PolicyListResponse::decode(&body).unwrap(), response);
    let upstream = br#"{"policies":[{"id":"","name":"b"},{"id":"","name":"a"}]}"#;
    assert_eq!(PolicyListResponse::decode(upstream).unwrap().names, ["b", "a"]);
    assert_eq!(PolicyListResponse::default().encode(), r#"{"policies":[]}"#);
    assert!(PolicyListResponse::decode(br#"{"policies":null}"#).unwrap().names.is_empty());
}

#[test]
fn a_share_that_is_missing_has_no_elements_and_is_zero() {
    for body in
        ["{}", "null", r#"{"shard":null}"#, r#"{"shard":[]}"#, r#"{"shard":null,"Err":"x"}"#]
    {
        let shard = ShardResponse::decode(body.as_bytes()).unwrap().shard;
        assert_eq!(
            (shard.elements(), shard.is_whole(), shard.is_zero()),
            (0, false, true),
            "{body}"
        );
    }
}

#[test]
fn a_share_keeps_how_many_elements_it_had() {
    let list = |count: usize| format!(r#"{{"shard":[{}]}}"#, vec!["7"; count].join(","));
    for (count, whole) in [(1, false), (31, false), (32, true), (33, false), (1000, false)] {
        let shard = ContributeRequest::decode(list(count).as_bytes()).unwrap().shard;
        assert_eq!((shard.elements(), shard.is_whole()), (count, whole));
        let filled = count.min(32);
        assert_eq!(shard.expose_secret()[..filled], vec![7; filled]);
        assert_eq!(shard.expose_secret()[filled..], vec![0; 32 - filled]);
    }
}

#[test]
fn a_share_with_a_null_element_is_not_whole() {
    let body = shard_json(7).replacen(",200]", ",null]", 1);
    let shard =
        ContributeRequest::decode(format!(r#"{{"shard":{body}}}"#).as_bytes()).unwrap().shard;
    assert_eq!((shard.elements(), shard.is_whole(), shard.expose_secret()[31]), (32, false, 0));
}

#[test]
fn shares_taken_out_keep_their_index_even_if_one_is_null() {
    let body = format!(r#"{{"shards":{{"1":{},"2":null}}}}"#, shard_json(212));
    let shards = RecoverResponse::decode(body.as_bytes()).unwrap().shards;
    assert_eq!(shards[&1].expose_secret()[0], 212);
    assert_eq!(shards[&2].elements(), 0);
    assert!(RecoverResponse::decode(br#"{"shards":{"x":[1]}}"#).is_err());
    assert!(RecoverResponse::decode(br#"{"shards":null}"#).unwrap().shards.is_empty());
}

#[test]
fn times_are_written_in_utc_with_no_digit_too_many() {
    for (time, text) in [
        (ZERO_TIME, "0001-01-01T00:00:00Z"),
        (datetime!(2026-01-20 04:33:41 UTC), "2026-01-20T04:33:41Z"),
        (datetime!(2026-01-20 04:33:41.5 UTC), "2026-01-20T04:33:41.5Z"),
        (datetime!(2026-01-20 04:33:41.123456789 UTC), "2026-01-20T04:33:41.123456789Z"),
        (datetime!(2026-01-20 04:33:41.000000120 UTC), "2026-01-20T04:33:41.00000012Z"),
        (datetime!(2026-01-20 01:33:41 +3), "2026-01-19T22:33:41Z"),
        (datetime!(-0044-03-15 12:00 UTC), "0001-01-01T00:00:00Z"),
    ] {
        assert_eq!(format_timestamp(time), text);
    }
}

#[test]
fn any_rfc_3339_time_is_read() {
    for (text, time) in [
        ("0001-01-01T00:00:00Z", ZERO_TIME),
        ("2026-01-20T04:33:41.5+03:00", datetime!(2026-01-20 01:33:41.5 UTC)),
        ("2026-01-20T04:33:41.1234567891Z", datetime!(2026-01-20 04:33:41.123456789 UTC)),
    ] {
        assert_eq!(parse_timestamp(text), Some(time), "{text}");
    }
    for text in ["", "2026-01-20", "2026-01-20 04:33:41", "2026-13-20T04:33:41Z", "yesterday"] {
        assert_eq!(parse_timestamp(text), None, "{text}");
    }
}
