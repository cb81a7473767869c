//! A database that somebody overwrites while Nexus has it open.

use std::{fs, path::PathBuf};

use anyhow::{Result, bail, ensure};
use spike_mtls::client::{CallError, NexusClient};
use spike_tests::{
    PATIENCE,
    crew::Crew,
    secrets::{put, value_of},
};

use super::metric;
use crate::crew;

fn database(crew: &Crew) -> PathBuf {
    crew.dir().join("data/nexus.db")
}

/// Ends Nexus, so that everything is in the database, and starts it again.
async fn restarted(crew: &mut Crew) -> Result<NexusClient> {
    ensure!(crew.nexus().terminate().await?.success());
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    crew.superuser()
}

/// `cp old.db nexus.db`: writes were acknowledged, readiness was well, and after the next start secrets were read in an old version.
#[tokio::test]
async fn a_database_that_is_overwritten_is_told_before_anything_is_acknowledged_or_read()
-> Result<()> {
    let mut crew = crew().start().await?;
    let superuser = crew.superuser()?;
    for number in 0..20 {
        superuser.put_secret(&put(&format!("a/{number}"), &[("k", "old")])).await?;
    }
    let superuser = restarted(&mut crew).await?;
    let old = fs::read(database(&crew))?;
    for number in 0..20 {
        superuser.put_secret(&put(&format!("a/{number}"), &[("k", "new")])).await?;
    }
    let superuser = restarted(&mut crew).await?;
    superuser.put_secret(&put("kept", &[("k", "v")])).await?;
    assert_eq!(value_of(&superuser, "a/0", 0, "k").await?, "new");
    fs::write(database(&crew), &old)?;

    for number in 1..20 {
        let read = value_of(&superuser, &format!("a/{number}"), 0, "k").await;
        ensure!(read.is_err(), "a/{number} is {read:?}");
    }
    assert_eq!(value_of(&superuser, "a/0", 0, "k").await?, "new", "it is in memory");
    for _ in 0..2 {
        let refused = superuser.put_secret(&put("lost", &[("k", "v")])).await;
        let Err(CallError::Refused(refusal)) = refused else { bail!("{refused:?}") };
        assert_eq!(refusal.status, 500);
        let reason = refusal.reason.unwrap_or_default();
        for part in ["the database of the store was changed by another", "nothing was written"] {
            ensure!(reason.contains(part), "{part}: {reason}");
        }
    }
    let told = crew.check_fails("store_write", "nexus.db was overwritten by another").await?;
    for part in ["is in its write-ahead log", "keep a copy", "docs/operations/store.md"] {
        ensure!(told.contains(part), "{part}: {told}");
    }
    crew.check_fails("store_read", "nexus.db was overwritten by another").await?;
    assert_eq!(crew.nexus().get("/readyz").await?.0, 503);
    assert_eq!(metric(&mut crew, "spike_store_writable").await?, Some(0.0));
    assert_eq!(metric(&mut crew, "spike_store_readable").await?, Some(0.0));

    assert_eq!(crew.nexus().terminate().await?.code(), Some(1));
    ensure!(fs::read(database(&crew))? == old, "the log was moved into it");
    crew.start_nexus().await?;
    crew.sealed_because("the store cannot be opened").await?;
    crew.stop().await
}

/// A running Nexus opened the mixture within seconds of it, and read secrets in an old version.
#[tokio::test]
async fn whoever_removes_the_note_of_an_overwritten_database_has_to_restart_nexus() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "old")])).await?;
    let superuser = restarted(&mut crew).await?;
    let whole = fs::read(database(&crew))?;
    superuser.put_secret(&put("a/b", &[("k", "new")])).await?;
    let mut other = whole.clone();
    other.truncate(whole.len() / 2);
    fs::write(database(&crew), other)?;
    crew.check_fails("store_write", "nexus.db was overwritten by another").await?;
    assert_eq!(crew.nexus().terminate().await?.code(), Some(1));
    crew.start_nexus().await?;
    let told = "Stop Nexus, put the right database there, remove nexus.overwritten, and start";
    crew.sealed_because(told).await?;
    fs::remove_file(crew.dir().join("data/nexus.overwritten"))?;
    crew.sealed_because("were changed or replaced while Nexus was running").await?;
    ensure!(crew.nexus().terminate().await?.success());
    fs::write(database(&crew), whole)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "new");
    crew.stop().await
}

/// Nexus was ready, and moved its log into the database of somebody else when it ended.
#[tokio::test]
async fn an_idle_nexus_tells_that_another_database_was_copied_over_its_own() -> Result<()> {
    let mut other = crew().start().await?;
    other.superuser()?.put_secret(&put("other", &[("k", "v")])).await?;
    ensure!(other.nexus().terminate().await?.success());
    let theirs = fs::read(database(&other))?;
    other.stop().await?;

    let mut crew = crew().start().await?;
    let superuser = crew.superuser()?;
    for number in 0..50 {
        superuser.put_secret(&put(&format!("a/{number}"), &[("k", "v")])).await?;
    }
    let superuser = restarted(&mut crew).await?;
    superuser.put_secret(&put("a/0", &[("k", "newest")])).await?;
    let ours = fs::read(database(&crew))?;
    fs::write(database(&crew), &theirs)?;
    crew.check_fails("store_write", "nexus.db was overwritten by another").await?;
    assert_eq!(crew.nexus().terminate().await?.code(), Some(1));
    ensure!(fs::read(database(&crew))? == theirs, "the log was moved into it");

    // The right one is put back, and nothing is lost.
    fs::write(database(&crew), &ours)?;
    fs::remove_file(crew.dir().join("data/nexus.overwritten"))?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let superuser = crew.superuser()?;
    assert_eq!(value_of(&superuser, "a/0", 0, "k").await?, "newest");
    for number in 1..50 {
        assert_eq!(value_of(&superuser, &format!("a/{number}"), 0, "k").await?, "v");
    }
    assert_eq!(crew.health_check("store_loss").await?["status"], "ok");
    crew.stop().await
}
