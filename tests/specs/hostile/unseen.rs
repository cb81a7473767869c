//! HTTP/1.1: bytes that could hide from what counts and times heads. The library reads one thing and the reader of arriving bytes
//! another, or the library keeps what is no head.

use anyhow::{Context, Result};
use serde_json::Value;
use spike_tests::{PATIENCE, Running, eventually, raw::Connection};

use super::{LIST, audit_records, spiffe_id};
use crate::{WORKLOAD, scenario};

/// A head for a reader that is out of step with the library. It would wait for the end of that body, and see no later head.
const HIDDEN: &str = "POST / HTTP/1.1\r\ncontent-length: 999999999999\r\n\r\n";

/// Requests with [`HIDDEN`] in their bodies, and why it was read as a head.
fn tricks() -> Vec<(&'static str, String)> {
    let post = format!("POST {LIST} HTTP/1.1\r\nHost: x\r\n");
    let length = HIDDEN.len();
    let chunked = |body: String| format!("{post}Transfer-Encoding: chunked\r\n\r\n{body}");
    vec![
        ("a long length", format!("{post}Content-Length:{length:70}\r\n\r\n{HIDDEN}")),
        ("a length with zeros", format!("{post}Content-Length: {length:070}\r\n\r\n{HIDDEN}")),
        (
            "a chunk size with zeros",
            // The size 0 was seen, and then an empty line.
            chunked(format!("{:070x}\r\n\r\n{HIDDEN}\r\n0\r\n\r\n", length + 2)),
        ),
        ("a line feed alone in the trailers", chunked(format!("0\r\nx: y\n\n{HIDDEN}"))),
    ]
}

/// The audit lines about this SPIFFE ID with these words.
fn lines(cluster: &Running, id: &str, words: &str) -> Result<usize> {
    let is_one = |record: &&Value| {
        record["UserID"] == spiffe_id(id).as_str()
            && record["Err"].as_str().is_some_and(|reason| reason.contains(words))
    };
    Ok(audit_records(cluster)?.iter().filter(is_one).count())
}

async fn connect(cluster: &Running, id: &str) -> Result<Connection> {
    cluster.dial_as(id)?.connect().await
}

/// The connection stayed open until the limit of idle connections, and had no line.
#[tokio::test]
async fn a_head_has_its_time_limit_whatever_is_in_the_body_before_it() -> Result<()> {
    // A busy machine takes a while to send a whole head.
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT", "5s").start().await?;
    let mut open = Vec::new();
    for (what, request) in tricks() {
        let mut connection = connect(&cluster, WORKLOAD).await?;
        let answer = connection.exchange(&request).await.context(what)?;
        // The body is no JSON. It is one request, and the connection goes on.
        assert!(matches!(answer.status, 400 | 401), "{what}: {}", answer.status);
        assert_eq!(connection.post(LIST, "{}").await.context(what)?.status, 401, "{what}");
        connection.exchange(&request).await.context(what)?;
        connection.send("POST / HT").await.context(what)?;
        open.push((what, connection));
    }
    let mut wrong = Vec::new();
    let count = open.len();
    for (what, mut connection) in open {
        if tokio::time::timeout(PATIENCE / 3, connection.ended()).await.is_err() {
            wrong.push(what);
        }
    }
    assert_eq!(wrong, Vec::<&str>::new(), "these stay open");
    eventually("a line for each", PATIENCE / 6, async || {
        Ok((lines(&cluster, WORKLOAD, "did not arrive in time")? == count).then_some(()))
    })
    .await?;
    cluster.stop().await
}

/// Heads behind such a body took as much memory as they liked: 400 MB of four SPIFFE IDs. So did trailers and empty lines,
/// which the library keeps too.
#[tokio::test]
async fn whatever_the_library_keeps_is_bounded_over_all_connections_of_an_id() -> Result<()> {
    const CONNECTIONS: usize = 40;
    // A busy machine takes a while to send all heads: none may end for its time.
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT", "1m").start().await?;
    let large = format!("x: {}\r\n", "y".repeat(20 * 1024 - 5)).repeat(3);
    let post = format!("POST {LIST} HTTP/1.1\r\nHost: x\r\n");
    let mut cases: Vec<_> = tricks()
        .into_iter()
        .map(|(what, request)| (what, Some(request), format!("{post}{large}")))
        .collect();
    cases.push((
        "trailers",
        None,
        format!("{post}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n{large}"),
    ));
    cases.push(("empty lines", None, "\r\n".repeat(30 * 1024)));
    let mut wrong = Vec::new();
    for (number, (what, request, kept)) in cases.into_iter().enumerate() {
        let id = format!("/workload/{number}");
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut connection = connect(&cluster, &id).await?;
            if let Some(request) = &request {
                connection.exchange(request).await.context(what)?;
            }
            // One that is cut may notice.
            connection.send(&kept).await.ok();
            open.push(connection);
        }
        // 1 MiB in parts of 52 to 60 KiB.
        let cut = eventually("cut connections", PATIENCE / 3, async || {
            let cut = lines(&cluster, &id, "heads that do not end")?;
            Ok((cut >= CONNECTIONS / 2).then_some(cut))
        })
        .await;
        if !cut.is_ok_and(|cut| cut < CONNECTIONS - 10) {
            let cut = lines(&cluster, &id, "heads that do not end")?;
            wrong.push(format!("{what}: {cut} were cut"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    cluster.stop().await
}
