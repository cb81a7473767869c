//! The command line and the settings of Nexus: every problem at once, and an exit status of its own.

use anyhow::{Context, Result};
use spike_tests::Running;
use tokio::process::Command;

use crate::scenario;

/// A second Nexus beside the one of the cluster, on ports that the system chooses.
fn another_nexus(cluster: &Running) -> Command {
    let mut command = cluster.command("nexus");
    command
        .env("SPIKE_NEXUS_TLS_PORT", "127.0.0.1:0")
        .env("SPIKE_NEXUS_TELEMETRY_ADDR", "off")
        .env("SPIKE_NEXUS_BACKEND_STORE", "memory")
        .env("SPIKE_BANNER_ENABLED", "false");
    command
}

#[tokio::test]
async fn bad_settings_are_all_told_at_once_and_end_with_78() -> Result<()> {
    let cluster = scenario().start().await?;
    for arguments in [&[][..], &["--check-config"]] {
        let output = cluster
            .run_as(
                "/spike/nexus",
                another_nexus(&cluster)
                    .args(arguments)
                    .env("SPIKE_NEXUS_TLS_PORT", "8553")
                    .env("SPIKE_TRUST_ROOT_PILOT", "spike.ist,")
                    .env("SPIFFE_ENDPOINT_SOCKET", "nowhere"),
            )
            .await?;
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        let told = String::from_utf8(output.stderr)?;
        for variable in
            [r#"SPIKE_NEXUS_TLS_PORT="8553""#, "SPIKE_TRUST_ROOT_PILOT=", "SPIFFE_ENDPOINT_SOCKET="]
        {
            assert!(told.contains(variable), "{variable}: {told}");
        }
        assert!(told.starts_with("error: "), "{told}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn check_config_accepts_good_settings_and_fails_on_what_a_start_would_only_warn_of()
-> Result<()> {
    let cluster = scenario().start().await?;
    let mut good = another_nexus(&cluster);
    let output = cluster.run_as("/spike/nexus", good.arg("--check-config")).await?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout)?, "nexus: every setting is valid\n");

    let mut fallback = another_nexus(&cluster);
    fallback.arg("--check-config").env("SPIKE_HTTP_SERVER_IDLE_TIMEOUT", "5s");
    let output = cluster.run_as("/spike/nexus", &mut fallback).await?;
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr)?.contains(r#"SPIKE_HTTP_SERVER_IDLE_TIMEOUT="5s""#));
    cluster.stop().await
}

#[tokio::test]
async fn version_and_help_need_no_settings_and_an_unknown_flag_is_a_bad_command_line() -> Result<()>
{
    let cluster = scenario().start().await?;
    for (argument, status, stdout) in [
        ("--version", 0, concat!("nexus ", env!("CARGO_PKG_VERSION"), "\n")),
        ("--help", 0, "SPIKE Nexus: "),
        ("--port", 2, ""),
    ] {
        let mut command = cluster.command("nexus");
        let output = command.env_clear().arg(argument).output().await?;
        assert_eq!(output.status.code(), Some(status), "{argument}");
        assert!(String::from_utf8(output.stdout)?.starts_with(stdout), "{argument}");
        assert_eq!(output.stderr.is_empty(), status == 0, "{argument}");
    }
    cluster.stop().await
}

/// wire-api 5.1: this process is registered with the wrong SPIFFE ID.
#[tokio::test]
async fn nexus_does_not_start_with_the_svid_of_another_role() -> Result<()> {
    let cluster = scenario().start().await?;
    let output = cluster.run_as("/spike/keeper", &mut another_nexus(&cluster)).await?;
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stdout)?;
    let told = log.lines().find(|line| line.contains("cannot start")).context("no reason given")?;
    for part in [
        "spiffe://spike.ist/spike/keeper",
        "spiffe://spike.ist/spike/nexus",
        "SPIKE_TRUST_ROOT_NEXUS",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    cluster.stop().await
}
