//! The rules of versions, N1 to N6, over mTLS with our own client (wire-api 7; F6, F8, F10, Q-21, Q-22, Q-29, Q-41).

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use http::StatusCode;
use spike_mtls::client::{CallError, NexusClient};
use spike_tests::{
    Running,
    secrets::{get, put, value_of, versions},
};
use spike_wire::{SecretListRequest, SecretMetadataRequest};
use tokio::task::JoinSet;

use crate::scenario;

/// The number of concurrent writers to one path.
const WRITERS: usize = 64;

/// A cluster in which `a/b` has as many versions as asked for, the value of each being its number.
async fn with_versions(count: usize) -> Result<(Running, NexusClient)> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    for number in 1..=count {
        superuser.put_secret(&put("a/b", &[("n", &number.to_string())])).await?;
    }
    Ok((cluster, superuser))
}

fn is_not_found<T>(answer: Result<T, CallError>) -> bool {
    answer.is_err_and(|error| error.status() == Some(StatusCode::NOT_FOUND))
}

#[tokio::test]
async fn each_put_makes_a_version_with_its_own_values_and_nothing_is_merged() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&put("a/b", &[("user", "app"), ("pass", "1")])).await?;
    superuser.put_secret(&put("a/b", &[("pass", "2")])).await?;
    assert_eq!(value_of(&superuser, "a/b", 0, "pass").await?, "2");
    assert!(value_of(&superuser, "a/b", 0, "user").await.is_err());
    assert_eq!(value_of(&superuser, "a/b", 2, "pass").await?, "2");
    assert_eq!(value_of(&superuser, "a/b", 1, "user").await?, "app");
    assert!(is_not_found(superuser.get_secret(&get("a/b", 3)).await));
    assert!(is_not_found(superuser.get_secret(&get("a", 0)).await));
    cluster.stop().await
}

#[tokio::test]
async fn a_value_comes_back_byte_for_byte() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let long = "x".repeat(1_000_000);
    for value in ["", "\0", "two\r\nlines\n", "\u{2028}<&>\"\\", "Ä 🔑 \u{10ffff}", long.as_str()]
    {
        superuser.put_secret(&put("a/b", &[("k", value)])).await?;
        assert!(value_of(&superuser, "a/b", 0, "k").await? == value, "{:?}", value.get(..20));
    }
    cluster.stop().await
}

/// Paths are not normalised: these are all different secrets.
#[tokio::test]
async fn a_path_is_taken_as_it_is_written() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let paths = ["/a/b", "a/../b", "a//b", "a/b", "a/b/"];
    for path in paths {
        superuser.put_secret(&put(path, &[("path", path)])).await?;
    }
    for path in paths {
        assert_eq!(value_of(&superuser, path, 0, "path").await?, path);
    }
    let listed = superuser.list_secrets(&SecretListRequest::default()).await?;
    assert_eq!(listed.keys, paths);
    cluster.stop().await
}

/// Q-44.
#[tokio::test]
async fn the_names_that_gate_permissions_hold_no_secrets() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    for path in ["spike/system/acl", "spike/system/secret", "spike/system/cipher/exec"] {
        let refused = superuser.put_secret(&put(path, &[("k", "v")])).await;
        assert_eq!(refused.unwrap_err().status(), Some(StatusCode::BAD_REQUEST), "{path}");
    }
    superuser.put_secret(&put("spike/system/other", &[("k", "v")])).await?;
    cluster.stop().await
}

/// What deleting twice does to the time is upstream's (docs/wire-api.md, N3).
#[tokio::test]
async fn deleting_twice_takes_the_second_time() -> Result<()> {
    let (cluster, superuser) = with_versions(2).await?;
    let mut times = Vec::new();
    for _ in 0..2 {
        superuser.delete_secret(&versions("a/b", &[1])).await?;
        let known = superuser.secret_metadata(&get("a/b", 0)).await?;
        times.push(known.versions[&1].deleted_time.context("not deleted")?);
    }
    assert!(times[0] < times[1], "{times:?}");
    cluster.stop().await
}

