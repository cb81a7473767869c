//! Peers that break the protocol on purpose, or ask for too much (design 5): their answers, the audit log, and that all others are
//! served. Each rule is tested on HTTP/1.1 and on HTTP/2.

mod answers;
mod audit;
mod bodies;
mod connections;
mod denials;
mod dropped;
mod ends;
mod floods;
mod framing;
mod handshakes;
mod heads;
mod identity_ends;
mod large;
mod protocol;
mod readers;
mod refused;
mod unseen;
mod withdrawn;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spike_tests::{PATIENCE, Running, SUPERUSER, eventually, raw::Dialer};

use crate::WORKLOAD;

const LIST: &str = "/v1/store/secrets?action=list";
const GET: &str = "/v1/store/secrets?action=get";
const PUT: &str = "/v1/store/secrets";
const ENCRYPT: &str = "/v1/cipher/encrypt";

/// An HTTP/2 client that sends exactly the frames of the test.
fn http2_as(cluster: &Running, path: &str) -> Result<Dialer> {
    Ok(cluster.dial_as(path)?.offering("h2"))
}

/// An operator can connect and is served, over a new connection of each protocol.
async fn operator_is_served(cluster: &Running) -> Result<()> {
    let answer = cluster.post(LIST, "{}").await.context("the operator is not served")?;
    ensure!(answer.status == 200, "the operator is answered {}", answer.status);
    let http2 = http2_as(cluster, SUPERUSER)?.connect().await?.http2().await;
    let status = http2?.post(LIST, "{}").await?.status();
    ensure!(status == 200, "the operator is answered {status} over HTTP/2");
    Ok(())
}

/// Every audit record of Nexus so far.
fn audit_records(cluster: &Running) -> Result<Vec<Value>> {
    let text = cluster.audit_text()?;
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        Ok(line.get_mut("audit").context("a line without a record")?.take())
    });
    lines.collect()
}

/// The audit records of Nexus about what [`WORKLOAD`] sent.
fn records_of_the_workload(cluster: &Running) -> Result<Vec<Value>> {
    let workload = spiffe_id(WORKLOAD);
    let mut records = audit_records(cluster)?;
    records.retain(|record| record["UserID"] == workload.as_str());
    Ok(records)
}

/// Waits for an audit record.
async fn audit_record(
    cluster: &Running,
    what: &str,
    is_it: impl Fn(&Value) -> bool,
) -> Result<Value> {
    eventually(&format!("an audit line of {what}"), PATIENCE / 6, async || {
        Ok(audit_records(cluster)?.into_iter().find(&is_it))
    })
    .await
}

/// The SPIFFE ID with this path, as the audit log has it.
fn spiffe_id(path: &str) -> String {
    format!("spiffe://spike.ist{path}")
}
