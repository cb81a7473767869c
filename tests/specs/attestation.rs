//! Attestation by an agent that is not root (design 5). It sees only executables of its own user's dumpable processes.
//!
//! Root sees everything, so each test runs itself once more as another user.

use std::{
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spike_config::Environment;
use spike_daemon::settings::Backend;
use spike_tests::{PATIENCE, Running, Scenario, eventually};
use tokio::process::Command;

/// The number of the user `nobody`.
const NOBODY: u32 = 65534;

/// The directory of the programs that the other user may run.
const PLACE: &str = "SPIKE_TEST_UNPRIVILEGED_PLACE";

const ROTATIONS: &str = "spike_svid_rotations_total";

const VISIBLE: &str = "SPIKE_SPIFFE_VISIBLE_WHEN_REFUSED";

/// How long a test may take as the other user.
const LIMIT: Duration = Duration::from_mins(4);

#[tokio::test]
async fn an_agent_that_is_not_root_attests_every_daemon_at_start_and_on_reconnect() -> Result<()> {
    let name = "an_agent_that_is_not_root_attests_every_daemon_at_start_and_on_reconnect";
    let Some(scenario) = here() else { return unprivileged(name).await };
    let mut cluster = scenario.backend(Backend::Sqlite).start().await?;
    cluster.workload_api().attest_executables(true);
    // From the start: Nexus, and Bootstrap, which finds that there is a key.
    cluster.terminate().await?;
    cluster.restart_nexus().await?;
    cluster.run_bootstrap().await?;
    // On a reconnect: the agent refuses Nexus while it is undumpable, so Nexus becomes dumpable.
    reconnect(&cluster).await?;
    let before = cluster.until_metric(ROTATIONS, |_| true).await?;
    cluster.workload_api().rotate();
    cluster.until_metric(ROTATIONS, |count| count > before).await?;
    // Nexus is undumpable again at once: its own user cannot read its executable.
    let pid = cluster.nexus().pid().context("no process")?;
    let seen = std::fs::read_link(format!("/proc/{pid}/exe"));
    ensure!(seen.is_err(), "{seen:?}");
    cluster.stop().await
}

/// From 1.15 on, SPIRE answers in other words and with another status if it cannot look at a process. A daemon took that for trouble
/// of the agent, remained undumpable, and lost its identity at the end of its SVID.
#[tokio::test]
async fn a_failed_attestation_counts_as_a_refusal_and_the_daemon_is_attested_again() -> Result<()> {
    let name = "a_failed_attestation_counts_as_a_refusal_and_the_daemon_is_attested_again";
    let Some(scenario) = here() else { return unprivileged(name).await };
    let cluster = scenario.backend(Backend::Sqlite).start().await?;
    cluster.workload_api().attest_executables(true);
    cluster.workload_api().fail_attestation(true);
    reconnect(&cluster).await?;
    let before = cluster.until_metric(ROTATIONS, |_| true).await?;
    cluster.workload_api().rotate();
    cluster.until_metric(ROTATIONS, |count| count > before).await?;
    cluster.stop().await
}

#[tokio::test]
async fn a_daemon_that_must_not_become_visible_again_says_why_it_has_no_agent() -> Result<()> {
    let name = "a_daemon_that_must_not_become_visible_again_says_why_it_has_no_agent";
    let Some(scenario) = here() else { return unprivileged(name).await };
    let cluster = scenario.setting(VISIBLE, "false").start().await?;
    cluster.workload_api().attest_executables(true);
    cluster.workload_api().pause().await;
    cluster.workload_api().resume().await?;
    let reason = eventually("the cause", PATIENCE, async || {
        let reason = agent(&cluster).await?["reason"].as_str().unwrap_or_default().to_owned();
        Ok(reason.contains("no identity").then_some(reason))
    })
    .await?;
    assert!(reason.contains("hides its executable from an agent that is not root"), "{reason}");
    // Its SVID is still valid.
    assert_eq!(cluster.telemetry("/readyz").await?.0, 200);
    cluster.workload_api().attest_executables(false);
    cluster.stop().await
}

/// The agent goes away and comes back, and Nexus finds it again.
async fn reconnect(cluster: &Running) -> Result<()> {
    cluster.workload_api().pause().await;
    eventually("Nexus misses the agent", PATIENCE, async || {
        let check = agent(cluster).await?;
        Ok((check.get("status") == Some(&"degraded".into())).then_some(()))
    })
    .await?;
    cluster.workload_api().resume().await?;
    eventually("Nexus has its agent again", PATIENCE, async || {
        let check = agent(cluster).await?;
        Ok((check.get("status") == Some(&"ok".into())).then_some(()))
    })
    .await
}

async fn agent(cluster: &Running) -> Result<Value> {
    let (_, body) = cluster.telemetry("/healthz").await?;
    let report: Value = serde_json::from_str(&body)?;
    report.pointer("/checks/workload_api").cloned().context(body)
}

/// A cluster with the programs that this user may run; `None` in the process that must first become that user.
fn here() -> Option<Scenario> {
    let environment = Environment::of_process();
    let place = environment.get(PLACE).map(PathBuf::from)?;
    Some(Scenario::new(place.join("programs"), place))
}

/// Runs one test of this page in a process of a user who is not root.
async fn unprivileged(name: &str) -> Result<()> {
    let place = tempfile::Builder::new().prefix("spike-attest-").tempdir()?;
    let root = rustix::process::geteuid().is_root();
    let tests = place.path().join("tests");
    copy(&std::env::current_exe()?, &tests, root)?;
    copy(Path::new(env!("CARGO_BIN_EXE_spike-programs")), &place.path().join("programs"), root)?;
    let mut command = std::process::Command::new(&tests);
    command
        .args([&format!("attestation::{name}"), "--exact", "--nocapture"])
        .env(PLACE, place.path())
        .current_dir(place.path());
    if root {
        chown(place.path(), Some(NOBODY), Some(NOBODY))?;
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut command = Command::from(command);
    let ended = tokio::time::timeout(LIMIT, command.kill_on_drop(true).output()).await;
    let output = ended.context("it does not end")??;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && text.contains("1 passed"), "{text}\n{errors}");
    Ok(())
}

fn copy(from: &Path, to: &Path, give_away: bool) -> Result<()> {
    std::fs::copy(from, to)?;
    if give_away {
        chown(to, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
}
