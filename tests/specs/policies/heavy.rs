//! The cost of patterns and questions is bounded, so that the requests of others are served in time.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use spike_mtls::client::{CallError, NexusClient};
use spike_tests::{
    policies::allow,
    secrets::{get, put, value_of},
};
use spike_wire::{ExplainRequest, PolicyPutRequest, SecretListRequest, WhoCanRequest};

use super::{PUT, status, with_e};
use crate::{WORKLOAD, scenario};

/// How long a probe or a read may take beside heavy questions. If they blocked it, it would take many times longer.
const SOON: Duration = Duration::from_secs(10);

/// Close to the heaviest pattern that a new policy may have.
fn heavy(n: usize) -> PolicyPutRequest {
    allow(&format!("heavy-{n}"), WORKLOAD, &format!("^h{n}/(.?.?.?.?.?){{25}}q$"), &["read"])
}

/// The reason that an error answer gives.
fn reason<T>(answer: Result<T, CallError>) -> Result<String> {
    match answer.err().context("it was not refused")? {
        CallError::Refused(refusal) => refusal.reason.context("no reason was given"),
        other => Err(other.into()),
    }
}

/// Asks until an answer is unexpected. Expected are success, a refusal because it takes too long, and 429.
async fn lint_for_ever(client: NexusClient) -> Result<()> {
    loop {
        if let Err(error) = client.lint_policies().await {
            let got = error.status().map(|status| status.as_u16());
            ensure!([Some(400), Some(429)].contains(&got), "{error}");
        }
    }
}

#[tokio::test]
async fn heavy_patterns_and_three_callers_of_lint_hold_up_neither_probes_nor_reads() -> Result<()> {
    let (cluster, superuser) = with_e().await?;
    for n in 0..150 {
        superuser.put_policy(&heavy(n)).await?;
    }
    superuser.put_policy(&allow("reader", WORKLOAD, "^e$", &["read"])).await?;
    let mut callers = Vec::new();
    for _ in 0..3 {
        callers.push(tokio::spawn(lint_for_ever(cluster.superuser()?)));
    }
    let workload = cluster.as_id(WORKLOAD)?;
    let mut nobody = cluster.dial_as("/workload/nobody")?.connect().await?;
    let denied = r#"{"path":"h1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#;
    for _ in 0..20 {
        let (live, _) = tokio::time::timeout(SOON, cluster.telemetry("/livez")).await??;
        assert_eq!(live, 200);
        let value = tokio::time::timeout(SOON, value_of(&workload, "e", 0, "k")).await??;
        assert_eq!(value, "v");
        let answer = nobody.post("/v1/store/secrets?action=get", denied);
        assert_eq!(tokio::time::timeout(SOON, answer).await??.status, 401);
    }
    for caller in callers {
        ensure!(!caller.is_finished(), "{:?}", caller.await);
        caller.abort();
    }
    cluster.stop().await
}

