//! The audit log has a line for everything that comes to Nexus, and no line is longer than a bound, whatever a peer sends.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use spiffe::TrustDomain;
use spike_dev::ca::{Ca, Defect};
use spike_mtls::clock;
use spike_tests::{
    Credential, PATIENCE, Running, complete_lines, eventually,
    hostile::{Http2Peer, PeerBehaviour},
    raw::{Connection, Dialer},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{GET, LIST, audit_record, http2_as, records_of_the_workload, spiffe_id};
use crate::{WORKLOAD, crew, scenario};

/// The longest line, in bytes. Each text of a peer is clipped to 512 bytes, and there are few of them.
const LONGEST: usize = 8 * 1024;

#[tokio::test]
async fn a_denied_request_with_a_long_path_writes_a_line_of_bounded_length() -> Result<()> {
    let cluster = scenario().start().await?;
    let long = "p".repeat(4_000_000);
    let body = format!(r#"{{"path":"{long}"}}"#);
    let answer = cluster.post_as(WORKLOAD, GET, &body).await?;
    assert!(matches!(answer.status, 400 | 401), "{}", answer.status);

    let mut target = format!("/v1/{}?action=", "q".repeat(30_000));
    target.push_str(&"r".repeat(30_000));
    let answer = cluster.post_as(WORKLOAD, &target, "{}").await?;
    assert!(answer.status >= 400, "{}", answer.status);
    let mut peer = Http2Peer::connect(&http2_as(&cluster, WORKLOAD)?, PeerBehaviour::GOOD).await?;
    let status = peer.post(&target, b"{}").await?.status;
    assert!(status.is_none_or(|status| status >= 400), "{status:?}");

    let workload = spiffe_id(WORKLOAD);
    audit_record(&cluster, "the request", |record| record["UserID"] == workload.as_str()).await?;
    let longest = cluster.audit_text()?.lines().map(str::len).max();
    assert!(longest.is_some_and(|length| length <= LONGEST), "{longest:?} bytes");
    cluster.stop().await
}

/// Text of a peer must not control a terminal that shows the log (ECMA-48: C0, DEL and C1).
#[tokio::test]
async fn no_control_character_of_a_peer_reaches_the_audit_log() -> Result<()> {
    let cluster = scenario().start().await?;
    let path = "a\\u0007b\\u001b[2Jc\\u007fd\\u0085e\\u009b2Jf\\u2028g";
    cluster.post_as(WORKLOAD, GET, &format!(r#"{{"path":"{path}"}}"#)).await?;
    cluster.post_as(WORKLOAD, "/v1/%1b%7f%c2%9b%c2%85?x=%1b", "{}").await?;
    eventually("both lines", PATIENCE, async || {
        Ok((records_of_the_workload(&cluster)?.len() >= 2).then_some(()))
    })
    .await?;
    let text = cluster.audit_text()?;
    let raw: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert_eq!(raw, Vec::<char>::new());
    cluster.stop().await
}

/// A line about a connection from `address`, with a reason, and with the SPIFFE ID that its certificate claims.
async fn refused(cluster: &Running, address: &str, claimed: &str) -> Result<Value> {
    let what = format!("the connection from {address}, which claims {claimed:?}");
    audit_record(cluster, &what, |record| {
        record["Address"] == address
            && record["UserID"] == claimed
            && record["Err"].as_str().is_some_and(|reason| !reason.is_empty())
    })
    .await
}

/// Connects, waits for the refusal, and returns the own address.
async fn refused_by(dialer: &Dialer) -> Result<String> {
    let mut connection = dialer.connect().await?;
    connection.ended().await?.context("a refusal")?;
    local_address(connection)
}

fn local_address(connection: Connection) -> Result<String> {
    Ok(connection.into_stream().get_ref().get_ref().0.local_addr()?.to_string())
}

#[tokio::test]
async fn a_refused_handshake_has_a_line_with_address_and_reason_and_the_id_of_the_certificate()
-> Result<()> {
    let cluster = scenario().start().await?;
    let hour = Duration::from_hours(1);
    let address = refused_by(&cluster.stranger().tls13()).await?;
    refused(&cluster, &address, "").await?;

    let foreign = Ca::new(TrustDomain::new("elsewhere.example")?, clock::now())?;
    let id = "spiffe://elsewhere.example/app";
    let credential = Credential::valid(&foreign, id.parse()?, hour)?;
    let address = refused_by(&cluster.stranger().tls13().showing(&credential)).await?;
    refused(&cluster, &address, id).await?;

    let ca = cluster.workload_api().ca();
    let expired = Credential::defective(ca, cluster.id(WORKLOAD)?, &Defect::Expired)?;
    let address = refused_by(&cluster.stranger().tls13().showing(&expired)).await?;
    refused(&cluster, &address, &spiffe_id(WORKLOAD)).await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_connection_that_does_not_speak_tls_has_a_line_with_its_address() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT", "1s").start().await?;
    let at = cluster.stranger().address();
    let mut plain = tokio::net::TcpStream::connect(at).await?;
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await?;
    assert!(answer.starts_with(b"HTTP/1.0 400 "));
    refused(&cluster, &plain.local_addr()?.to_string(), "").await?;

    // The beginning of a handshake that never ends.
    let mut silent = tokio::net::TcpStream::connect(at).await?;
    silent.write_all(b"\x16\x03\x01").await?;
    refused(&cluster, &silent.local_addr()?.to_string(), "").await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_keeper_writes_down_who_may_not_connect_to_it() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let dialer = crew.dial_keeper_as(1, WORKLOAD)?.tls13();
    let address = refused_by(&dialer).await?;
    let log = crew.dir().join("logs/keeper-1-audit.log");
    eventually("an audit line of the Keeper", PATIENCE / 6, async || {
        let text = complete_lines(&log)?;
        let line = text.lines().find(|line| line.contains(&address));
        Ok(line.filter(|line| line.contains(&spiffe_id(WORKLOAD))).map(|_| ()))
    })
    .await?;
    crew.stop().await
}

/// Requests that are answered before any handler, with the status of Go's server and its router.
#[tokio::test]
async fn requests_that_no_handler_takes_have_their_lines_too() -> Result<()> {
    let cluster = scenario().start().await?;
    let padding = "p".repeat(200 * 1024);
    let requests = [
        ("no request at all", "nonsense\r\n\r\n".to_owned(), 400),
        ("a head that is too large", format!("POST / HTTP/1.1\r\nX-P: {padding}\r\n\r\n"), 431),
        ("no host", format!("POST {LIST} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}"), 400),
        ("CONNECT", "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n".to_owned(), 404),
        ("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200),
        (
            "a redirect",
            "POST /v1//store HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_owned(),
            307,
        ),
    ];
    let mut missing = Vec::new();
    for (what, request, status) in requests {
        let lines_of = || -> Result<usize> {
            let records = records_of_the_workload(&cluster)?;
            Ok(records.iter().filter(|record| record["Status"] == status).count())
        };
        let before = lines_of()?;
        let mut connection = cluster.dial_as(WORKLOAD)?.connect().await?;
        assert_eq!(connection.exchange(request).await?.status, status, "{what}");
        let line =
            eventually(what, PATIENCE / 30, async || Ok((lines_of()? == before + 1).then_some(())));
        missing.extend(line.await.err().map(|error| error.to_string()));
    }
    assert_eq!(missing, Vec::<String>::new(), "these have no line");
    let mut records = records_of_the_workload(&cluster)?;
    records.retain(|record| {
        record["Status"].as_u64().is_some_and(|status| status >= 400)
            && record["Err"].as_str().is_none_or(str::is_empty)
    });
    assert_eq!(records, Vec::<Value>::new(), "these have no reason");
    cluster.stop().await
}

/// Such requests get no answer, or one whose status says too little.
#[tokio::test]
async fn the_line_of_a_broken_head_says_what_is_wrong_with_it_and_which_status_was_sent()
-> Result<()> {
    let cluster = scenario().start().await?;
    let cases = [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 0, "HTTP2 preface"),
        (
            format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", u64::MAX),
            431,
            "Content-Length",
        ),
        (format!("POST / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000)), 431, "65536 bytes"),
    ];
    for (head, status, reason) in cases {
        let mut connection = cluster.dial_as(WORKLOAD)?.connect().await?;
        let answer = connection.exchange(head).await.map_or(0, |answer| answer.status);
        assert_eq!(answer, status, "{reason}");
        audit_record(&cluster, reason, |record| {
            record["Status"] == status
                && record["Err"].as_str().is_some_and(|text| text.contains(reason))
        })
        .await?;
    }
    cluster.stop().await
}

/// The line has the status that was sent.
#[tokio::test]
async fn a_target_that_does_not_parse_has_the_status_of_its_answer_in_its_line() -> Result<()> {
    let cluster = scenario().start().await?;
    let targets: [&[u8]; 4] = [
        b"GET /\r\n",
        b"GET /\xff HTTP/1.1\r\n",
        b"GET /?\x7f HTTP/1.1\r\n",
        b"GET [ HTTP/1.1\r\n",
    ];
    for (number, target) in targets.into_iter().enumerate() {
        let mut connection = cluster.dial_as(WORKLOAD)?.connect().await?;
        let answer = connection.exchange([target, b"Host: x\r\n\r\n"].concat()).await?;
        let what = String::from_utf8_lossy(target);
        assert_eq!(answer.status, 400, "{what}");
        let line = eventually(&what, PATIENCE / 6, async || {
            Ok(records_of_the_workload(&cluster)?.into_iter().nth(number))
        })
        .await?;
        assert_eq!(line["Status"], 400, "{what}: {line}");
    }
    cluster.stop().await
}

/// An answer that the HTTP library gives by itself has its line too.
#[tokio::test]
async fn a_request_over_http_2_with_a_head_that_is_too_large_has_its_line() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut peer = Http2Peer::connect(&http2_as(&cluster, WORKLOAD)?, PeerBehaviour::GOOD).await?;
    let padding = "p".repeat(70 * 1024);
    let stream = peer.ask_with(LIST, &[("x-padding", &padding)], b"{}").await?;
    assert_eq!(peer.status(stream).await?, Some(431));
    let workload = spiffe_id(WORKLOAD);
    audit_record(&cluster, "the request", |record| {
        record["UserID"] == workload.as_str() && record["Status"] == 431
    })
    .await?;
    cluster.stop().await
}

#[tokio::test]
async fn noise_of_peers_without_an_identity_takes_no_line_from_those_who_have_one() -> Result<()> {
    const MALFORMED: usize = 10;
    let cluster = scenario().start().await?;
    let at = cluster.stranger().address();
    let noise = tokio::spawn(async move {
        loop {
            if let Ok(mut plain) = tokio::net::TcpStream::connect(at).await {
                plain.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok();
            }
        }
    });
    audit_record(&cluster, "what is only counted", |record| {
        record["Err"].as_str().is_some_and(|text| text.contains(" more refused handshakes"))
    })
    .await?;
    for _ in 0..MALFORMED {
        let mut connection = cluster.dial_as(WORKLOAD)?.connect().await?;
        assert_eq!(connection.exchange("GET / HTTP/1.1\r\nX y\r\n\r\n").await?.status, 400);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lines = eventually("a line of each", PATIENCE / 6, async || {
        let lines = records_of_the_workload(&cluster)?.len();
        Ok((lines >= MALFORMED).then_some(lines))
    })
    .await?;
    noise.abort();
    assert_eq!(lines, MALFORMED);
    cluster.stop().await
}
