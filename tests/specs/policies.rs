//! Policies: N7 to N10 and what they decide (wire-api 5 and 6, rows 20 to 26), and the questions that operators ask.

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use spike_daemon::settings::Backend;
use spike_mtls::client::{CallError, NexusClient};
use spike_tests::{
    Running,
    policies::{allow, policy},
    secrets::{get, put, value_of},
};
use spike_wire::{
    PolicyListRequest, PolicyListResponse, PolicyNameRequest, PolicyPutRequest, SecretListRequest,
};

use crate::{WORKLOAD, scenario};

mod heavy;
mod questions;
mod reserved;

const PUT: &str = "/v1/acl/policy";
const GET: &str = "/v1/acl/policy?action=get";
const DELETE: &str = "/v1/acl/policy?action=delete";
const LIST: &str = "/v1/acl/policy?action=list";

const BAD_REQUEST: &str = r#"{"err":"api_bad_request"}"#;
const LITE: &str = "/spike/workload/role/lite";
const BOOTSTRAP: &str = "/spike/bootstrap";

fn status<T>(answer: Result<T, CallError>) -> Option<StatusCode> {
    answer.err().and_then(|error| error.status())
}

fn named(name: &str) -> PolicyNameRequest {
    PolicyNameRequest { name: name.to_owned() }
}

/// A cluster in which the secret `e` can be read by the superuser, and its client.
async fn with_e() -> Result<(Running, NexusClient)> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&put("e", &[("k", "v")])).await?;
    Ok((cluster, superuser))
}

