//! Rotation under load (design 5): SVIDs change, the Workload API stops and starts again, and no request fails.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use spike_config::Environment;
use spike_tests::{PATIENCE, Running, SUPERUSER, eventually, load::Tally, secrets};

use crate::{crew, scenario};

const ROTATIONS: &str = "spike_svid_rotations_total";

/// The default length of the shorter load, in seconds.
const SECONDS: u64 = 24;

/// The number of failed connections to the Workload API after which the pause has grown to the longest (5 s).
const FAILURES: f64 = 8.0;

/// Mixed load for `length`, while every SVID lasts `ttl`, those of the clients too. Returns the results, and the number of
/// rotations that Nexus saw.
async fn load_for(length: Duration, ttl: Duration) -> Result<(Tally, f64)> {
    let cluster = scenario().svid_ttl(ttl).start().await?;
    let (source, _registration) = cluster.follow_as(SUPERUSER).await?;
    let before = cluster.until_metric(ROTATIONS, |_| true).await?;
    let load = cluster.load(&source, 4, 4)?;
    tokio::time::sleep(length).await;
    let tally = load.finish().await;
    let after = cluster.until_metric(ROTATIONS, |_| true).await?;
    cluster.stop().await?;
    Ok((tally, after - before))
}

fn check(tally: &Tally, rotations: f64) {
    assert_eq!(tally.failures, Vec::<String>::new());
    assert_eq!(tally.failed, 0);
    assert!(rotations >= 5.0, "{rotations} rotations");
    assert!(tally.kept > 100 && tally.new > 100, "{tally:?}");
}

/// `SPIKE_TEST_LOAD_SECONDS` makes it last longer or shorter; under 12 s there are too few rotations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_svids_rotate() -> Result<()> {
    let environment = Environment::of_process();
    let seconds = environment.get("SPIKE_TEST_LOAD_SECONDS").and_then(|text| text.to_str());
    let seconds = seconds.map_or(Ok(SECONDS), str::parse)?;
    let (tally, rotations) = load_for(Duration::from_secs(seconds), Duration::from_secs(4)).await?;
    check(&tally, rotations);
    Ok(())
}

/// The documented form: SVIDs of 10 s, a minute of load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; run with --ignored"]
async fn no_request_fails_in_a_minute_with_svids_of_ten_seconds() -> Result<()> {
    let (tally, rotations) = load_for(Duration::from_mins(1), Duration::from_secs(10)).await?;
    check(&tally, rotations);
    Ok(())
}

async fn health_of(cluster: &Running, check: &str) -> Result<(String, Value)> {
    let (_, body) = cluster.telemetry("/healthz").await?;
    let report: Value = serde_json::from_str(&body)?;
    let at = |pointer: &str| report.pointer(pointer).cloned().unwrap_or_default();
    let status = at("/status").as_str().unwrap_or_default().to_owned();
    Ok((status, at(&format!("/checks/{check}"))))
}