/// A typo in the query is a put; so upstream empties the secret that somebody wanted to read.
#[tokio::test]
async fn a_body_without_values_does_not_empty_the_secret() -> Result<()> {
    let (cluster, superuser) = with_versions(1).await?;
    for target in ["/v1/store/secrets", "/v1/store/secrets?Action=get", "/v1/store/secrets?action="]
    {
        let answer = cluster.post(target, r#"{"path":"a/b"}"#).await?;
        assert_eq!(answer.status_and_body(), (400, r#"{"err":"api_bad_request"}"#), "{target}");
        let reason = answer.json()["reason"].to_string();
        assert!(reason.contains("values: the key is missing"), "{target}: {reason}");
    }
    assert_eq!(value_of(&superuser, "a/b", 0, "n").await?, "1");
    for (version, values) in [(2, "{}"), (3, "null")] {
        let body = format!(r#"{{"path":"a/b","values":{values}}}"#);
        assert_eq!(cluster.post("/v1/store/secrets", body).await?.status_and_body(), (200, "{}"));
        let read = superuser.get_secret(&get("a/b", version)).await?;
        assert!(read.data.is_none_or(|values| values.is_empty()), "{version}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn deleting_the_current_version_brings_the_one_before_it_back() -> Result<()> {
    let (cluster, superuser) = with_versions(3).await?;
    superuser.delete_secret(&versions("a/b", &[])).await?;
    assert_eq!(value_of(&superuser, "a/b", 0, "n").await?, "2");
    assert!(is_not_found(superuser.get_secret(&get("a/b", 3)).await));
    superuser.delete_secret(&versions("a/b", &[1])).await?;
    let known = superuser.secret_metadata(&get("a/b", 0)).await?;
    assert_eq!((known.metadata.current_version, known.metadata.oldest_version), (2, 2));
    let deleted: Vec<i64> = known
        .versions
        .iter()
        .filter_map(|(number, version)| version.deleted_time.map(|_| *number))
        .collect();
    assert_eq!(deleted, [1, 3]);
    superuser.undelete_secret(&versions("a/b", &[3, 1, 77])).await?;
    assert_eq!(value_of(&superuser, "a/b", 0, "n").await?, "3");
    assert!(is_not_found(superuser.undelete_secret(&versions("a/b", &[3])).await));
    cluster.stop().await
}

/// F6, Q-29: upstream gives the number of the deleted version to the next one and loses it for good.
#[tokio::test]
async fn a_put_after_a_delete_takes_a_new_number_and_the_deleted_version_can_come_back()
-> Result<()> {
    let (cluster, superuser) = with_versions(2).await?;
    superuser.delete_secret(&versions("a/b", &[2])).await?;
    superuser.put_secret(&put("a/b", &[("n", "3")])).await?;
    assert_eq!(value_of(&superuser, "a/b", 3, "n").await?, "3");
    superuser.undelete_secret(&versions("a/b", &[2])).await?;
    assert_eq!(value_of(&superuser, "a/b", 2, "n").await?, "2");
    cluster.stop().await
}

/// F10, Q-41: upstream leaves the oldest version at 0.
#[tokio::test]
async fn a_secret_that_is_all_deleted_stays_listed_and_a_put_revives_it() -> Result<()> {
    let (cluster, superuser) = with_versions(2).await?;
    superuser.delete_secret(&versions("a/b", &[1, 2])).await?;
    assert!(is_not_found(superuser.get_secret(&get("a/b", 0)).await));
    assert!(is_not_found(superuser.secret_metadata(&get("a/b", 0)).await));
    let any =
        |version| SecretMetadataRequest { path: "a/b".to_owned(), version, include_deleted: true };
    for version in [0, 1, 2] {
        let known = superuser.any_secret_metadata(&any(version)).await?;
        assert_eq!(known.versions.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert!(known.versions.values().all(|version| version.deleted_time.is_some()), "{known:?}");
        assert_eq!((known.metadata.current_version, known.metadata.oldest_version), (0, 0));
    }
    assert!(is_not_found(superuser.any_secret_metadata(&any(3)).await));
    assert_eq!(superuser.list_secrets(&SecretListRequest::default()).await?.keys, ["a/b"]);
    superuser.put_secret(&put("a/b", &[("n", "3")])).await?;
    let known = superuser.secret_metadata(&get("a/b", 0)).await?.metadata;
    assert_eq!((known.current_version, known.oldest_version), (3, 3));
    cluster.stop().await
}

/// F8, Q-22: upstream drops old versions from the metadata only, and their rows stay readable.
#[tokio::test]
async fn what_exceeds_the_limit_is_gone_lowest_number_first() -> Result<()> {
    let (cluster, superuser) = with_versions(12).await?;
    for pruned in [1, 2] {
        assert!(is_not_found(superuser.get_secret(&get("a/b", pruned)).await), "{pruned}");
        assert!(is_not_found(superuser.undelete_secret(&versions("a/b", &[pruned])).await));
    }
    assert_eq!(value_of(&superuser, "a/b", 3, "n").await?, "3");
    let known = superuser.secret_metadata(&get("a/b", 0)).await?;
    assert_eq!(known.versions.keys().copied().collect::<Vec<_>>(), (3..=12).collect::<Vec<_>>());
    assert_eq!(known.metadata.max_versions, 10);
    assert_eq!((known.metadata.current_version, known.metadata.oldest_version), (12, 3));
    assert!(known.metadata.created_time <= known.metadata.updated_time);
    cluster.stop().await
}

#[tokio::test]
async fn a_list_is_sorted_by_bytes_and_can_be_asked_for_by_prefix_and_page() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    for path in ["b/1", "a/2", "A/1", "a/10", "a/1"] {
        superuser.put_secret(&put(path, &[])).await?;
    }
    let all = superuser.list_secrets(&SecretListRequest::default()).await?;
    assert_eq!(all.keys, ["A/1", "a/1", "a/10", "a/2", "b/1"]);
    assert_eq!(all.next, None);
    let mut page = SecretListRequest { prefix: "a/".to_owned(), limit: 2, ..Default::default() };
    let first = superuser.list_secrets(&page).await?;
    assert_eq!(
        (first.keys, first.next.as_deref()),
        (vec!["a/1".into(), "a/10".into()], Some("a/10"))
    );
    page.after = "a/10".to_owned();
    let second = superuser.list_secrets(&page).await?;
    assert_eq!((second.keys, second.next), (vec!["a/2".to_owned()], None));
    cluster.stop().await
}

/// Q-32, Q-33: upstream loses updates, or its process.
#[tokio::test]
async fn writers_that_meet_at_one_path_each_get_a_version_of_their_own() -> Result<()> {
    let cluster = scenario().setting("SPIKE_NEXUS_MAX_SECRET_VERSIONS", "100").start().await?;
    let superuser = cluster.superuser()?;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let client = superuser.clone();
        writers.spawn(async move {
            client.put_secret(&put("meeting", &[("writer", &writer.to_string())])).await
        });
    }
    for written in writers.join_all().await {
        written?;
    }
    let known = superuser.secret_metadata(&get("meeting", 0)).await?;
    assert_eq!(known.metadata.current_version, i64::try_from(WRITERS)?);
    let mut seen = BTreeSet::new();
    for number in known.versions.keys() {
        seen.insert(value_of(&superuser, "meeting", *number, "writer").await?);
    }
    assert_eq!(seen, (0..WRITERS).map(|writer| writer.to_string()).collect());
    cluster.stop().await
}