#[tokio::test]
async fn the_reason_of_a_denial_is_short_and_the_same_whatever_policies_there_are() -> Result<()> {
    let (cluster, superuser) = with_e().await?;
    let long = "x".repeat(450);
    let asked = format!(r#"{{"path":"{long}"}}"#);
    let mut reasons = Vec::new();
    for n in 0..3 {
        let denied = cluster.post_as(WORKLOAD, "/v1/store/secrets?action=get", &asked).await?;
        assert_eq!(denied.status, 401);
        let line = cluster.audit_of(denied.request_id()?)?;
        reasons.push(line.get("Err").as_str().context("no reason")?.to_owned());
        superuser.put_policy(&heavy(n)).await?;
    }
    assert!(reasons.iter().all(|reason| *reason == reasons[0]), "{reasons:?}");
    assert!(reasons[0].contains("no policy lets it read a path that begins with"), "{reasons:?}");
    assert!(reasons[0].len() < 300, "{reasons:?}");
    cluster.stop().await
}

#[tokio::test]
async fn a_policy_whose_pattern_costs_too_much_is_refused_with_the_reason() -> Result<()> {
    let (cluster, superuser) = with_e().await?;
    let pattern = "^a/(.?.?.?.?.?){30}q$";
    let refused = superuser.put_policy(&allow("p", WORKLOAD, pattern, &["read"])).await;
    assert_eq!(
        reason(refused)?,
        "policy: pathPattern: is too expensive to match: its width is 150, at most 128 is allowed; begin it with ^ \
         and a text, or use fewer repetitions"
    );
    // Each alone is accepted, but every request would try all of them.
    let mut refused = None;
    for n in 0..9 {
        let pattern = format!("[b-d]{{{}}}/", 60 + n);
        let policy = allow(&format!("p{n}"), WORKLOAD, &pattern, &["read"]);
        let answer = superuser.put_policy(&policy).await;
        if answer.is_err() {
            refused = Some((n, reason(answer)?));
            break;
        }
    }
    let (n, reason) = refused.context("all were taken")?;
    assert!(n >= 3, "{n}");
    assert!(reason.contains("begin it with ^ and a text"), "{reason}");
    superuser.put_policy(&allow("last", WORKLOAD, "^e/[b-d]{400}", &["read"])).await?;
    cluster.stop().await
}

#[tokio::test]
async fn questions_take_no_more_than_a_path_and_a_spiffe_id() -> Result<()> {
    let (cluster, superuser) = with_e().await?;
    let question = |id: usize, path: usize| ExplainRequest {
        spiffe_id: format!("spiffe://x/{}", "y".repeat(id - 11)),
        path: "p".repeat(path),
        permission: "read".to_owned(),
    };
    superuser.explain(&question(2048, 500)).await?;
    let refused = reason(superuser.explain(&question(2048, 501)).await)?;
    assert_eq!(refused, "path: has 501 bytes, at most 500 are allowed");
    let refused = reason(superuser.explain(&question(2049, 500)).await)?;
    assert_eq!(refused, "spiffeId: has 2049 bytes, at most 2048 are allowed");
    let who = WhoCanRequest { path: "p".repeat(4 * 1024 * 1024 - 100), permission: "read".into() };
    assert_eq!(status(superuser.who_can(&who).await).map(|status| status.as_u16()), Some(400));
    cluster.stop().await
}

#[tokio::test]
async fn a_path_that_can_be_none_is_denied_or_refused_as_before() -> Result<()> {
    let (cluster, superuser) = with_e().await?;
    superuser.put_policy(&allow("all", WORKLOAD, "^.*/[a-z]*", &["read"])).await?;
    for (path, expected) in [("a/é", 400), ("a/ ", 400), ("é", 401), (" ", 401), ("a/x", 404)] {
        let body = format!(r#"{{"path":"{path}"}}"#);
        let answer = cluster.post_as(WORKLOAD, "/v1/store/secrets?action=get", body).await?;
        assert_eq!(answer.status, expected, "{path:?}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn a_workload_that_may_see_few_of_many_names_sees_just_these() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    for n in 0..1_100 {
        superuser.put_secret(&put(&format!("bulk/{n:04}"), &[])).await?;
    }
    for path in ["a/own", "bulk/own", "z/own", "z/x"] {
        superuser.put_secret(&put(path, &[])).await?;
    }
    let workload = cluster.as_id(WORKLOAD)?;
    let all = SecretListRequest::default();
    // Patterns that say how the names begin, and patterns that do not.
    for pattern in ["^(a|bulk|z)/[a-z]{3}$", "own$"] {
        superuser.put_policy(&allow("list", WORKLOAD, pattern, &["list"])).await?;
        let seen = workload.list_secrets(&all).await?;
        assert_eq!(seen.keys, ["a/own", "bulk/own", "z/own"], "{pattern}");
        let page = SecretListRequest { limit: 2, after: "a/own".into(), ..all.clone() };
        let seen = workload.list_secrets(&page).await?;
        assert_eq!((seen.keys.len(), seen.next), (2, None), "{pattern}");
    }
    superuser.put_policy(&allow("list", WORKLOAD, "^z/", &["list"])).await?;
    superuser.put_policy(&allow("list2", WORKLOAD, "^bulk/109[0-9]$", &["list"])).await?;
    assert_eq!(workload.list_secrets(&all).await?.keys.len(), 12);
    let page = SecretListRequest { prefix: "bulk/".into(), limit: 4, ..all.clone() };
    let seen = workload.list_secrets(&page).await?;
    assert_eq!(seen.keys, ["bulk/1090", "bulk/1091", "bulk/1092", "bulk/1093"]);
    assert_eq!(seen.next.as_deref(), Some("bulk/1093"));
    let page = SecretListRequest { prefix: "a".into(), ..all };
    assert_eq!(workload.list_secrets(&page).await?.keys, [""; 0]);
    assert!(workload.get_secret(&get("z/own", 0)).await.is_err(), "list is not read");
    let refused = cluster.post_as("/workload/other", PUT, "{}").await?;
    assert_eq!(refused.status, 401);
    cluster.stop().await
}
