//! Peers without a certificate: what they cost, and what they are told.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE, Running, SUPERUSER, complete_lines, eventually,
    hostile::{
        MIB,
        handshake::{begun, long_hello, stalled, stopped_in_certificates},
        resident,
    },
    raw::Dialer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{LIST, audit_record, operator_is_served};
use crate::{WORKLOAD, crew, scenario};

const IN_ALL: &str = "SPIKE_HTTP_SERVER_MAX_CONNECTIONS";
/// What a client over HTTP/2 sends first: its preface, and empty SETTINGS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const SETTINGS_ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";

/// Whoever had sent nothing yet was cut for each new one: everybody whose first byte was on the way.
#[tokio::test]
async fn handshakes_that_begin_and_stall_do_not_lock_out_whoever_is_30_ms_away() -> Result<()> {
    // 256 of them may be in their handshakes: filled in less than 2 s.
    let cluster = scenario().setting(IN_ALL, "2048").start().await?;
    let attacker = cluster.stranger();
    let flood = tokio::spawn(async move { begun(&attacker, 200, Duration::from_secs(6)).await });
    let cut = r#"spike_connections_refused_total{reason="too_many"}"#;
    cluster.until_metric(cut, |count| count >= 1.0).await?;
    let mut failures = Vec::new();
    for _ in 0..20 {
        failures.extend(call_from_away(&cluster).await.err().map(|error| format!("{error:#}")));
    }
    assert!(!flood.is_finished(), "the flood was over too soon");
    assert_eq!(failures, Vec::<String>::new());
    drop(flood.await??);
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

async fn call_from_away(cluster: &Running) -> Result<()> {
    let dialer = cluster.dial_as(SUPERUSER)?;
    let connector = dialer.connector()?;
    let mut connection = dialer.connect_after(&connector, Duration::from_millis(30)).await?;
    let status = connection.post(LIST, "{}").await?.status;
    ensure!(status == 200, "{status}");
    Ok(())
}

/// Each buffered 64 KiB of it for 10 s.
#[tokio::test]
async fn a_hello_of_more_than_16_kib_ends_the_handshake_with_a_line() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut long = TcpStream::connect(cluster.stranger().address()).await?;
    long.write_all(&long_hello(16 * 1024)).await?;
    let mut byte = [0];
    let early = timeout(Duration::from_millis(300), long.read(&mut byte)).await;
    assert!(early.is_err(), "what has its room is waited for: {early:?}");
    long.write_all(&[0]).await?;
    // Before the time limit of a handshake (10 s).
    let ended = timeout(Duration::from_secs(5), long.read(&mut byte)).await;
    assert_eq!(ended.context("the handshake goes on")??, 0);
    let address = long.local_addr()?.to_string();
    let line = audit_record(&cluster, "the cut", |record| record["Address"] == address).await?;
    assert_eq!(line["Action"], "handshake");
    assert_eq!(line["Err"], "the peer sends more than 16384 bytes before it has an answer");
    let counted = r#"spike_tls_handshakes_refused_total{reason="protocol"}"#;
    cluster.until_metric(counted, |value| value >= 1.0).await?;
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_handshake_of_more_than_64_kib_ends_and_one_of_long_certificates_does_not() -> Result<()>
{
    let cluster = scenario().start().await?;
    let mut taken = cluster.dial_as(SUPERUSER)?.showing_too(vec![0; 40_000]).connect().await?;
    assert_eq!(taken.post(LIST, "{}").await?.status, 200);
    let long = cluster.dial_as(SUPERUSER)?.showing_too(vec![0; 65_000]);
    let mut refused = stopped_in_certificates(&long, 1).await?;
    let ended = timeout(Duration::from_secs(5), refused.read_to_end(&mut Vec::new())).await;
    ended.context("the handshake goes on")?.ok();
    let address = refused.local_addr()?.to_string();
    let line = audit_record(&cluster, "the cut", |record| record["Address"] == address).await?;
    assert_eq!(line["Err"], "the peer sends more than 65536 bytes in its handshake");
    cluster.stop().await
}

/// 512 handshakes of 64 KiB each: 55 MiB, of the 64 MiB that the manifests give a Keeper.
#[tokio::test]
async fn peers_without_a_certificate_do_not_use_up_the_memory_of_a_keeper() -> Result<()> {
    let mut crew = crew().start().await?;
    let keeper = crew.keeper(1)?;
    let (pid, address) = (keeper.pid().context("a Keeper")?, keeper.tls());
    let before = resident(pid)?;
    let mut most = before;
    for hello in [long_hello(60_000), long_hello(16_000), single_bytes(16_000)] {
        let held = stalled(address, 520, &hello).await?;
        most = most.max(resident(pid)?);
        drop(held);
    }
    let shown = crew.dial_keeper_as(1, WORKLOAD)?.showing_too(vec![0; 60_000]);
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(stopped_in_certificates(&shown, 1).await?);
    }
    most = most.max(resident(pid)?);
    let grown = most - before;
    assert!(grown < 20 * MIB, "{grown} bytes more than {before}");
    drop(held);
    crew.keepers_good().await?;
    crew.stop().await
}

/// A `ClientHello` in records of one byte.
fn single_bytes(bytes: usize) -> Vec<u8> {
    let begin = [1, 0, 0xf0, 0].into_iter().chain(std::iter::repeat(0));
    begin.flat_map(|byte| [22, 3, 1, 0, 1, byte]).take(bytes).collect()
}

/// The server closed while bytes of the client were unread: "connection reset by peer" was all that the client saw.
#[tokio::test]
async fn a_client_over_http2_without_a_certificate_reads_the_alert_whatever_it_has_sent()
-> Result<()> {
    let cluster = scenario().start().await?;
    let alert = Some("received fatal alert: CertificateRequired");
    let dialer = cluster.stranger().tls13().offering("h2");
    assert_eq!(alerts(&dialer, alert).await, Vec::<String>::new());
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_client_that_a_keeper_does_not_accept_reads_the_alert_whatever_it_has_sent() -> Result<()>
{
    let mut crew = crew().start().await?;
    let dialer = crew.dial_keeper_as(1, WORKLOAD)?.tls13().offering("h2");
    assert_eq!(alerts(&dialer, None).await, Vec::<String>::new());
    // One line for each, and no other for what comes after it.
    let log = crew.dir().join("logs/keeper-1-audit.log");
    let lines = eventually("the lines", PATIENCE / 6, async || {
        let text = complete_lines(&log)?;
        let lines = text.lines().filter(|line| line.contains(r#""Action":"handshake""#)).count();
        Ok((lines >= 20).then_some(lines))
    })
    .await?;
    assert_eq!(lines, 20);
    crew.stop().await
}

/// Of 20 attempts, those that end otherwise than with this alert (or with any).
async fn alerts(dialer: &Dialer, expected: Option<&str>) -> Vec<String> {
    let mut others = Vec::new();
    for attempt in 0..20 {
        match refused_while_sending(dialer, attempt % 4).await {
            Ok(alert) if expected.map_or(alert.contains("fatal alert"), |text| alert == text) => {}
            Ok(other) => others.push(other),
            Err(error) => others.push(format!("{error:#}")),
        }
    }
    others
}

/// As curl does: it sends before it reads, and goes on for a few milliseconds.
async fn refused_while_sending(dialer: &Dialer, pause: u64) -> Result<String> {
    let mut connection = dialer.connect().await?;
    for part in [PREFACE, SETTINGS_ACK, SETTINGS_ACK] {
        connection.send(part).await.context("sending")?;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    connection.ended().await?.context("the connection ended without an alert")
}
