//! The level of the log, changed at run time on the telemetry listener.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use spike_tests::{PATIENCE, SUPERUSER, crew::Crew, eventually, policies::allow, secrets::put};
use spike_wire::{EncryptRequest, SecretBytes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{WORKLOAD, crew};

const TARGET: &str = "/log-level";
const PLANTED: &str = "planted-7c2e91";

/// One request of the telemetry listener: status and body.
async fn ask(address: SocketAddr, method: &str, fields: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let request = format!(
        "{method} {TARGET} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

async fn level(address: SocketAddr) -> Result<Value> {
    let (status, body) = ask(address, "GET", "", "").await?;
    assert_eq!(status, 200, "{body}");
    Ok(serde_json::from_str(&body)?)
}

/// The lines of a log with this message.
fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

/// Makes the daemon write a line at DEBUG.
async fn break_off(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"no HTTP\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(())
}

const BROKE: &str = "a telemetry connection broke";
const CHANGED: &str = "the log level was changed";

#[tokio::test]
async fn the_level_changes_without_a_restart_is_logged_once_and_a_restart_brings_the_setting_back()
-> Result<()> {
    let mut crew = crew().setting("SPIKE_SYSTEM_LOG_LEVEL", "ERROR").start().await?;
    for daemon in ["nexus", "keeper-1"] {
        let address = match daemon {
            "nexus" => crew.nexus().telemetry(),
            _ => crew.keeper(1)?.telemetry(),
        };
        let shown = |level: &str| json!({ "level": level, "configured": "ERROR" });
        assert_eq!(level(address).await?, shown("ERROR"));
        for _ in 0..10 {
            break_off(address).await?;
        }

        let (status, body) = ask(address, "PUT", "", "debug").await?;
        assert_eq!((status, serde_json::from_str(&body)?), (200, shown("DEBUG")), "{daemon}");
        break_off(address).await?;
        crew.log_says(daemon, BROKE).await?;
        // The daemon closes a connection before it writes the line, so that of the last one may come after the change.
        let written = lines(&crew.log(daemon)?, BROKE).len();
        assert!((1..=2).contains(&written), "{daemon}: {written}, and ten were at ERROR");

        // Again the same level, and then one that does not show the line about the change any more.
        assert_eq!(ask(address, "POST", "", "DEBUG\n").await?.0, 200);
        assert_eq!(ask(address, "PUT", "", "error").await?.0, 200);
        assert_eq!(level(address).await?, shown("ERROR"));
        eventually("both changes in the log", PATIENCE, async || {
            let changes = lines(&crew.log(daemon)?, CHANGED);
            let told: Vec<_> = changes
                .iter()
                .map(|line| (line["level"].as_str(), line["from"].as_str(), line["to"].as_str()))
                .collect();
            let by_us = changes
                .iter()
                .all(|line| line["by"].as_str().is_some_and(|by| by.starts_with("127.0.0.1:")));
            let expected = [
                (Some("WARN"), Some("ERROR"), Some("DEBUG")),
                (Some("WARN"), Some("DEBUG"), Some("ERROR")),
            ];
            Ok((by_us && told == expected).then_some(()))
        })
        .await?;
    }
    let address = crew.nexus().telemetry();
    assert_eq!(ask(address, "PUT", "", "info").await?.0, 200);
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(level(crew.nexus().telemetry()).await?["level"], "ERROR");
    crew.stop().await
}

#[tokio::test]
async fn what_is_no_level_or_comes_from_a_page_of_a_browser_changes_nothing() -> Result<()> {
    let mut crew = crew().start().await?;
    let address = crew.nexus().telemetry();
    let before = level(address).await?;
    let long = "debug".repeat(100);
    for (method, fields, body, status) in [
        ("PUT", "", "", 400),
        ("PUT", "", "loud", 400),
        ("PUT", "", "spike_nexus=trace", 400),
        ("PUT", "", long.as_str(), 413),
        ("PUT", "Origin: http://localhost:9553\r\n", "debug", 403),
        ("POST", "Origin: null\r\n", "debug", 403),
        ("DELETE", "", "debug", 405),
        ("GET", "", "debug", 200),
    ] {
        let answer = ask(address, method, fields, body).await?;
        assert_eq!(answer.0, status, "{method} {fields}{body}: {}", answer.1);
    }
    assert_eq!(level(address).await?, before);
    crew.stop().await
}

/// Everything that bears a secret, with the planted value in it.
async fn use_everything(crew: &Crew) -> Result<Vec<String>> {
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("a/b", &[("key", PLANTED)])).await?;
    superuser.put_policy(&allow("readers", WORKLOAD, "^a/b$", &["read"])).await?;
    for path in [WORKLOAD, SUPERUSER] {
        let target = "/v1/store/secrets?action=get";
        for dialer in [crew.dial_as(path)?, crew.dial_as(path)?.offering("h2")] {
            let connection = dialer.connect().await?;
            if connection.alpn().as_deref() == Some("h2") {
                let mut http2 = connection.http2().await?;
                assert_eq!(http2.post(target, r#"{"path":"a/b"}"#).await?.status(), 200);
            } else {
                let mut connection = connection;
                let answer = connection.post(target, r#"{"path":"a/b"}"#).await?;
                assert!(answer.status_and_body().1.contains(PLANTED));
                let broken = format!(r#"{{"path":"a/b","values":{{"k":"{PLANTED}"#);
                connection.post("/v1/store/secrets", &broken).await?;
            }
        }
    }
    let request = EncryptRequest { plaintext: SecretBytes::from(PLANTED.as_bytes()) };
    superuser.encrypt(&request).await?;
    let shares = crew.recover().await?;
    let mut planted = written(PLANTED.as_bytes());
    planted.push(PLANTED.to_owned());
    planted.extend(shares.iter().flat_map(|share| written(share.value.expose_bytes())));
    Ok(planted)
}

/// Bytes as `Debug`, hexadecimal digits and JSON write them.
fn written(bytes: &[u8]) -> Vec<String> {
    let list = |between: &str| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(between);
    vec![base16ct::lower::encode_string(bytes), list(", "), list(",")]
}

#[tokio::test]
async fn no_level_shows_a_secret() -> Result<()> {
    let mut crew = crew().start().await?;
    let daemons = ["nexus", "keeper-1", "keeper-2", "keeper-3"];
    let mut addresses = vec![crew.nexus().telemetry()];
    for index in 1..=3 {
        addresses.push(crew.keeper(index)?.telemetry());
    }
    for address in &addresses {
        assert_eq!(ask(*address, "PUT", "", "trace").await?.0, 200);
    }
    let planted = use_everything(&crew).await?;
    // A Keeper that comes back is given its share again.
    crew.kill_keepers([2]).await?;
    crew.restart_keepers([2]).await?;
    crew.keepers_good().await?;
    // The Workload API brings a new private key.
    let before = crew.metrics().await?.get("spike_svid_rotations_total");
    crew.cluster().workload_api().rotate();
    eventually("a rotation", PATIENCE, async || {
        Ok((crew.metrics().await?.get("spike_svid_rotations_total") > before).then_some(()))
    })
    .await?;
    crew.log_says("nexus", "new X.509-SVID").await?;
    for daemon in daemons {
        let log = crew.log(daemon)?;
        assert!(!lines(&log, CHANGED).is_empty(), "{daemon} did not log at trace");
        for secret in &planted {
            assert!(
                !log.to_lowercase().contains(secret.as_str()),
                "{daemon}: a secret is in its log"
            );
        }
        for private in ["PRIVATE KEY", "private_key"] {
            assert!(!log.contains(private), "{daemon}: {private}");
        }
    }
    crew.stop().await
}
