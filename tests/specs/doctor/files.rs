//! Files of environment variables, checked offline.

use anyhow::Result;
use tokio::process::Command;

use super::{DOCTOR, Found};

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
    found.is("a_file_with_an_interval_of_zero", 1)
}

#[tokio::test]
async fn a_file_with_a_wrong_journal_mode() -> Result<()> {
    let found = with("SPIKE_NEXUS_DB_JOURNAL_MODE=fast").await?;
    found.is("a_file_with_a_wrong_journal_mode", 1)
}

#[tokio::test]
async fn a_file_with_a_line_for_a_shell() -> Result<()> {
    let found = with("export SPIKE_NEXUS_TLS_PORT=:8553").await?;
    found.is("a_file_with_a_line_for_a_shell", 2)
}

#[tokio::test]
async fn a_file_with_a_directory_that_cannot_be_used() -> Result<()> {
    let found = with("SPIKE_NEXUS_BACKEND_STORE=sqlite\nSPIKE_NEXUS_DATA_DIR=/etc/spike").await?;
    found.is("a_file_with_a_directory_that_cannot_be_used", 2)
}
