//! A write-ahead log that somebody overwrites while Nexus has it open.

use std::{fs, os::unix::fs::FileExt, path::Path};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;
use serde_json::Value;
use spike_mtls::client::CallError;
use spike_tests::{
    PATIENCE, eventually,
    secrets::{put, value_of},
};

use tokio::{task::JoinSet, time::timeout};

use super::metric;
use crate::crew;

/// Overwrites the log as `cp` does: it stays the same file.
type Overwrite = fn(&Path) -> Result<()>;

const ANOTHER: &str = "a copy of another log";

const OVERWRITES: [(&str, Overwrite); 4] = [
    (ANOTHER, |log| {
        let dir = tempfile::tempdir()?;
        let other = Connection::open(dir.path().join("other.db"))?;
        other.pragma_update(None, "journal_mode", "WAL")?;
        other.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(400000))")?;
        Ok(fs::write(log, fs::read(dir.path().join("other.db-wal"))?)?)
    }),
    ("cut to half", |log| {
        let mut bytes = fs::read(log)?;
        bytes.truncate(bytes.len() / 2);
        Ok(fs::write(log, bytes)?)
    }),
    ("emptied", |log| Ok(fs::write(log, "")?)),
    ("a part of it zeroed", |log| {
        let mut bytes = fs::read(log)?;
        let middle = bytes.len() / 2;
        bytes.get_mut(middle - 5000..middle + 5000).context("a short log")?.fill(0);
        Ok(fs::write(log, bytes)?)
    }),
];

/// Nexus acknowledged everything that followed, and only the next start found that it was lost.
#[tokio::test]
async fn a_log_that_is_overwritten_is_told_before_another_write_is_acknowledged() -> Result<()> {
    for (name, overwrite) in OVERWRITES {
        let mut crew = crew().start().await?;
        let superuser = crew.superuser()?;
        for number in 0..20 {
            superuser.put_secret(&put(&format!("a/{number}"), &[("k", "v")])).await?;
        }
        let log = crew.dir().join("data/nexus.db-wal");
        overwrite(&log).context(name)?;
        for _ in 0..2 {
            let refused = superuser.put_secret(&put("a/b", &[("k", "lost")])).await;
            let Err(CallError::Refused(refusal)) = refused else { bail!("{name}: {refused:?}") };
            assert_eq!(refusal.status, 500, "{name}");
            let reason = refusal.reason.unwrap_or_default();
            for part in ["changed by another process", "nothing was written", "may be lost"] {
                ensure!(reason.contains(part), "{name}: {part}: {reason}");
            }
        }
        let told = crew.check_fails("store_write", "nexus.db-wal was changed by another").await?;
        for part in ["may be lost", "keep a copy of its directory", "docs/operations/store.md"] {
            ensure!(told.contains(part), "{name}: {part}: {told}");
        }
        assert_eq!(crew.nexus().get("/readyz").await?.0, 503, "{name}");
        assert_eq!(metric(&mut crew, "spike_store_writable").await?, Some(0.0), "{name}");
        let is_told = |line: &Value| line["level"] == "ERROR" && line["message"] == told.as_str();
        let count = eventually("a line at ERROR", PATIENCE, async || {
            let log = crew.log("nexus")?;
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Ok(Some(lines.filter(is_told).count()).filter(|count| *count > 0))
        });
        assert_eq!(count.await?, 1, "{name}");

        let database = crew.dir().join("data/nexus.db");
        let before = fs::read(&database)?;
        assert_eq!(crew.nexus().terminate().await?.code(), Some(1), "{name}");
        ensure!(fs::read(&database)? == before, "{name}: the log was moved into the database");
        crew.start_nexus().await?;
        if name == ANOTHER {
            crew.sealed_because("the store cannot be opened").await?;
        } else {
            crew.ready(PATIENCE).await?;
            crew.check_fails("store_loss", "acknowledged commits are missing").await?;
        }
        crew.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_idle_nexus_tells_it_too_and_goes_on_only_after_a_restart() -> Result<()> {
    let mut crew = crew().start().await?;
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("a/b", &[("k", "before")])).await?;
    let log = crew.dir().join("data/nexus.db-wal");
    let whole = fs::read(&log)?;
    fs::write(&log, "")?;
    crew.check_fails("store_write", "it is shorter than what was committed").await?;
    fs::write(&log, whole)?;
    crew.check_fails("store_write", "it is shorter than what was committed").await?;
    ensure!(superuser.put_secret(&put("a/b", &[("k", "lost")])).await.is_err());
    // It was put back, and nothing is lost.
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "before");
    assert_eq!(crew.health_check("store_loss").await?["status"], "ok");
    crew.stop().await
}

/// SQLite moved the log into the database by itself, and nobody had read it back: acknowledged writes were gone, and nothing told.
#[tokio::test]
async fn a_log_that_is_overwritten_under_load_is_told_and_not_moved_into_the_database() -> Result<()>
{
    let mut crew = crew().start().await?;
    let superuser = crew.superuser()?;
    let value = "l".repeat(1500);
    for number in 0..100 {
        superuser.put_secret(&put(&format!("base/{number}"), &[("k", &value)])).await?;
    }
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (client, value) = (crew.superuser()?, value.clone());
        writers.spawn(async move {
            for number in 0.. {
                let name = format!("l/{writer}/{number}");
                if client.put_secret(&put(&name, &[("k", &value)])).await.is_err() {
                    break;
                }
            }
        });
    }
    // The frames in the middle of what is not in the database yet, as the index tells.
    let data = crew.dir().join("data");
    let number = |index: &[u8], at: usize| -> Option<u64> {
        Some(u32::from_ne_bytes(*index.get(at..)?.first_chunk()?).into())
    };
    let middle = eventually("a log that is soon moved", PATIENCE, async || {
        let index = fs::read(data.join("nexus.db-shm"))?;
        let (frames, moved) = number(&index, 16).zip(number(&index, 96)).context("no index")?;
        Ok((moved + 700..moved + 950).contains(&frames).then_some(moved.midpoint(frames)))
    })
    .await?;
    let log = fs::File::options().write(true).open(data.join("nexus.db-wal"))?;
    log.write_all_at(&vec![0; 12 * 4120], 32 + middle * 4120)?;
    // Nobody looks at its health meanwhile, which reads the log as well.
    timeout(PATIENCE, writers.join_all()).await.context("writes are still acknowledged")?;
    crew.check_fails("store_write", "nexus.db-wal was changed by another process").await?;
    assert_eq!(crew.nexus().terminate().await?.code(), Some(1));
    // What is in the database is whole, without the log.
    fs::copy(data.join("nexus.db"), crew.dir().join("copy.db"))?;
    let copy = Connection::open(crew.dir().join("copy.db"))?;
    let found: String = copy.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
    assert_eq!(found, "ok");
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    crew.check_fails("store_loss", "acknowledged commits are missing").await?;
    crew.stop().await
}
