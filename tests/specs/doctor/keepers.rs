//! The root key, the Keepers, Bootstrap and the store.

use std::fs;

use anyhow::Result;
use spike_tests::{PATIENCE, crew::RECOVERER};

use super::{doctor, doctor_with, well};
use crate::crew;

#[tokio::test]
async fn bootstrap_never_ran() -> Result<()> {
    let crew = crew().start_sealed().await?;
    // Until Nexus has asked every Keeper once.
    spike_tests::eventually("an answer of every Keeper", PATIENCE, async || {
        let found = doctor(&crew).await?;
        Ok(found.answer().contains("Bootstrap").then_some(()))
    })
    .await?;
    let found = doctor(&crew).await?;
    found.is("bootstrap_never_ran", 5)?;
    assert_eq!(found.outcome("TLS"), "ok", "{:#}", found.report);
    crew.stop().await
}

#[tokio::test]
async fn all_keepers_and_nexus_restarted() -> Result<()> {
    let mut crew = well().await?;
    crew.black_out().await?;
    let found = doctor(&crew).await?;
    found.is("all_keepers_and_nexus_restarted", 5)?;
    assert!(found.report.to_string().contains("operator restore"), "{:#}", found.report);
    crew.stop().await
}

#[tokio::test]
async fn too_few_keepers_are_reached() -> Result<()> {
    let mut crew = well().await?;
    crew.nexus().kill().await?;
    crew.kill_keepers([1, 2]).await?;
    crew.start_nexus().await?;
    doctor(&crew).await?.is("too_few_keepers_are_reached", 5)
}

#[tokio::test]
async fn too_few_keepers_hold_a_share() -> Result<()> {
    let mut crew = well().await?;
    crew.nexus().kill().await?;
    crew.kill_keepers([1, 2]).await?;
    crew.restart_keepers([1, 2]).await?;
    crew.start_nexus().await?;
    doctor(&crew).await?.is("too_few_keepers_hold_a_share", 5)?;
    crew.stop().await
}

#[tokio::test]
async fn keepers_that_are_away_while_nexus_works() -> Result<()> {
    let mut crew = well().await?;
    crew.kill_keepers([1]).await?;
    let found = doctor(&crew).await?;
    found.is("keepers_that_are_away_while_nexus_works", 7)?;
    assert_eq!(found.outcome("margin"), "warning", "{:#}", found.report);
    crew.restart_keepers([1]).await?;
    crew.stop().await
}

#[tokio::test]
async fn a_margin_that_is_used_up() -> Result<()> {
    let mut crew = well().await?;
    crew.kill_keepers([1, 2]).await?;
    doctor(&crew).await?.is("a_margin_that_is_used_up", 1)
}

/// Dialled from the machine of the operator, who knows where they should be.
#[tokio::test]
async fn a_keeper_that_cannot_be_reached_from_here() -> Result<()> {
    let mut crew = well().await?;
    let peers = format!("{},https://localhost:1", crew.keeper_url(1)?);
    let settings =
        [("SPIKE_NEXUS_KEEPER_PEERS", peers.as_str()), ("SPIKE_NEXUS_SHAMIR_SHARES", "2")];
    let found = doctor_with(&crew, &settings).await?;
    assert_eq!(found.outcome("Keeper 1 from here"), "ok", "{:#}", found.report);
    assert_eq!(found.outcome("Keeper 2 from here"), "warning", "{:#}", found.report);
    found.is("a_keeper_that_cannot_be_reached_from_here", 7)?;
    crew.stop().await
}

#[tokio::test]
async fn a_store_that_cannot_be_opened() -> Result<()> {
    let mut crew = well().await?;
    crew.nexus().kill().await?;
    for end in ["-wal", "-shm"] {
        fs::remove_file(crew.dir().join(format!("data/nexus.db{end}"))).ok();
    }
    fs::write(crew.dir().join("data/nexus.db"), "a file of somebody else's")?;
    crew.start_nexus().await?;
    crew.sealed_because("the store cannot be opened").await?;
    doctor(&crew).await?.is("a_store_that_cannot_be_opened", 5)
}

/// It was told as a root key that is broken.
#[tokio::test]
async fn a_database_that_was_moved_away() -> Result<()> {
    let mut crew = well().await?;
    let (database, elsewhere) = (crew.dir().join("data/nexus.db"), crew.dir().join("moved"));
    fs::rename(&database, &elsewhere)?;
    crew.check_fails("store_write", "is not the file any more").await?;
    let found = doctor(&crew).await?;
    found.is("a_database_that_was_moved_away", 5)?;
    assert_eq!(found.report["layer"], "storage", "{:#}", found.report);
    assert_eq!(found.outcome("root key"), "ok", "{:#}", found.report);
    fs::rename(&elsewhere, &database)?;
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

#[tokio::test]
async fn recovery_shares_that_were_never_taken_out() -> Result<()> {
    let crew = crew().start().await?;
    crew.keepers_good().await?;
    doctor(&crew).await?.is("recovery_shares_that_were_never_taken_out", 7)?;
    crew.stop().await
}

#[tokio::test]
async fn recovery_files_that_nobody_erased() -> Result<()> {
    let crew = well().await?;
    let home = crew.dir().display().to_string();
    let settings = [("HOME", home.as_str())];
    let recovered = crew.pilot_with(RECOVERER, &["operator", "recover"], &settings).await?;
    assert!(recovered.status.success(), "{recovered:?}");
    doctor(&crew).await?.is("recovery_files_that_nobody_erased", 7)?;
    crew.stop().await
}

#[tokio::test]
async fn a_directory_for_recovery_files_that_cannot_be_used() -> Result<()> {
    let crew = well().await?;
    let found = doctor_with(&crew, &[("SPIKE_PILOT_RECOVERY_DIR", "/etc/spike")]).await?;
    found.is("a_directory_for_recovery_files_that_cannot_be_used", 7)?;
    crew.stop().await
}
