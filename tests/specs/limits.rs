//! Bounds on what a peer controls (design 5). Above a limit it gets a clear answer or the end of its connection, and others are
//! not affected.

use std::time::Duration;

use anyhow::Result;
use spike_mtls::clock;
use spike_tests::{
    Credential, PATIENCE, SUPERUSER, eventually,
    raw::{Connection, Dialer},
};

use crate::{WORKLOAD, scenario};

const LIST: &str = "/v1/store/secrets?action=list";

#[tokio::test]
async fn over_its_limit_an_id_loses_its_longest_idle_connection_and_the_new_one_is_served()
-> Result<()> {
    let cluster =
        scenario().setting("SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID", "2").start().await?;
    let superuser = cluster.dial_as(SUPERUSER)?;
    let (mut first, mut second) = (superuser.connect().await?, superuser.connect().await?);
    assert_eq!(first.post(LIST, "{}").await?.status, 200);
    assert_eq!(second.post(LIST, "{}").await?.status, 200);
    assert_eq!(first.post(LIST, "{}").await?.status, 200);

    let mut third = superuser.connect().await?;
    assert_eq!(third.post(LIST, "{}").await?.status, 200);
    second.ended().await?;
    assert_eq!(first.post(LIST, "{}").await?.status, 200);
    assert_eq!(cluster.post_as(WORKLOAD, LIST, "{}").await?.status, 401);
    cluster.stop().await
}

/// A connection whose request is carried out: it waits for its body.
async fn busy(dialer: &Dialer) -> Result<Connection> {
    let mut connection = dialer.connect().await?;
    let head = format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n");
    connection.send(head + "Expect: 100-continue\r\n\r\n").await?;
    assert_eq!(connection.answer_without_body().await?.status, 100);
    Ok(connection)
}

#[tokio::test]
async fn an_id_whose_connections_are_all_busy_is_refused_another() -> Result<()> {
    let cluster =
        scenario().setting("SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID", "2").start().await?;
    let superuser = cluster.dial_as(SUPERUSER)?;
    let (mut first, _second) = (busy(&superuser).await?, busy(&superuser).await?);
    let refused = r#"spike_connections_refused_total{reason="too_many_of_one_id"}"#;
    superuser.connect().await?.ended().await?;
    assert_eq!(cluster.metrics().await?.get(refused), Some(1.0));
    assert_eq!(first.exchange("{}").await?.status, 200);
    assert_eq!(superuser.connect().await?.post(LIST, "{}").await?.status, 200);
    cluster.stop().await
}

/// The trust domain and the clock were named, and both were well.
#[tokio::test]
async fn whoever_has_no_connection_left_is_told_of_that_by_spike_and_by_its_doctor() -> Result<()> {
    let cluster =
        scenario().setting("SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID", "2").start().await?;
    let superuser = cluster.dial_as(SUPERUSER)?;
    let (mut first, _second) = (busy(&superuser).await?, busy(&superuser).await?);
    let ran = cluster.spike(&["secret", "list"]).await?;
    assert_eq!(ran.status, Some(6), "{ran:?}");
    let told = "hint: too many connections of this SPIFFE ID, or of all, are busy";
    assert!(ran.stderr.contains(told) && !ran.stderr.contains("https://docs.rs"), "{}", ran.stderr);
    let ran = cluster.spike(&["doctor"]).await?;
    assert_eq!(ran.status, Some(6), "{ran:?}");
    let text = ran.text()?.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("too many connections of this SPIFFE ID, or of all, are busy"), "{text}");
    // Where both send the reader.
    let audit = cluster.dir().join("logs/nexus-audit.log");
    let query = ["audit", "query", &audit.display().to_string(), "--action", "connect"];
    let lines = cluster.spike(&query).await?;
    assert!(lines.done()?.contains("this SPIFFE ID has too many busy connections"), "{lines:?}");
    assert_eq!(first.exchange("{}").await?.status, 200);
    cluster.stop().await
}

