//! The audit log (wire-api 10.2, Q-34; design 6): one line per request, with the caller and the outcome, and never a value.

use anyhow::Result;

use super::{GET, LIST, PUT};
use crate::{WORKLOAD, scenario};

#[tokio::test]
async fn the_line_of_a_request_bears_the_id_of_its_answer_the_peer_and_the_true_outcome()
-> Result<()> {
    let cluster = scenario().start().await?;
    let workload = format!("spiffe://spike.ist{WORKLOAD}");
    let superuser = "spiffe://spike.ist/spike/pilot/role/superuser";

    let put = cluster.post(PUT, r#"{"path":"tenants/a","values":{"k":"v"}}"#).await?;
    let line = cluster.audit_of(put.request_id()?)?;
    assert_eq!(line.get("UserID"), superuser);
    assert_eq!(line.get("Component"), "RoutePutSecret");
    assert_eq!(line.get("Action"), "create");
    assert_eq!(line.get("Path"), "/v1/store/secrets");
    assert_eq!(line.get("State"), "audit-success");
    assert_eq!(line.get("Status"), 200);
    assert_eq!(line.get("Err"), "");

    let refused = cluster.post_as(WORKLOAD, GET, r#"{"path":"tenants/a"}"#).await?;
    let line = cluster.audit_of(refused.request_id()?)?;
    assert_eq!(line.get("UserID"), workload.as_str());
    assert_eq!(line.get("Resource"), "action=get");
    assert_eq!(line.get("State"), "audit-errored");
    assert_eq!(line.get("Status"), 401);
    assert!(line.get("Err").as_str().is_some_and(|text| text.contains("access_unauthorized")));

    let nowhere = cluster.post_as(WORKLOAD, "/v1/nowhere?x=y", "{}").await?;
    let line = cluster.audit_of(nowhere.request_id()?)?;
    assert_eq!(line.get("Action"), "fallback");
    assert_eq!(line.get("Path"), "/v1/nowhere");
    assert_eq!(line.get("State"), "audit-errored");
    assert_eq!(line.get("UserID"), workload.as_str());
    cluster.stop().await
}

#[tokio::test]
async fn no_two_answers_bear_the_same_id() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..20 {
        ids.insert(cluster.post(LIST, "{}").await?.request_id()?.to_owned());
    }
    assert_eq!(ids.len(), 20);
    cluster.stop().await
}

#[tokio::test]
async fn no_log_ever_holds_a_value_however_the_request_ends() -> Result<()> {
    let cluster = scenario().setting("SPIKE_SYSTEM_LOG_LEVEL", "DEBUG").start().await?;
    let marker = "hunter2-marker";
    let put =
        |path: &str, name: &str| format!(r#"{{"path":"{path}","values":{{"{name}":"{marker}"}}}}"#);
    for (path, body, status) in [
        (spike_tests::SUPERUSER, put("p", "k"), 200),
        (spike_tests::SUPERUSER, put("bad path", "k"), 400),
        (spike_tests::SUPERUSER, put("p", "bad/name"), 400),
        (spike_tests::SUPERUSER, format!("{}x", put("p", "k")), 400),
        (spike_tests::SUPERUSER, format!(r#"{{"path":{{"{marker}":1}}}}"#), 400),
        (WORKLOAD, put("p", "k"), 401),
    ] {
        assert_eq!(cluster.post_as(path, PUT, &body).await?.status, status, "{body}");
    }
    let read = cluster.post(GET, r#"{"path":"p"}"#).await?;
    assert_eq!(read.json()["data"]["k"], marker);
    let logs = [cluster.log()?, cluster.audit_text()?];
    assert!(logs.iter().all(|log| !log.is_empty() && !log.contains(marker)));
    cluster.stop().await
}
