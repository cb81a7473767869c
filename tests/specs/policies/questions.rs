//! Every operation checks its permission. Operators get answers about policies, and the reason of a denial.

use anyhow::{Context, Result};
use spike_tests::{
    SUPERUSER,
    policies::{allow, policy},
};
use spike_wire::{ExplainRequest, Operation, WhoCanRequest};

use super::{BOOTSTRAP, DELETE, GET, LIST, LITE, with_e};
use crate::{WORKLOAD, scenario};

/// A valid body for the operation, so that only the permission is missing.
fn sound_body(operation: Operation) -> &'static str {
    match operation {
        Operation::OperatorRestore => r#"{"id":1,"shard":[1]}"#,
        Operation::PolicyExplain | Operation::PolicyWhoCan => {
            r#"{"spiffeId":"spiffe://x","path":"p","permission":"read"}"#
        }
        _ => "{}",
    }
}

#[tokio::test]
async fn every_operation_has_a_rule_and_nobody_gets_past_any_of_them() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut nobody = cluster.dial_as(WORKLOAD)?.connect().await?;
    for operation in Operation::ALL {
        let answer = nobody.post(operation.path_and_query(), sound_body(*operation)).await?;
        let body = answer.json();
        assert_eq!(answer.status, 401, "{operation}: {body}");
        assert!(answer.body.contains(r#""err":"access_unauthorized""#), "{operation}: {body}");
        assert_eq!(body.get("reason"), None, "a stranger learns nothing: {operation}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn what_explain_says_is_what_happens() -> Result<()> {
    let (cluster, superuser) = with_e().await?;
    for request in [
        allow("app1-reads", WORKLOAD, "^(e|app1/.*)$", &["read"]),
        allow("app1-writes", WORKLOAD, "^app1/", &["write"]),
        allow("app2-all", "/workload/app2", "^.*$", &["super"]),
        policy("open", "spiffe://spike.ist/workload/", "^open/", &["read", "write"]),
        allow("lite", LITE, "^e$", &["read"]),
        allow("acl", "/workload/admin", "^spike/system/acl$", &["read", "list"]),
        allow("cipher", "/workload/coder", "spike/system/cipher/exec", &["execute"]),
    ] {
        superuser.put_policy(&request).await?;
    }
    let ids = [
        SUPERUSER,
        WORKLOAD,
        "/workload/app2",
        "/workload/admin",
        "/workload/coder",
        LITE,
        BOOTSTRAP,
    ];
    let mut verdicts = [0, 0];
    for id in ids {
        let mut connection = cluster.dial_as(id)?.connect().await?;
        for (path, permission, target, body) in [
            ("e", "read", "/v1/store/secrets?action=get", r#"{"path":"e"}"#),
            ("app1/x", "read", "/v1/store/secrets?action=get", r#"{"path":"app1/x"}"#),
            ("app1/x", "write", "/v1/store/secrets", r#"{"path":"app1/x","values":{}}"#),
            ("open/x", "write", "/v1/store/secrets?action=delete", r#"{"path":"open/x"}"#),
            ("elsewhere", "write", "/v1/store/secrets?action=undelete", r#"{"path":"elsewhere"}"#),
            ("spike/system/acl", "read", GET, r#"{"id":"acl"}"#),
            ("spike/system/acl", "list", LIST, "{}"),
            ("spike/system/acl", "write", DELETE, r#"{"id":"nobody"}"#),
            ("spike/system/cipher/exec", "execute", "/v1/cipher/encrypt", "{}"),
        ] {
            let happens = connection.post(target, body).await?.status != 401;
            let question = ExplainRequest {
                spiffe_id: format!("spiffe://spike.ist{id}"),
                path: path.to_owned(),
                permission: permission.to_owned(),
            };
            let said = superuser.explain(&question).await?;
            assert_eq!(said.allowed, happens, "{id} {permission} {path}: {said:?}");
            assert_eq!(
                said.policy.is_some() || said.role.is_some(),
                happens || id == LITE,
                "{said:?}"
            );
            verdicts[usize::from(happens)] += 1;
        }
    }
    assert!(verdicts.iter().all(|count| *count > 10), "{verdicts:?}");

    let question = WhoCanRequest { path: "e".into(), permission: "read".into() };
    let who = superuser.who_can(&question).await?;
    let policies: Vec<_> = who.grantees.iter().map(|grantee| grantee.policy.as_str()).collect();
    assert_eq!(policies, ["app1-reads", "app2-all", "lite"]);
    assert_eq!(who.roles, ["spiffe://spike.ist/spike/pilot/role/superuser"]);
    cluster.stop().await
}

#[tokio::test]
async fn an_operator_finds_the_reason_of_a_denial_under_the_id_of_its_answer() -> Result<()> {
    let (cluster, superuser) = with_e().await?;
    superuser.put_policy(&allow("close-by", WORKLOAD, "^e/.*$", &["list"])).await?;
    let denied =
        cluster.post_as(WORKLOAD, "/v1/store/secrets?action=get", r#"{"path":"e"}"#).await?;
    assert_eq!(denied.status_and_body(), (401, r#"{"data":null,"err":"access_unauthorized"}"#));
    assert_eq!(denied.body, denied.status_and_body().1, "the workload learns nothing more");
    let line = cluster.audit_of(denied.request_id()?)?;
    assert_eq!(line.get("UserID"), "spiffe://spike.ist/workload/app1");
    assert_eq!(line.get("Subject"), "e");
    let reason = line.get("Err").as_str().context("no reason")?.to_owned();
    assert!(reason.ends_with("no policy lets it read \"e\""), "{reason}");
    // Near misses are computed when an operator asks, and not for a denial.
    let question = ExplainRequest {
        spiffe_id: format!("spiffe://spike.ist{WORKLOAD}"),
        path: "e".to_owned(),
        permission: "read".to_owned(),
    };
    let miss = superuser.explain(&question).await?.near_misses.remove(0);
    assert_eq!(miss.name, "close-by");
    assert_eq!(miss.failed, ["the path pattern does not match", "the permission is missing"]);
    cluster.stop().await
}

#[tokio::test]
async fn the_spike_command_explains_and_lints_what_our_nexus_holds() -> Result<()> {
    let cluster = scenario().start().await?;
    let apply = ["policy", "apply", "--name", "acme", "--permissions", "read"];
    let id = ["--spiffeid-pattern", r"^spiffe://spike\.ist/workload/app1$"];
    cluster
        .spike(&[&apply[..], &id, &["--path-pattern", "^tenants/*/db$"]].concat())
        .await?
        .done()?;
    let question = [
        "--spiffe-id",
        "spiffe://spike.ist/workload/app1",
        "--path",
        "tenants/acme/db",
        "--permission",
        "read",
    ];
    let explained = cluster.spike(&[&["policy", "explain"], &question[..]].concat()).await?;
    assert!(explained.done()?.contains("change pathPattern to `^tenants/.*/db$`"), "{explained:?}");
    assert_eq!(explained.stderr, "", "the answer is that of Nexus");
    let asked = [&["policy", "can-i"], &question[..]].concat();
    let no = cluster.spike(&asked).await?;
    assert_eq!((no.text()?, no.status), ("no\n", Some(4)));
    let lint = cluster.spike(&["policy", "lint"]).await?;
    assert_eq!(lint.status, Some(7), "{lint:?}");
    assert!(lint.text()?.contains("[glob]"), "{lint:?}");

    let better = [&apply[..], &id, &["--path-pattern", "^tenants/.*/db$"]].concat();
    cluster.spike(&["secret", "put", "tenants/acme/db", "k=v"]).await?.done()?;
    let dry = cluster.spike(&[&better[..], &["--dry-run"]].concat()).await?;
    let gained = "+ read    tenants/acme/db  spiffe://spike.ist/workload/app1";
    assert!(dry.done()?.contains(gained), "{dry:?}");
    assert_eq!(cluster.spike(&asked).await?.status, Some(4), "a dry run changes nothing");
    cluster.spike(&better).await?.done()?;
    let yes = cluster.spike(&asked).await?;
    assert_eq!((yes.text()?, yes.status), ("yes\n", Some(0)));
    let who = cluster
        .spike(&["policy", "who-can", "--path", "tenants/acme/db", "--permission", "read"])
        .await?;
    assert!(who.done()?.contains(r"acme: ^spiffe://spike\.ist/workload/app1$"), "{who:?}");
    assert_eq!(cluster.spike(&["policy", "lint"]).await?.done()?, "No findings in 1 policy.\n");
    cluster.stop().await
}