#[tokio::test]
async fn above_the_limit_in_all_the_id_with_the_most_connections_gives_way_but_no_operator_does()
-> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_MAX_CONNECTIONS", "4").start().await?;
    let mut operator = cluster.dial_as(SUPERUSER)?.connect().await?;
    assert_eq!(operator.post(LIST, "{}").await?.status, 200);
    let workload = cluster.dial_as(WORKLOAD)?;
    let mut held = Vec::new();
    for _ in 0..6 {
        let mut connection = workload.connect().await?;
        assert_eq!(connection.post(LIST, "{}").await?.status, 401);
        held.push(connection);
    }
    held.remove(0).ended().await?;
    assert_eq!(operator.post(LIST, "{}").await?.status, 200);
    let mut another = cluster.dial_as(SUPERUSER)?.connect().await?;
    assert_eq!(another.post(LIST, "{}").await?.status, 200);
    cluster.stop().await
}

#[tokio::test]
async fn a_head_that_does_not_come_or_does_not_end_ends_the_connection() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT", "1s").start().await?;
    let superuser = cluster.dial_as(SUPERUSER)?;
    let (mut silent, mut slow, mut later) =
        (superuser.connect().await?, superuser.connect().await?, superuser.connect().await?);
    slow.send(format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nX-")).await?;
    assert_eq!(later.post(LIST, "{}").await?.status, 200);
    later.send("POST ").await?;
    // It begins in the same bytes as the end of the request before it.
    let mut ahead = superuser.connect().await?;
    let request = format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}POST ");
    assert_eq!(ahead.exchange(request).await?.status, 200);
    for connection in [&mut silent, &mut slow, &mut later, &mut ahead] {
        connection.ended().await?;
    }
    cluster.stop().await
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT", "1s").start().await?;
    let _silent = tokio::net::TcpStream::connect(cluster.stranger().address()).await?;
    let refused = r#"spike_tls_handshakes_refused_total{reason="timeout"}"#;
    cluster.until_metric(refused, |count| count >= 1.0).await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_body_that_does_not_end_is_a_bad_request() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_READ_BODY_TIMEOUT", "1s").start().await?;
    let mut slow = cluster.dial_as(SUPERUSER)?.connect().await?;
    let request = format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{");
    let answer = slow.exchange(request).await?;
    assert_eq!(answer.status_and_body(), (400, r#"{"keys":null,"err":"api_bad_request"}"#));
    cluster.stop().await
}

/// A connection between two requests may idle for longer than the Go SDK keeps it, which is 30 s (Q-40).
#[tokio::test]
async fn an_idle_connection_outlives_that_of_the_go_sdk_and_then_ends() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_IDLE_TIMEOUT", "31s").start().await?;
    let mut idle = cluster.dial_as(SUPERUSER)?.connect().await?;
    assert_eq!(idle.post(LIST, "{}").await?.status, 200);
    let still_open = tokio::time::timeout(Duration::from_secs(30), idle.ended()).await;
    assert!(still_open.is_err(), "{still_open:?}");
    idle.ended().await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_connection_ends_with_the_svid_that_it_was_opened_with() -> Result<()> {
    let cluster = scenario().start().await?;
    let ca = cluster.workload_api().ca();
    let short = Credential::valid(ca, cluster.id(SUPERUSER)?, Duration::from_secs(3))?;
    let dialer = cluster.stranger().showing(&short);
    let mut connection = dialer.connect().await?;
    assert_eq!(connection.post(LIST, "{}").await?.status, 200);
    connection.ended().await?;
    let (source, now) = (short.source()?, clock::now());
    assert!(source.status().outdated(now), "it ended before the SVID did");
    // A certificate is valid through the whole of its last second.
    eventually("the refusal of the next connection", PATIENCE, async || {
        let refused = dialer.connect().await?.ended().await?;
        Ok(refused.filter(|alert| alert.contains("fatal alert")))
    })
    .await?;
    cluster.stop().await
}

/// A request that is on its way when the connection ends gets no answer, so the server announces the end in time.
#[tokio::test]
async fn before_its_svid_ends_a_peer_is_asked_to_open_another_connection() -> Result<()> {
    let cluster = scenario().start().await?;
    let ca = cluster.workload_api().ca();
    let short = Credential::valid(ca, cluster.id(SUPERUSER)?, Duration::from_secs(4))?;
    let source = short.source()?;
    let mut connection = cluster.stranger().showing(&short).connect().await?;
    let mut answers = 0;
    loop {
        let answer = connection.post(LIST, "{}").await?;
        assert_eq!(answer.status, 200);
        if answer.header("connection") == Some("close") {
            break;
        }
        answers += 1;
    }
    assert!(answers > 0, "not from the beginning");
    assert!(!source.status().outdated(clock::now()), "not too late");
    connection.ended().await?;
    cluster.stop().await
}
