//! Health and metrics, as an operator sees them (design 6).

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use spike_mtls::clock;
use spike_tests::{PATIENCE, SUPERUSER, eventually, logs::Metrics, secrets::put};
use spike_wire::{EncryptRequest, SecretBytes};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::{WORKLOAD, scenario};

const GET: &str = "/v1/store/secrets?action=get";

#[tokio::test]
async fn probes_are_answered_in_plain_http_without_any_identity() -> Result<()> {
    let cluster = scenario().start().await?;
    assert_eq!(cluster.telemetry("/livez").await?, (200, "ok\n".to_owned()));
    assert_eq!(cluster.telemetry("/readyz").await?, (200, "ok\n".to_owned()));
    assert_eq!(cluster.telemetry("/v1/store/secrets").await?.0, 404);
    cluster.stop().await
}

#[tokio::test]
async fn healthz_tells_of_every_check_by_name() -> Result<()> {
    let cluster = scenario().start().await?;
    let (status, body) = cluster.telemetry("/healthz").await?;
    let report: Value = serde_json::from_str(&body)?;
    // Not every machine permits locked memory.
    let overall = report["checks"]["memory_locked"]["status"].clone();
    assert_eq!((status, &report["status"]), (200, &overall), "{body}");
    assert_eq!(report["program"], "nexus");
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    for name in ["svid", "svid_rotation", "workload_api", "root_key", "audit"] {
        assert_eq!(report["checks"][name]["status"], "ok", "{name}");
        assert_eq!(report["checks"][name]["contiguousFails"], 0, "{name}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn every_field_and_every_check_of_healthz_is_on_its_page() -> Result<()> {
    let page = crate::repository::text("docs/health.md")?;
    let mut crew = crate::crew().start().await?;
    let nexus = crew.nexus().get("/healthz").await?.1;
    let keeper = crew.keeper(1)?.get("/healthz").await?.1;
    let reports: [Value; 2] = [serde_json::from_str(&nexus)?, serde_json::from_str(&keeper)?];
    let mut seen = std::collections::BTreeSet::from(["start".to_owned()]);
    for report in reports {
        let checks = report["checks"].as_object().context("no checks")?;
        let fields = report.as_object().context("no object")?.keys();
        let of_checks = checks.values().filter_map(Value::as_object).flat_map(|check| check.keys());
        for field in fields.chain(of_checks) {
            assert!(page.contains(&format!("`{field}`")), "the page does not name {field}");
        }
        seen.extend(checks.keys().cloned());
    }
    let (_, rest) = page.split_once("## The checks").context("no table of checks")?;
    let table = rest.split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let told: std::collections::BTreeSet<String> = rows
        .filter_map(|row| row.split(" | ").next())
        .flat_map(|names| names.split('`').skip(1).step_by(2).map(str::to_owned))
        .collect();
    assert_eq!(told, seen);
    crew.stop().await
}

/// How many descriptors Nexus gets, and how many connections hold on to its telemetry port.
const DESCRIPTORS: u64 = 200;
const HELD: usize = 400;

#[tokio::test]
async fn unfinished_heads_on_the_telemetry_port_do_not_stop_the_mtls_port() -> Result<()> {
    let mut cluster = scenario().start().await?;
    let pid = cluster.nexus().pid().and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).context("no process")?;
    let few = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    prlimit(Some(pid), Resource::Nofile, few)?;

    let telemetry = cluster.nexus().telemetry();
    let mut held = Vec::new();
    for _ in 0..HELD {
        let mut stream = TcpStream::connect(telemetry).await?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost:").await?;
        held.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(cluster.post(GET, r#"{"path":"a/b"}"#).await?.status, 404);
    }
    assert_eq!(cluster.telemetry("/livez").await?.0, 200);
    assert!(!cluster.log()?.contains("cannot accept"), "{}", cluster.log()?);
    drop(held);
    cluster.stop().await
}

/// Asks for pages that are larger than the buffers of the kernel, and reads none of them.
async fn ask_and_never_read(telemetry: SocketAddr) -> Result<()> {
    let mut held = VecDeque::new();
    loop {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(1024)?;
        let mut stream = socket.connect(telemetry).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.ok();
        held.push_back(stream);
        if held.len() > 300 {
            held.pop_front();
        }
    }
}

#[tokio::test]
async fn a_probe_is_answered_beside_pages_that_nobody_reads() -> Result<()> {
    const SOON: Duration = Duration::from_secs(5);
    let mut cluster = scenario().start().await?;
    let telemetry = cluster.nexus().telemetry();
    let flood: Vec<_> = (0..3).map(|_| tokio::spawn(ask_and_never_read(telemetry))).collect();
    for _ in 0..20 {
        let probe = tokio::time::timeout(SOON, cluster.telemetry("/readyz")).await;
        assert_eq!(probe.context("the probe waits")??, (200, "ok\n".to_owned()));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for task in &flood {
        assert!(!task.is_finished(), "the flood has ended before");
        task.abort();
    }
    cluster.stop().await
}

#[tokio::test]
async fn requests_are_counted_by_route_status_and_role_of_the_caller() -> Result<()> {
    let cluster = scenario().start().await?;
    for (path, target) in [(SUPERUSER, GET), (SUPERUSER, GET), (WORKLOAD, GET), (SUPERUSER, "/x")] {
        cluster.post_as(path, target, r#"{"path":"a/b"}"#).await?;
    }
    let metrics = cluster.metrics().await?;
    for (name, count) in [
        (r#"spike_requests_total{route="secret_get",status="404",role="superuser"}"#, 2.0),
        (r#"spike_requests_total{route="secret_get",status="401",role="workload"}"#, 1.0),
        (r#"spike_requests_total{route="other",status="400",role="superuser"}"#, 1.0),
        (r#"spike_request_duration_seconds_count{route="secret_get"}"#, 3.0),
        (r#"spike_decision_duration_seconds_count{outcome="role"}"#, 2.0),
        (r#"spike_decision_duration_seconds_count{outcome="policy"}"#, 0.0),
        (r#"spike_decision_duration_seconds_count{outcome="denied"}"#, 1.0),
        ("spike_tls_handshakes_total", 4.0),
        ("spike_request_panics_total", 0.0),
    ] {
        assert_eq!(metrics.get(name), Some(count), "{name}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn what_is_kept_in_memory_and_was_of_use_is_counted() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&put("a/b", &[("key", "value")])).await?;
    for _ in 0..3 {
        cluster.post(GET, r#"{"path":"a/b"}"#).await?;
    }
    let metrics = cluster.metrics().await?;
    for (name, count) in [
        ("spike_read_cache_hits_total", 2.0),
        ("spike_read_cache_misses_total", 1.0),
        ("spike_read_cache_values", 1.0),
    ] {
        assert_eq!(metrics.get(name), Some(count), "{name}");
    }
    assert!(metrics.get("spike_read_cache_bytes").is_some_and(|bytes| bytes > 0.0));
    cluster.stop().await
}

#[tokio::test]
async fn the_identity_and_the_build_can_be_watched() -> Result<()> {
    let cluster = scenario().start().await?;
    // The connections of the start close a moment after their last answers.
    let metrics = eventually("no open connection", PATIENCE, async || {
        let metrics = cluster.metrics().await?;
        Ok((metrics.get("spike_connections_open") == Some(0.0)).then_some(metrics))
    })
    .await?;
    let version = env!("CARGO_PKG_VERSION");
    let build = format!(r#"spike_build_info{{program="nexus",version="{version}"}}"#);
    for (name, value) in [
        (build.as_str(), 1.0),
        ("spike_svid_expiring", 0.0),
        ("spike_svid_outdated", 0.0),
        ("spike_svid_rotations_total", 0.0),
        ("spike_trust_bundle_updates_total", 0.0),
        ("spike_workload_api_connected", 1.0),
        ("spike_workload_api_updates_total", 1.0),
    ] {
        assert_eq!(metrics.get(name), Some(value), "{name}");
    }
    let time = |name| metrics.get(name).unwrap_or_default();
    let expiry = time("spike_svid_expiry_timestamp_seconds");
    let now = f64::from(u32::try_from(clock::now().unix_timestamp())?);
    let left = expiry - now;
    let received = time("spike_svid_received_timestamp_seconds");
    assert!((now - 600.0..=now).contains(&received), "{received}, and it is {now}");
    assert!(time("spike_svid_not_before_timestamp_seconds") <= received);
    assert!((3000.0..=3601.0).contains(&left), "{left} s of an hour are left");
    cluster.stop().await
}

/// Random nonces bear only so many encryptions under one key.
#[tokio::test]
async fn encryptions_under_the_root_key_and_under_the_data_key_are_counted_apart() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let before = cluster.metrics().await?;
    let of = Metrics::get;
    let (root, data) = ("spike_root_key_encryptions_total", "spike_store_data_key_encryptions");
    assert_eq!(of(&before, root), Some(0.0));
    let request = EncryptRequest { plaintext: SecretBytes::from(b"x".as_slice()) };
    for _ in 0..3 {
        superuser.encrypt(&request).await?;
    }
    let encrypted = cluster.metrics().await?;
    assert_eq!(of(&encrypted, root), Some(3.0));
    assert_eq!(of(&encrypted, data), of(&before, data));
    superuser.put_secret(&put("a/b", &[("key", "value")])).await?;
    let written = cluster.metrics().await?;
    assert_eq!(of(&written, root), Some(3.0));
    assert!(of(&written, data) > of(&before, data), "{:?}", of(&written, data));
    assert_eq!(of(&written, "spike_store_data_key_encryptions_limit"), Some(2f64.powi(31)));
    assert_eq!(of(&written, "spike_store_data_keys"), Some(1.0));
    cluster.stop().await
}
