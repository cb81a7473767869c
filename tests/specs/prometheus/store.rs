//! Alerts about the store and its disk.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use rusqlite::Connection;
use spike_crypto::RootKey;
use spike_tests::{
    PATIENCE,
    crew::Crew,
    secrets::{put, value_of},
    skipped,
};

use super::{Prometheus, back_up, targets};
use crate::{
    crew,
    import::upgraded,
    store::{SmallDisk, TamperedCalls},
};

/// The alerts that fire and clear here.
pub(super) const FIRED: &[&str] = &[
    "SpikeDiskNearlyFull",
    "SpikeStoreNotWritable",
    "SpikeStoreSlow",
    "SpikeStoreNotReadable",
    "SpikeWriteAheadLogLarge",
    "SpikeCommitsLost",
    "SpikeImportIncomplete",
];

/// The alert about the write-ahead log allows 256 MiB.
const LARGE_LOG: u64 = 257 << 20;

#[tokio::test]
async fn alerts_about_the_store_and_its_disk_fire_and_clear() -> Result<()> {
    let Some(disk) = SmallDisk::mount("64m").await? else {
        return skipped("no file system may be mounted here");
    };
    let data = disk.path().display().to_string();
    let mut crew = crew().setting("SPIKE_NEXUS_DATA_DIR", data).start().await?;
    let Some(prometheus) = Prometheus::start(&targets(&mut crew)?).await? else {
        return crew.stop().await;
    };
    prometheus.fires(&["SpikeDiskNearlyFull"]).await?;
    disk.resize("1g").await?;
    let mut backup = crew.client("nexus");
    backup.arg("backup").arg(crew.dir().join("backup")).arg("--data-dir").arg(disk.path());
    assert!(backup.output().await?.status.success());
    prometheus.is_quiet().await?;

    disk.resize("16m").await?;
    disk.fill()?;
    let superuser = crew.superuser()?;
    let large = "x".repeat(200_000);
    for number in 0..100 {
        if superuser.put_secret(&put(&format!("l/{number}"), &[("k", &large)])).await.is_err() {
            break;
        }
    }
    prometheus.fires(&["SpikeStoreNotWritable"]).await?;
    fs::remove_file(disk.filler())?;
    disk.resize("1g").await?;
    prometheus.is_quiet().await?;

    let Some(slow) = TamperedCalls::syncs(&mut crew, "delay_enter=700000").await? else {
        return skipped("strace is missing or not allowed");
    };
    for _ in 0..3 {
        superuser.put_secret(&put("slow", &[("k", "v")])).await?;
    }
    prometheus.fires(&["SpikeStoreSlow"]).await?;
    drop(slow);
    prometheus.is_quiet().await?;

    let failing = TamperedCalls::reads(&mut crew, "error=EIO").await?.context("no strace")?;
    // Some pages are in memory, and a read of those alone goes well.
    let reading = async {
        loop {
            assert!(value_of(&superuser, "slow", 0, "k").await.is_err(), "it could be read");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        fired = prometheus.fires(&["SpikeStoreNotReadable"]) => fired?,
        () = reading => {}
    }
    drop(failing);
    prometheus.is_quiet().await?;

    // One bit of the write-ahead log flips while Nexus is down.
    crew.nexus().kill().await?;
    let log = disk.path().join("data/nexus.db-wal");
    let mut bytes = fs::read(&log)?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty log")? ^= 4;
    fs::write(&log, bytes)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    prometheus.fires(&["SpikeCommitsLost"]).await?;
    fs::remove_file(disk.path().join("data/nexus.loss"))?;
    prometheus.is_quiet().await?;

    log_grows(&crew, disk.path(), &prometheus).await?;
    crew.stop().await
}

/// The log never became smaller again: nothing but a restart of Nexus ended this alert.
async fn log_grows(crew: &Crew, data: &Path, prometheus: &Prometheus) -> Result<()> {
    // A program that copies the database, and hangs.
    let mut reader = Connection::open(data.join("data/nexus.db"))?;
    let old_state = reader.transaction()?;
    old_state.query_row("SELECT count(*) FROM sqlite_schema", [], |_row| Ok(()))?;
    let superuser = crew.superuser()?;
    let large = "x".repeat(1 << 20);
    while fs::metadata(data.join("data/nexus.db-wal"))?.len() < LARGE_LOG {
        superuser.put_secret(&put("large", &[("k", &large)])).await?;
    }
    prometheus.fires(&["SpikeWriteAheadLogLarge"]).await?;
    old_state.rollback()?;
    drop(reader);
    // The first brings the content of the log into the database, the next one begins the log anew.
    for _ in 0..3 {
        superuser.put_secret(&put("small", &[("k", "v")])).await?;
    }
    prometheus.is_quiet().await
}

#[tokio::test]
async fn the_alert_about_an_import_that_left_rows_out_fires_and_clears() -> Result<()> {
    let mut crew = upgraded(&RootKey::generate()?, |upstream| {
        upstream.secret("app/db", &["one", "two", "three"])?;
        upstream.damage("app/db", 2)
    })
    .await?;
    crew.nexus().set("SPIKE_NEXUS_IMPORT_WITH_LOSSES", "true");
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    back_up(&crew).await?;
    let Some(prometheus) = Prometheus::start(&[crew.nexus().telemetry()]).await? else {
        return crew.stop().await;
    };
    prometheus.fires(&["SpikeImportIncomplete"]).await?;
    fs::rename(crew.dir().join("data/spike.db"), crew.dir().join("spike.db.kept"))?;
    prometheus.is_quiet().await?;
    crew.stop().await
}