#[tokio::test]
async fn nexus_outlives_an_absence_of_the_workload_api_says_so_and_recovers_by_itself() -> Result<()>
{
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&secrets::put("a/b", &[("k", "v")])).await?;
    let (_, check) = health_of(&cluster, "workload_api").await?;
    assert_eq!(check["status"], "ok");

    cluster.workload_api().pause().await;
    let unreachable = r#"spike_workload_api_failures_total{cause="unreachable"}"#;
    cluster.until_metric(unreachable, |count| count >= FAILURES).await?;
    let metrics = cluster.metrics().await?;
    assert!(metrics.get("spike_workload_api_pause_seconds").is_some_and(|pause| pause > 0.0));
    for cause in ["refused", "other_identity", "silent", "unusable", "address"] {
        let name = format!(r#"spike_workload_api_failures_total{{cause="{cause}"}}"#);
        assert_eq!(metrics.get(&name), Some(0.0), "{cause}");
    }
    assert_eq!(secrets::value_of(&superuser, "a/b", 0, "k").await?, "v");
    assert_eq!(cluster.post("/v1/store/secrets?action=list", "{}").await?.status, 200);
    assert_eq!(cluster.telemetry("/readyz").await?.0, 200);
    let (status, check) = health_of(&cluster, "workload_api").await?;
    assert_eq!((status.as_str(), &check["status"]), ("degraded", &"degraded".into()));
    let reason = check["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("workload-api.sock"), "{reason}");
    assert!(reason.contains(" since 20"), "{reason}");
    assert!(check["firstFailureAt"].is_string(), "{check}");

    cluster.workload_api().resume().await?;
    eventually("a healthy Workload API", PATIENCE, async || {
        let (_, check) = health_of(&cluster, "workload_api").await?;
        Ok((check["status"] == "ok").then_some(()))
    })
    .await?;
    let metrics = cluster.metrics().await?;
    assert_eq!(metrics.get("spike_workload_api_pause_seconds"), Some(0.0));
    assert_eq!(metrics.get("spike_workload_api_fetch_seconds_count"), Some(2.0));
    assert_eq!(metrics.get("spike_workload_api_updates_total"), Some(2.0));
    assert_eq!(metrics.get("spike_workload_api_update_seconds_count"), Some(2.0));
    // The stream itself was restored, not only the socket.
    let before = cluster.until_metric(ROTATIONS, |_| true).await?;
    cluster.workload_api().rotate();
    cluster.until_metric(ROTATIONS, |count| count > before).await?;
    cluster.stop().await
}

#[tokio::test]
async fn an_svid_that_ends_while_the_workload_api_is_away_makes_nexus_not_ready() -> Result<()> {
    let cluster = scenario().svid_ttl(Duration::from_secs(2)).start().await?;
    cluster.workload_api().pause().await;
    let told = eventually("not ready", PATIENCE, async || {
        let (status, body) = cluster.telemetry("/readyz").await?;
        Ok((status == 503).then_some(body))
    })
    .await?;
    assert!(told.contains("the X.509-SVID expired at 20"), "{told}");
    assert!(told.contains("on this machine: is the clock right"), "{told}");
    assert_eq!(cluster.metrics().await?.get("spike_svid_outdated"), Some(1.0));
    assert_eq!(cluster.telemetry("/livez").await?.0, 200);
    cluster.workload_api().resume().await?;
    eventually("ready again", PATIENCE, async || {
        Ok((cluster.telemetry("/readyz").await?.0 == 200).then_some(()))
    })
    .await?;
    cluster.stop().await
}

/// Nexus served with it, was refused by every client, and called itself healthy.
#[tokio::test]
async fn an_svid_of_another_role_makes_a_running_nexus_not_ready_until_it_has_its_own_again()
-> Result<()> {
    let mut crew = crew().start().await?;
    let pid = crew.nexus().pid().context("Nexus runs")?;
    let other = crew.spiffe_id("/workload/x")?;
    let registration = crew.cluster().workload_api().registry().register(pid, other)?;
    let told = eventually("not ready", PATIENCE, async || {
        let (status, body) = crew.nexus().get("/readyz").await?;
        Ok((status == 503).then_some(body))
    })
    .await?;
    assert!(told.contains("/workload/x, which is not"), "{told}");
    assert_eq!(crew.nexus().get("/livez").await?.0, 200, "a restart would not help");
    drop(registration);
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

/// The registration entry of a Keeper is changed to that of Nexus while the Keeper has its stream open. The log had this as a new
/// SVID, below its default level.
#[tokio::test]
async fn a_keeper_that_gets_the_identity_of_nexus_on_its_open_stream_is_not_ready_and_says_so()
-> Result<()> {
    let mut crew = crew().keepers(3, 2).start().await?;
    crew.keepers_good().await?;
    let pid = crew.keeper(1)?.pid().context("the Keeper runs")?;
    let nexus = crew.spiffe_id("/spike/nexus")?;
    let registration = crew.cluster().workload_api().registry().register(pid, nexus)?;
    let told = eventually("not ready", PATIENCE, async || {
        let (status, body) = crew.keeper(1)?.get("/readyz").await?;
        Ok((status == 503).then_some(body))
    })
    .await?;
    assert!(told.contains("/spike/nexus, which is not keeper"), "{told}");
    crew.log_says("keeper-1", "the agent gave this process another SPIFFE ID than before").await?;
    drop(registration);
    eventually("ready again", PATIENCE, async || {
        Ok((crew.keeper(1)?.get("/readyz").await?.0 == 200).then_some(()))
    })
    .await?;
    crew.keepers_good().await?;
    crew.stop().await
}
