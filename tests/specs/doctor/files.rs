//! Files of environment variables, checked offline, and the archive.

use anyhow::Result;
use tokio::process::Command;

use spike_tests::{SUPERUSER, secrets::put};

use super::{DOCTOR, Found, doctor_as, well};

/// What the doctor says of a file with this text for Nexus. There is neither an agent nor a Nexus.
async fn judged(text: &str) -> Result<Found> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("nexus.env");
    std::fs::write(&file, text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_spike-programs"));
    command.arg0("spike").env_clear().args(DOCTOR);
    Found::of(command.args(["--program", "nexus", "--config"]).arg(&file)).await
}

/// A file that is well but for what is added, which is last and so counts.
async fn with(more: &str) -> Result<Found> {
    let text = "# Nexus\nSPIKE_NEXUS_BACKEND_STORE=lite\nSPIKE_NEXUS_KEEPER_PEERS='https://a,https://b,https://c'\n";
    judged(&format!("{text}{more}\n")).await
}

#[tokio::test]
async fn a_file_that_is_well() -> Result<()> {
    with("").await?.is("a_file_that_is_well", 0)
}

#[tokio::test]
async fn a_file_with_a_bare_port() -> Result<()> {
    with("SPIKE_NEXUS_TLS_PORT=8553").await?.is("a_file_with_a_bare_port", 2)
}

#[tokio::test]
async fn a_file_with_another_number_of_keepers() -> Result<()> {
    let found = with("SPIKE_NEXUS_KEEPER_PEERS=https://a,https://b").await?;
    found.is("a_file_with_another_number_of_keepers", 2)
}

#[tokio::test]
async fn a_file_with_a_keeper_without_https() -> Result<()> {
    let found = with("SPIKE_NEXUS_KEEPER_PEERS=http://a,https://b,https://c").await?;
    found.is("a_file_with_a_keeper_without_https", 2)
}

#[tokio::test]
async fn a_file_with_an_interval_of_zero() -> Result<()> {
    let found = with("SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL=0").await?;
    found.is("a_file_with_an_interval_of_zero", 7)
}

#[tokio::test]
async fn a_file_with_a_wrong_journal_mode() -> Result<()> {
    let found = with("SPIKE_NEXUS_DB_JOURNAL_MODE=fast").await?;
    found.is("a_file_with_a_wrong_journal_mode", 7)
}

#[tokio::test]
async fn a_file_with_a_line_for_a_shell() -> Result<()> {
    let found = with("export SPIKE_NEXUS_TLS_PORT=:8553").await?;
    found.is("a_file_with_a_line_for_a_shell", 2)
}

/// What the doctor says of a manifest.
async fn judged_manifest(text: &str) -> Result<Found> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("spike.yaml");
    std::fs::write(&file, text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_spike-programs"));
    command.arg0("spike").env_clear().args(DOCTOR);
    Found::of(command.arg("--config").arg(&file)).await
}

#[tokio::test]
async fn a_manifest_that_is_well() -> Result<()> {
    for name in ["production", "try-out"] {
        let manifest = crate::repository::text(&format!("deploy/kubernetes/{name}.yaml"))?;
        let found = judged_manifest(&manifest).await?;
        found.is("a_manifest_that_is_well", 0)?;
        assert!(
            found.report.to_string().contains("StatefulSet spike-nexus, container nexus: Nexus")
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_manifest_with_a_bad_value() -> Result<()> {
    let manifest = crate::repository::text("deploy/kubernetes/production.yaml")?;
    let found = judged_manifest(&manifest.replace("\":8553\"", "\"8553\"")).await?;
    found.is("a_manifest_with_a_bad_value", 2)?;
    let report = found.report.to_string();
    assert!(report.contains("StatefulSet spike-nexus, container nexus: "), "{report}");
    Ok(())
}

#[tokio::test]
async fn a_file_with_a_directory_that_cannot_be_used() -> Result<()> {
    let found = with("SPIKE_NEXUS_BACKEND_STORE=sqlite\nSPIKE_NEXUS_DATA_DIR=/etc/spike").await?;
    found.is("a_file_with_a_directory_that_cannot_be_used", 2)
}

#[tokio::test]
async fn an_archive_of_a_system_that_is_well() -> Result<()> {
    const VALUE: &str = "planted-value";
    let mut crew = well().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", VALUE)])).await?;
    let archive = crew.dir().join("report.tar");
    let log = crew.dir().join("logs/nexus-audit.log");
    let telemetry = crew.nexus().telemetry().to_string();
    let [archive, log] = [&archive, &log].map(|path| path.display().to_string());
    let arguments = ["--bundle", &archive, "--telemetry", &telemetry, "--log", &log];
    let found = doctor_as(&crew, SUPERUSER, &arguments, &[]).await?;
    found.is("an_archive_of_a_system_that_is_well", 0)?;
    let listed = Command::new("tar").args(["-xO", "-f", &archive]).output().await?;
    let all = String::from_utf8(listed.stdout)?;
    for part in [
        "spike_build_info",
        "\"checks\"",
        "\"rootKey\"",
        "The answer: nothing is broken",
        "SPIKE_NEXUS_API_URL=https://",
        "/v1/store/secrets",
    ] {
        assert!(all.to_lowercase().contains(&part.to_lowercase()), "{part}: {all}");
    }
    assert!(!all.contains(VALUE));
    crew.stop().await
}
