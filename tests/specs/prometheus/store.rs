//! Alerts about the store and its disk.

use std::fs;

use anyhow::{Context, Result};
use spike_tests::{PATIENCE, secrets::put, skipped};

use super::{Prometheus, targets};
use crate::{
    crew,
    store::{SmallDisk, TamperedCalls},
};

/// The alerts that fire and clear here.
pub(super) const FIRED: &[&str] =
    &["SpikeDiskNearlyFull", "SpikeStoreNotWritable", "SpikeStoreSlow", "SpikeCommitsLost"];

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
    crew.stop().await
}