#[tokio::test]
async fn rows_20_and_21_lite_is_refused_whatever_policies_say_and_other_roles_are_ordinary()
-> Result<()> {
    let (cluster, superuser) = with_e().await?;
    for id in [LITE, BOOTSTRAP, "/spike/nexus", "/spike/keeper", "/spike/pilot/role/recover"] {
        assert_eq!(
            status(cluster.as_id(id)?.get_secret(&get("e", 0)).await),
            Some(StatusCode::UNAUTHORIZED)
        );
    }
    superuser.put_policy(&policy("all", r"^spiffe://spike\.ist/.*$", "^.*$", &["super"])).await?;
    assert_eq!(
        status(cluster.as_id(LITE)?.get_secret(&get("e", 0)).await),
        Some(StatusCode::UNAUTHORIZED)
    );
    for id in [BOOTSTRAP, "/spike/nexus", "/spike/pilot/role/recover", WORKLOAD] {
        assert_eq!(value_of(&cluster.as_id(id)?, "e", 0, "k").await?, "v", "{id}");
    }
    // No policy grants what is reserved to a role.
    for (target, body) in [
        ("/v1/operator/recover", "{}"),
        ("/v1/operator/restore", r#"{"id":1,"shard":[1]}"#),
        ("/v1/bootstrap/verify", r#"{"nonce":"","ciphertext":""}"#),
    ] {
        assert_eq!(cluster.post_as(WORKLOAD, target, body).await?.status, 401, "{target}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn row_23_the_management_of_policies_can_be_delegated_permission_by_permission() -> Result<()>
{
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let delegate = cluster.as_id(WORKLOAD)?;
    let other = allow("other", "/workload/x", "^x/", &["read"]);
    for (permission, may) in [
        ("list", [true, false, false]),
        ("read", [false, true, false]),
        ("write", [false, false, true]),
        ("execute", [false; 3]),
        ("super", [true; 3]),
    ] {
        superuser.put_policy(&other).await?;
        superuser
            .put_policy(&allow("delegate", WORKLOAD, "^spike/system/acl$", &[permission]))
            .await?;
        let done = [
            delegate.list_policies(&PolicyListRequest::default()).await.is_ok(),
            delegate.get_policy(&named("other")).await.is_ok(),
            delegate.put_policy(&other).await.is_ok(),
        ];
        assert_eq!(done, may, "{permission}");
        assert_eq!(delegate.delete_policy(&named("other")).await.is_ok(), may[2], "{permission}");
    }
    cluster.stop().await
}

/// F11, F24, Q-25: upstream answers 500 to rows 25 and 26, and tests the first reserved path only.
#[tokio::test]
async fn rows_24_to_26_a_policy_that_breaks_a_rule_is_a_bad_request_that_says_why() -> Result<()> {
    let cluster = scenario().start().await?;
    let anchored = "^spiffe://x.y$";
    for (name, id, path, permission, reason) in [
        ("n", ".*", "^a/", "read", "spiffe://"),
        ("n", anchored, "a(", "read", "pathPattern: missing closing )"),
        ("n", "^spiffe://x(", "^a/", "read", "spiffeidPattern: missing closing )"),
        ("n", anchored, "a**", "read", "pathPattern"),
        ("n", anchored, "acl", "read", "spike/system/acl"),
        ("n", anchored, "secret", "read", "spike/system/secret"),
        ("n", anchored, "exec$", "read", "spike/system/cipher/exec"),
        ("n", "spiffe://x.y", ".*", "read", "spiffeidPattern does not begin with ^"),
        // The first reserved path is described, the second is not (F24).
        ("n", anchored, "^spike/system/acl$|cipher", "read", "spike/system/cipher/exec"),
        ("n", anchored, "a b", "read", "' ' is not allowed at byte 1"),
        ("n", anchored, "", "read", "must not be empty"),
        ("n", anchored, "^a/", "Read", "is none of read"),
        ("n.n", anchored, "^a/", "read", "name: '.' is not allowed"),
        ("", anchored, "^a/", "read", "name: must not be empty"),
    ] {
        let request = policy(name, id, path, &[permission]);
        let answer = cluster.post(PUT, request.encode()).await?;
        assert_eq!(answer.status_and_body(), (400, BAD_REQUEST), "{id} {path}");
        let said = answer.json();
        let said = said.get("reason").and_then(|reason| reason.as_str()).unwrap_or_default();
        assert!(said.contains(reason), "{id} {path}: {said}");
    }
    for (id, path) in
        [(anchored, ".*"), (anchored, "spike/system/acl"), ("spiffe://x.y", "^secrets/")]
    {
        let answer = cluster.post(PUT, policy("n", id, path, &["read"]).encode()).await?;
        assert_eq!(answer.status_and_body(), (200, r#"{"id":"n"}"#), "{id} {path}");
    }
    cluster.stop().await
}

/// F11, Q-23: upstream answers 500.
#[tokio::test]
async fn a_policy_that_is_not_there_is_not_found() -> Result<()> {
    let cluster = scenario().start().await?;
    let missing = r#"{"id":"nobody"}"#;
    let answer = cluster.post(GET, missing).await?;
    let body = answer.json();
    assert_eq!((answer.status, body["err"].as_str()), (404, Some("api_not_found")), "{body}");
    let answer = cluster.post(DELETE, missing).await?;
    assert_eq!(answer.status_and_body(), (404, r#"{"err":"api_not_found"}"#));
    for target in [GET, DELETE] {
        assert_eq!(cluster.post(target, r#"{"id":"no.name"}"#).await?.status, 400, "{target}");
    }
    cluster.stop().await
}

/// Q-42: upstream leaves every `id` empty. Q-47: its order is random. Q-4: the misspelt key is what its SDK reads.
#[tokio::test]
async fn a_policy_comes_back_as_it_was_put_under_its_name_and_lists_are_in_order() -> Result<()> {
    let cluster = scenario().start().await?;
    for name in ["b", "a", "B", "a 1", "-"] {
        let request = policy(name, "^spiffe://x$", "^a/", &["write", "read", "write"]);
        assert_eq!(cluster.post(PUT, request.encode()).await?.status, 200);
    }
    let names = r#"{"policies":[{"id":"-","name":"-"},{"id":"B","name":"B"},{"id":"a","name":"a"},{"id":"a 1","name":"a 1"},{"id":"b","name":"b"}]}"#;
    assert_eq!(cluster.post(LIST, "{}").await?.status_and_body(), (200, names));
    let first = cluster.post(GET, r#"{"id":"a 1"}"#).await?.json();
    assert_eq!(first["id"], "a 1");
    assert_eq!(first["name"], "a 1");
    assert_eq!(first["spiffiedPattern"], "^spiffe://x$");
    assert_eq!(first["pathPattern"], "^a/");
    assert_eq!(first["permissions"], serde_json::json!(["write", "read", "write"]));
    assert_eq!(first["createdAt"], first["updatedAt"]);

    let changed = policy("a 1", "^spiffe://y$", "^b/", &["list"]);
    assert_eq!(cluster.post(PUT, changed.encode()).await?.status, 200);
    let second = cluster.post(GET, r#"{"id":"a 1"}"#).await?.json();
    assert_eq!(second["createdAt"], first["createdAt"]);
    assert_ne!(second["updatedAt"], first["updatedAt"]);
    assert_eq!(second["permissions"], serde_json::json!(["list"]));

    for (filter, found) in [
        (r#"{"pathPattern":"^b/"}"#, r#"{"policies":[{"id":"a 1","name":"a 1"}]}"#),
        (r#"{"pathPattern":"^b"}"#, r#"{"policies":[]}"#),
        (
            r#"{"spiffeidPattern":"^spiffe://y$","pathPattern":"^a/"}"#,
            r#"{"policies":[{"id":"a 1","name":"a 1"}]}"#,
        ),
    ] {
        assert_eq!(cluster.post(LIST, filter).await?.status_and_body(), (200, found), "{filter}");
    }
    let again = PolicyPutRequest { create_only: true, ..changed };
    let refused = cluster.post(PUT, again.encode()).await?;
    assert_eq!(refused.status, 409, "{refused:?}");
    cluster.stop().await
}

/// Ours: upstream ignores these fields and sends everything.
#[tokio::test]
async fn a_list_can_be_asked_for_by_a_part_of_name_or_pattern_and_page_by_page() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    for (name, id, path) in [
        ("acme-db", "/workload/acme", "^tenants/acme/db/"),
        ("acme-web", "/workload/acme", "^tenants/acme/web/"),
        ("other-db", "/workload/other", "^tenants/other/db/"),
    ] {
        superuser.put_policy(&allow(name, id, path, &["read"])).await?;
    }
    for (filter, found) in [
        (r#""nameContains":"acme""#, &["acme-db", "acme-web"][..]),
        (r#""nameContains":"-""#, &["acme-db", "acme-web", "other-db"]),
        (r#""pathContains":"/db/""#, &["acme-db", "other-db"]),
        (r#""spiffeidContains":"other""#, &["other-db"]),
        (r#""spiffeidContains":"acme","pathContains":"db""#, &["acme-db"]),
        (r#""after":"acme-db""#, &["acme-web", "other-db"]),
        (r#""nameContains":"nobody""#, &[]),
    ] {
        let answer = cluster.post(LIST, format!("{{{filter}}}")).await?;
        let answer = PolicyListResponse::decode(answer.body.as_bytes())?;
        assert_eq!(answer.names, found, "{filter}");
        assert_eq!(answer.next, None, "{filter}");
    }
    let mut page = PolicyListRequest { limit: 2, ..PolicyListRequest::default() };
    let first = superuser.list_policies(&page).await?;
    assert_eq!(first.names, ["acme-db", "acme-web"]);
    page.after = first.next.context("there is a second page")?;
    let second = superuser.list_policies(&page).await?;
    assert_eq!((second.names, second.next), (vec!["other-db".to_owned()], None));
    cluster.stop().await
}

/// wire-api 5.4: both patterns match anywhere; one policy must have all wanted permissions; `write` implies nothing.
#[tokio::test]
async fn patterns_match_anywhere_and_no_permission_implies_another() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let workload = cluster.as_id(WORKLOAD)?;
    for path in ["tenants/acme/db", "x/tenants/acme/db/y", "tenants/acme/dbx", "tenants/other"] {
        superuser.put_secret(&put(path, &[("k", "v")])).await?;
    }
    superuser
        .put_policy(&policy("p", "spiffe://spike.ist/workload", "acme/db", &["write"]))
        .await?;
    assert!(workload.get_secret(&get("tenants/acme/db", 0)).await.is_err(), "write is not read");
    superuser.put_policy(&policy("p", "spiffe://spike.ist/workload", "acme/db", &["read"])).await?;
    for (path, open) in [
        ("tenants/acme/db", true),
        ("x/tenants/acme/db/y", true),
        ("tenants/acme/dbx", true),
        ("tenants/other", false),
    ] {
        assert_eq!(workload.get_secret(&get(path, 0)).await.is_ok(), open, "{path}");
    }
    assert!(workload.put_secret(&put("tenants/acme/db", &[])).await.is_err(), "read is not write");
    cluster.stop().await
}

/// Design 4: upstream's grant shows all names; without it, `list` on a path shows that path.
#[tokio::test]
async fn a_workload_lists_the_names_that_it_may_list_page_by_page() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let workload = cluster.as_id(WORKLOAD)?;
    for path in ["a/1", "b/1", "a/2", "b/2", "a/3", "c"] {
        superuser.put_secret(&put(path, &[])).await?;
    }
    let all = SecretListRequest::default();
    assert_eq!(status(workload.list_secrets(&all).await), Some(StatusCode::UNAUTHORIZED));
    superuser.put_policy(&allow("readers", WORKLOAD, "^b/", &["read"])).await?;
    assert_eq!(status(workload.list_secrets(&all).await), Some(StatusCode::UNAUTHORIZED));
    superuser.put_policy(&allow("own", WORKLOAD, "^a/.*$", &["list"])).await?;
    assert_eq!(workload.list_secrets(&all).await?.keys, ["a/1", "a/2", "a/3"]);
    let page = SecretListRequest { limit: 2, ..SecretListRequest::default() };
    let first = workload.list_secrets(&page).await?;
    assert_eq!(
        (first.keys, first.next.as_deref()),
        (vec!["a/1".into(), "a/2".into()], Some("a/2"))
    );
    let rest = workload.list_secrets(&SecretListRequest { after: "a/2".into(), ..page }).await?;
    assert_eq!((rest.keys, rest.next), (vec!["a/3".to_owned()], None));
    let elsewhere = SecretListRequest { prefix: "b/".into(), ..SecretListRequest::default() };
    assert_eq!(workload.list_secrets(&elsewhere).await?.keys, [""; 0]);

    superuser.put_policy(&allow("all", WORKLOAD, "^spike/system/secret$", &["list"])).await?;
    assert_eq!(workload.list_secrets(&all).await?.keys, ["a/1", "a/2", "a/3", "b/1", "b/2", "c"]);
    cluster.stop().await
}

#[tokio::test]
async fn a_change_of_policy_holds_for_the_next_request_on_the_same_connection() -> Result<()> {
    let (cluster, superuser) = with_e().await?;
    let mut workload = cluster.dial_as(WORKLOAD)?.connect().await?;
    let get = "/v1/store/secrets?action=get";
    for _ in 0..3 {
        assert_eq!(workload.post(get, r#"{"path":"e"}"#).await?.status, 401);
        superuser.put_policy(&allow("p", WORKLOAD, "^e$", &["read"])).await?;
        assert_eq!(workload.post(get, r#"{"path":"e"}"#).await?.status, 200);
        superuser.put_policy(&allow("p", WORKLOAD, "^f$", &["read"])).await?;
        assert_eq!(workload.post(get, r#"{"path":"e"}"#).await?.status, 401);
        superuser.put_policy(&allow("p", WORKLOAD, "^e$", &["read"])).await?;
        assert_eq!(workload.post(get, r#"{"path":"e"}"#).await?.status, 200);
        superuser.delete_policy(&named("p")).await?;
    }
    cluster.stop().await
}

#[tokio::test]
async fn policies_outlive_a_restart_and_no_pattern_lies_on_the_disk_in_plain() -> Result<()> {
    let mut cluster = scenario().backend(Backend::Sqlite).start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&put("e", &[("k", "v")])).await?;
    superuser.put_policy(&allow("p", WORKLOAD, "^(e|plain-marker)$", &["read"])).await?;
    cluster.terminate().await?;
    let mut looked_at = 0;
    for entry in std::fs::read_dir(cluster.dir().join("data"))
        .or_else(|_| std::fs::read_dir(cluster.dir()))?
    {
        let path = entry?.path();
        if path.is_file() && path.to_string_lossy().contains(".db") {
            let bytes = std::fs::read(&path)?;
            looked_at += bytes.len();
            let found = bytes.windows(12).any(|window| window == b"plain-marker");
            assert!(!found, "{}", path.display());
        }
    }
    ensure!(looked_at > 0, "no database in {}", cluster.dir().display());
    cluster.restart_nexus().await?;
    assert_eq!(value_of(&cluster.as_id(WORKLOAD)?, "e", 0, "k").await?, "v");
    cluster.stop().await
}

/// Q-44: upstream stores such a secret.
#[tokio::test]
async fn no_secret_takes_the_name_of_a_reserved_path() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    for path in ["spike/system/acl", "spike/system/secret", "spike/system/cipher/exec"] {
        assert_eq!(
            status(superuser.put_secret(&put(path, &[])).await),
            Some(StatusCode::BAD_REQUEST),
            "{path}"
        );
    }
    superuser.put_secret(&put("spike/system/other", &[])).await?;
    cluster.stop().await
}
