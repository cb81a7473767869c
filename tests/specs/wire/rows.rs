//! The conformance rows of wire-api 15. "P" is the superuser, "W" an ordinary workload without any policy.

use anyhow::Result;
use spike_daemon::settings::Backend;
use spike_tests::{Running, SUPERUSER};
use spike_wire::NotReady;

use super::{BAD_REQUEST, DELETE, GET, LIST, METADATA, PUT, UNDELETE};
use crate::{WORKLOAD, scenario};

/// A cluster in which secret `e` has one version without values, as row 8 leaves it.
async fn with_e() -> Result<Running> {
    let cluster = scenario().start().await?;
    assert_eq!(
        cluster.post(PUT, r#"{"path":"e","values":{}}"#).await?.status_and_body(),
        (200, "{}")
    );
    Ok(cluster)
}

#[tokio::test]
async fn rows_1_to_4_what_no_route_takes_is_a_bad_request() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut superuser = cluster.dial_as(SUPERUSER)?.connect().await?;
    let row_1 = superuser.exchange("GET /v1/store/secrets HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    assert_eq!(row_1.status_and_body(), (400, BAD_REQUEST));
    for (row, target) in
        [(2, "/v1/foo"), (3, "/v1/store/secrets/"), (4, "/v1/store/secrets?action=LIST")]
    {
        assert_eq!(
            superuser.post(target, "{}").await?.status_and_body(),
            (400, BAD_REQUEST),
            "row {row}"
        );
    }
    cluster.stop().await
}

#[tokio::test]
async fn rows_5_to_7_a_list_takes_null_but_not_nothing_and_the_first_action_counts() -> Result<()> {
    let cluster = scenario().start().await?;
    assert_eq!(cluster.post(LIST, "null").await?.status_and_body(), (200, r#"{"keys":[]}"#));
    let row_6 = cluster.post(LIST, "").await?;
    assert_eq!(row_6.status_and_body(), (400, r#"{"keys":null,"err":"api_bad_request"}"#));
    let row_7 = cluster.post("/v1/store/secrets?action=list&action=get", "{}").await?;
    assert_eq!(row_7.status_and_body(), (200, r#"{"keys":[]}"#));
    cluster.stop().await
}

#[tokio::test]
async fn row_8_a_secret_may_have_no_values() -> Result<()> {
    let cluster = with_e().await?;
    let read = cluster.post(GET, r#"{"path":"e"}"#).await?;
    assert_eq!(read.status_and_body(), (200, r#"{"data":{}}"#));
    cluster.stop().await
}

#[tokio::test]
async fn row_9_names_and_paths_have_bounds() -> Result<()> {
    let cluster = scenario().start().await?;
    let put = |path: &str, name: &str| format!(r#"{{"path":"{path}","values":{{"{name}":"v"}}}}"#);
    for (what, body) in [
        ("an empty name", put("e", "")),
        ("a name of 251 bytes", put("e", &"k".repeat(251))),
        ("a path of 501 bytes", put(&"p".repeat(501), "k")),
        ("an empty path", put("", "k")),
        ("a path with a space", put("bad path", "k")),
    ] {
        assert_eq!(cluster.post(PUT, body).await?.status_and_body(), (400, BAD_REQUEST), "{what}");
    }
    let largest = put(&"p".repeat(500), &"k".repeat(250));
    assert_eq!(cluster.post(PUT, largest).await?.status_and_body(), (200, "{}"));
    cluster.stop().await
}

#[tokio::test]
async fn rows_10_and_11_a_version_is_a_plain_integer_and_a_negative_one_is_not_found() -> Result<()>
{
    let cluster = with_e().await?;
    for version in ["1.0", "1e0", "\"1\"", "9223372036854775808"] {
        let row_10 = cluster.post(GET, format!(r#"{{"path":"e","version":{version}}}"#)).await?;
        assert_eq!(
            row_10.status_and_body(),
            (400, r#"{"data":null,"err":"api_bad_request"}"#),
            "{version}"
        );
    }
    let row_11 = cluster.post(GET, r#"{"path":"e","version":-1}"#).await?;
    assert_eq!(row_11.status_and_body(), (404, r#"{"data":null,"err":"api_not_found"}"#));
    cluster.stop().await
}

#[tokio::test]
async fn row_12_deleting_versions_that_are_not_there_succeeds() -> Result<()> {
    let cluster = with_e().await?;
    let row_12 = cluster.post(DELETE, r#"{"path":"e","versions":[77,-3]}"#).await?;
    assert_eq!(row_12.status_and_body(), (200, "{}"));
    assert_eq!(cluster.post(GET, r#"{"path":"e"}"#).await?.status, 200);
    let nowhere = cluster.post(DELETE, r#"{"path":"nowhere"}"#).await?;
    assert_eq!(nowhere.status_and_body(), (404, r#"{"err":"api_not_found"}"#));
    cluster.stop().await
}

/// Q-37: upstream answers 404 to `[0]`, which is what its own command line sends.
#[tokio::test]
async fn row_13_a_secret_that_is_all_deleted_comes_back_by_the_empty_list_and_by_zero() -> Result<()>
{
    let cluster = with_e().await?;
    for versions in ["[0]", "[]", "null"] {
        assert_eq!(
            cluster.post(DELETE, r#"{"path":"e","versions":[]}"#).await?.status_and_body(),
            (200, "{}")
        );
        assert_eq!(cluster.post(GET, r#"{"path":"e"}"#).await?.status, 404);
        let body = format!(r#"{{"path":"e","versions":{versions}}}"#);
        assert_eq!(
            cluster.post(UNDELETE, &body).await?.status_and_body(),
            (200, "{}"),
            "{versions}"
        );
        assert_eq!(cluster.post(GET, r#"{"path":"e"}"#).await?.status, 200);
        let nothing_left = cluster.post(UNDELETE, &body).await?;
        assert_eq!(
            nothing_left.status_and_body(),
            (404, r#"{"err":"api_not_found"}"#),
            "{versions}"
        );
    }
    cluster.stop().await
}

#[tokio::test]
async fn rows_14_and_15_a_workload_learns_nothing_not_even_that_its_path_is_bad() -> Result<()> {
    let cluster = with_e().await?;
    for path in ["e", "nowhere", "bad path"] {
        let answer = cluster.post_as(WORKLOAD, GET, format!(r#"{{"path":"{path}"}}"#)).await?;
        assert_eq!(
            answer.status_and_body(),
            (401, r#"{"data":null,"err":"access_unauthorized"}"#),
            "{path}"
        );
    }
    cluster.stop().await
}

#[tokio::test]
async fn row_16_a_malformed_body_is_told_before_the_lack_of_rights() -> Result<()> {
    let cluster = scenario().start().await?;
    let row_16 = cluster.post_as(WORKLOAD, GET, "{").await?;
    assert_eq!(row_16.status_and_body(), (400, r#"{"data":null,"err":"api_bad_request"}"#));
    cluster.stop().await
}

/// wire-api 5.3: lite workloads are refused whatever the policies say; any other identity is an ordinary workload.
#[tokio::test]
async fn rows_20_and_21_no_policy_helps_a_lite_workload_but_one_helps_bootstrap() -> Result<()> {
    let cluster = with_e().await?;
    let everything = concat!(
        r#"{"name":"everything","spiffeidPattern":"^spiffe://spike.ist/.*$","pathPattern":"^.*$","#,
        r#""permissions":["super"]}"#,
    );
    assert_eq!(cluster.post("/v1/acl/policy", everything).await?.status, 200);
    let row_20 = cluster.post_as("/spike/workload/role/lite", GET, r#"{"path":"e"}"#).await?;
    assert_eq!(row_20.status_and_body(), (401, r#"{"data":null,"err":"access_unauthorized"}"#));
    let row_21 = cluster.post_as("/spike/bootstrap", GET, r#"{"path":"e"}"#).await?;
    assert_eq!(row_21.status_and_body(), (200, r#"{"data":{}}"#));
    cluster.stop().await
}

/// wire-api 3.2: the method comes before the readiness, the readiness before everything else.
#[tokio::test]
async fn rows_35_and_36_without_a_root_key_only_the_method_is_looked_at() -> Result<()> {
    let cluster = scenario().backend(Backend::Sqlite).start_sealed().await?;
    for path in [SUPERUSER, WORKLOAD] {
        for target in [LIST, "/v1/nowhere"] {
            let row_35 = cluster.post_as(path, target, "{").await?;
            assert_eq!(
                row_35.status_and_body(),
                (503, r#"{"err":"state_not_ready"}"#),
                "{path} {target}"
            );
            assert_eq!(row_35.json()["reason"], NotReady::Sealed.as_str(), "ours");
        }
    }
    let get = format!("GET {PUT} HTTP/1.1\r\nHost: x\r\n\r\n");
    let row_36 = cluster.dial_as(SUPERUSER)?.connect().await?.exchange(get).await?;
    assert_eq!(row_36.status_and_body(), (400, BAD_REQUEST));
    cluster.stop().await
}

/// wire-api 4.4: the answer's own struct, with all other fields at zero.
#[tokio::test]
async fn every_operation_on_secrets_has_an_error_body_of_its_own() -> Result<()> {
    let cluster = scenario().start().await?;
    let plain = r#"{"err":"access_unauthorized"}"#;
    let metadata = concat!(
        r#"{"metadata":{"currentVersion":0,"oldestVersion":0,"createdTime":"0001-01-01T00:00:00Z","#,
        r#""updatedTime":"0001-01-01T00:00:00Z","maxVersions":0},"err":"access_unauthorized"}"#,
    );
    for (target, body) in [
        (PUT, plain),
        (GET, r#"{"data":null,"err":"access_unauthorized"}"#),
        (DELETE, plain),
        (UNDELETE, plain),
        (LIST, r#"{"keys":null,"err":"access_unauthorized"}"#),
        (METADATA, metadata),
    ] {
        let answer = cluster.post_as(WORKLOAD, target, r#"{"path":"e"}"#).await?;
        assert_eq!(answer.status_and_body(), (401, body), "{target}");
    }
    cluster.stop().await
}
