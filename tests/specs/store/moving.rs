//! A write-ahead log that is moved into the database.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use spike_tests::{
    PATIENCE, eventually,
    secrets::{put, value_of},
};

use crate::crew;

/// What stays of a larger log.
const KEPT: u64 = 16 << 20;

/// Nexus tried again only once a log that a reader had kept had grown by an eighth.
#[tokio::test]
async fn a_log_that_a_reader_has_kept_is_moved_with_the_next_writes() -> Result<()> {
    let mut crew = crew().start().await?;
    let (superuser, data) = (crew.superuser()?, crew.dir().join("data"));
    let pid = crew.nexus().pid().context("no Nexus")?;
    // A program that copies the database, and hangs.
    let mut reader = Connection::open(data.join("nexus.db"))?;
    let old_state = reader.transaction()?;
    old_state.query_row("SELECT count(*) FROM sqlite_schema", [], |_row| Ok(()))?;
    let large = "x".repeat(1 << 20);
    let log = || Ok::<_, anyhow::Error>(fs::metadata(data.join("nexus.db-wal"))?.len());
    while log()? < 2 * KEPT {
        superuser.put_secret(&put("large", &[("k", &large)])).await?;
    }

    // No write reads what cannot be moved.
    let (length, read) = (log()?, bytes_read(pid)?);
    for number in 0..10 {
        superuser.put_secret(&put("small", &[("k", &number.to_string())])).await?;
    }
    let read = bytes_read(pid)? - read;
    ensure!(log()? > length && read < KEPT, "{read} bytes were read");

    old_state.rollback()?;
    drop(reader);
    // The first brings the content of the log into the database, the next one begins the log anew.
    for _ in 0..3 {
        superuser.put_secret(&put("small", &[("k", "v")])).await?;
    }
    eventually("a shorter log", PATIENCE, async || Ok((log()? <= KEPT).then_some(()))).await?;
    ensure!(content_without_log(&data)? > 1 << 20, "the database has nothing of it");
    assert_eq!(value_of(&superuser, "large", 0, "k").await?, large);
    crew.stop().await
}

/// All that the process has read so far, from wherever.
fn bytes_read(pid: u32) -> Result<u64> {
    let counts = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let read = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
    Ok(read.context("no count")?.parse()?)
}

fn content_without_log(data: &Path) -> Result<i64> {
    let dir = tempfile::tempdir()?;
    let copy = dir.path().join("copy.db");
    fs::copy(data.join("nexus.db"), &copy)?;
    let query = "SELECT sum(length(ciphertext)) FROM versions";
    Ok(Connection::open(copy)?.query_row(query, [], |row| row.get(0))?)
}
