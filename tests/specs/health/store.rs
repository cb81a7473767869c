//! Checks of the store.

use std::fs;

use anyhow::{Context, Result};
use spike_crypto::RootKey;
use spike_tests::{
    PATIENCE,
    secrets::{put, value_of},
    skipped,
};
use tokio::time::timeout;

use super::course::{Course, Effect};
use crate::{crew, import::upgraded, store::TamperedCalls};

#[tokio::test]
async fn a_data_directory_that_is_moved_away_fails_the_check_of_writing_until_it_is_back()
-> Result<()> {
    let mut crew = crew().start().await?;
    let mut writing = Course::of(&mut crew, "nexus", "store_write", Effect::NotReady).await?;
    let (data, away) = (crew.dir().join("data"), crew.dir().join("away"));
    fs::rename(&data, &away)?;
    writing.fails(&mut crew, "not the file any more that Nexus has open").await?;
    fs::rename(&away, &data)?;
    writing.recovers(&mut crew).await?;
    crew.stop().await
}

/// Acknowledged commits that are missing are told until somebody confirms the loss.
#[tokio::test]
async fn lost_commits_fail_their_check_until_an_operator_confirms_the_loss() -> Result<()> {
    let mut crew = crew().start().await?;
    for number in 0..20 {
        crew.superuser()?.put_secret(&put(&format!("n/{number}"), &[("k", "v")])).await?;
    }
    crew.nexus().kill().await?;
    let log = crew.dir().join("data/nexus.db-wal");
    let mut bytes = fs::read(&log)?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty log")? ^= 4;
    fs::write(&log, bytes)?;
    let mut loss = Course::from_start(&crew, "nexus", "store_loss", Effect::Degraded);
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    loss.fails(&mut crew, "acknowledged commits are missing").await?;
    fs::remove_file(crew.dir().join("data/nexus.loss"))?;
    loss.recovers(&mut crew).await?;
    crew.stop().await
}

#[tokio::test]
async fn rows_that_an_import_left_out_fail_its_check_until_upstreams_file_is_moved_away()
-> Result<()> {
    let mut crew = upgraded(&RootKey::generate()?, |upstream| {
        upstream.secret("app/db", &["one", "two", "three"])?;
        upstream.damage("app/db", 2)
    })
    .await?;
    crew.nexus().set("SPIKE_NEXUS_IMPORT_WITH_LOSSES", "true");
    let mut import = Course::from_start(&crew, "nexus", "import", Effect::Degraded);
    crew.start_nexus().await?;
    import.fails(&mut crew, "1 row was left out of upstream's database").await?;
    fs::rename(crew.dir().join("data/spike.db"), crew.dir().join("spike.db.kept"))?;
    import.recovers(&mut crew).await?;
    crew.stop().await
}

/// One look at `/healthz`, and no question was answered any more, not even `/livez`, and no connection accepted.
#[tokio::test]
async fn a_data_directory_that_hangs_fails_the_check_of_writing_and_holds_up_nothing_else()
-> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a", &[("k", "v")])).await?;
    assert_eq!(value_of(&crew.superuser()?, "a", 0, "k").await?, "v");
    let mut writing = Course::of(&mut crew, "nexus", "store_write", Effect::NotReady).await?;
    // As Prometheus does: then there are last metrics of files.
    crew.metrics().await?;
    let pid = crew.nexus().pid().context("no Nexus")?;
    let database = crew.dir().join("data/nexus.db");
    let Some(away) = TamperedCalls::of_files(pid, "statx", &[&database]).await? else {
        return skipped("strace is missing or not allowed");
    };
    let told = writing.fails(&mut crew, "most likely the disk of the data directory hangs");
    timeout(PATIENCE * 2, told).await??;
    for (path, status) in [("/livez", 200), ("/readyz", 503), ("/healthz", 503), ("/metrics", 200)]
    {
        let (answered, body) = timeout(PATIENCE, crew.nexus().get(path)).await??;
        assert_eq!(answered, status, "{path}: {body}");
        if path == "/metrics" {
            assert!(body.contains("spike_check_passing{check=\"store_write\"} 0"), "{body}");
            assert!(body.contains("spike_store_file_bytes"), "the last ones are there: {body}");
        }
    }
    // A new connection is served, with what is in memory.
    assert_eq!(value_of(&crew.superuser()?, "a", 0, "k").await?, "v");
    drop(away);
    writing.recovers(&mut crew).await?;
    crew.stop().await
}

/// Nexus has its files open: what it reads fails only with the disk, or with strace in place of one.
#[tokio::test]
async fn a_disk_that_cannot_be_read_fails_the_check_of_reading_until_it_can() -> Result<()> {
    let mut crew = crew().start().await?;
    let superuser = crew.superuser()?;
    let mut reading = Course::of(&mut crew, "nexus", "store_read", Effect::NotReady).await?;
    superuser.put_secret(&put("a", &[("k", "v")])).await?;
    let Some(failing) = TamperedCalls::reads(&mut crew, "error=EIO").await? else {
        return skipped("strace is missing or not allowed");
    };
    // After a write nothing that was read before counts.
    assert!(value_of(&superuser, "a", 0, "k").await.is_err(), "it could be read");
    reading.fails(&mut crew, "the store cannot be read").await?;
    drop(failing);
    reading.recovers(&mut crew).await?;
    assert_eq!(value_of(&superuser, "a", 0, "k").await?, "v");
    crew.stop().await
}
