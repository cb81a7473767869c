//! Routes (wire-api 1.1, 3.1, 10.2). What each row says is in `docs/wire-api.md`, which `table` holds.

use std::collections::BTreeSet;

use super::super::{KeeperOperation, Operation};

#[test]
fn a_request_for_an_operation_is_recognised_as_that_operation() {
    for &operation in Operation::ALL {
        let (path, query) = split(operation.path_and_query());
        assert_eq!(Operation::from_request(path, query), Some(operation));
        let action = query.map_or("", |query| query.strip_prefix("action=").unwrap());
        assert_eq!((path, action), (operation.path(), operation.action()));
    }
    for &operation in KeeperOperation::ALL {
        let (path, query) = split(operation.path_and_query());
        assert_eq!(KeeperOperation::from_request(path, query), Some(operation));
        assert_eq!((path, query), (operation.path(), None));
    }
}

#[test]
fn path_and_action_are_matched_exactly() {
    for (path, query, operation) in [
        ("/v1/store/secrets", None, Some(Operation::SecretPut)),
        ("/v1/store/secrets", Some(""), Some(Operation::SecretPut)),
        ("/v1/store/secrets", Some("action="), Some(Operation::SecretPut)),
        ("/v1/store/secrets", Some("x=y"), Some(Operation::SecretPut)),
        ("/v1/store/secrets", Some("action=list;x=1"), Some(Operation::SecretPut)),
        ("/v1/store/secrets", Some("action=list&action=get"), Some(Operation::SecretList)),
        ("/v1/store/secrets", Some("action=LIST"), None),
        ("/v1/store/secrets", Some("action=check"), None),
        ("/v1/store/secrets/", None, None),
        ("/V1/store/secrets", None, None),
        ("/v1/store/secrets/metadata", None, None),
        ("/v1/cipher/encrypt", Some("action=get"), None),
        ("/v1/operator/recover", Some("action=get"), None),
        ("/v1/auth/initialization", None, None),
        ("/v1/store/contribute", None, None),
        ("/v1/store/keep", None, None),
        ("", None, None),
    ] {
        assert_eq!(Operation::from_request(path, query), operation, "{path} {query:?}");
    }
    assert_eq!(KeeperOperation::from_request("/v1/store/secrets", None), None);
    assert_eq!(KeeperOperation::from_request("/v1/store/shard", Some("action=get")), None);
}

#[test]
fn labels_differ_and_are_fit_for_metrics() {
    let labels: BTreeSet<_> = Operation::ALL
        .iter()
        .map(|operation| operation.label())
        .chain(KeeperOperation::ALL.iter().map(|operation| operation.label()))
        .collect();
    assert_eq!(labels.len(), Operation::ALL.len() + KeeperOperation::ALL.len());
    for label in labels {
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{label}");
    }
    assert_eq!(Operation::SecretGet.to_string(), "secret_get");
}

fn split(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}
