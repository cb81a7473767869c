//! Failures of the store (design 2 and 3): a full disk, a failing disk, a damaged log, a missing directory. Each failure is
//! visible, and lost data is always reported.

mod appearing;
mod database;
mod hanging;
mod moving;
mod opening;
mod overwritten;
mod tampered_calls;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use spike_mtls::client::CallError;
use spike_tests::{
    PATIENCE,
    crew::Crew,
    logs::Metrics,
    secrets::{put, value_of},
    skipped,
};
use spike_wire::SecretListRequest;
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) use self::tampered_calls::TamperedCalls;
use crate::crew;

async fn metric(crew: &mut Crew, name: &str) -> Result<Option<f64>> {
    Ok(Metrics::parse(&crew.nexus().get("/metrics").await?.1).get(name))
}

/// A small file system, unmounted when this is dropped.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where this machine does not let us mount one.
    pub(crate) async fn mount(bytes: &str) -> Result<Option<Self>> {
        let dir = tempfile::Builder::new().prefix("disk-").tempdir_in("/tmp")?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status()
            .await;
        Ok(mounted.is_ok_and(|status| status.success()).then_some(Self(dir)))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The file that [`Self::fill`] makes.
    pub(crate) fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Changes its size.
    pub(crate) async fn resize(&self, bytes: &str) -> Result<()> {
        let options = format!("remount,size={bytes}");
        let mounted =
            Command::new("mount").args(["-o", &options]).arg(self.path()).status().await?;
        ensure!(mounted.success(), "the disk cannot be resized to {bytes}");
        Ok(())
    }

    /// Leaves no block free.
    pub(crate) fn fill(&self) -> Result<()> {
        let full = fs::write(self.filler(), vec![7; 1 << 26]);
        ensure!(full.is_err(), "the disk is not full");
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Where that fails, removing the directory does too.
        drop(std::process::Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

/// Every write was 500, while `/readyz` was 200 and every check ok.
#[tokio::test]
async fn a_full_data_disk_is_told_and_taken_back_by_an_idle_nexus() -> Result<()> {
    let Some(disk) = SmallDisk::mount("8m").await? else {
        skipped("no file system may be mounted here")?;
        return Ok(());
    };
    let data = disk.path().display().to_string();
    let mut crew = crew().setting("SPIKE_NEXUS_DATA_DIR", data).start().await?;
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("kept", &[("k", "before")])).await?;
    assert_eq!(crew.health_check("store_write").await?["status"], "ok");
    assert_eq!(metric(&mut crew, "spike_store_writable").await?, Some(1.0));
    disk.fill()?;
    let value = "x".repeat(100_000);
    let mut refused = 0;
    for number in 0..100 {
        let put = superuser.put_secret(&put(&format!("n/{number}"), &[("k", &value)])).await;
        refused += u32::from(put.is_err());
        if refused > 0 {
            break;
        }
    }
    ensure!(refused > 0, "the disk never became full");

    let told = crew.check_fails("store_write", "the store cannot be written").await?;
    assert!(told.contains("full"), "{told}");
    let (status, body) = crew.nexus().get("/readyz").await?;
    assert!(status == 503 && body.contains("store_write"), "{body}");
    assert_eq!(metric(&mut crew, "spike_store_writable").await?, Some(0.0));
    let failed = metric(&mut crew, "spike_store_commits_failed_total").await?;
    assert!(failed.is_some_and(|failed| failed >= 1.0), "{failed:?}");
    // Status said "ready", while `/readyz` was 503.
    let status = crew.status().await?;
    assert!(!status.sealed && status.reason.is_some_and(|reason| reason.contains("written")));
    let troubles = status.store.context("no store")?.troubles;
    assert!(troubles.iter().any(|trouble| trouble.contains("cannot be written")), "{troubles:?}");
    // Reads still succeed.
    assert_eq!(value_of(&superuser, "kept", 0, "k").await?, "before");

    fs::remove_file(disk.filler())?;
    // Nexus notices without a write.
    crew.ready(PATIENCE).await?;
    assert_eq!(crew.health_check("store_write").await?["status"], "ok");
    assert_eq!(metric(&mut crew, "spike_store_writable").await?, Some(1.0));
    superuser.put_secret(&put("kept", &[("k", "after")])).await?;
    assert_eq!(value_of(&superuser, "kept", 0, "k").await?, "after");
    let log = crew.log("nexus")?;
    assert_eq!(log.matches("the store cannot be written").count(), 1 + told_by_checks(&log));
    crew.stop().await
}

/// The lines of the health checks, which say the same once each.
fn told_by_checks(log: &str) -> usize {
    log.lines()
        .filter(|line| line.contains("health check fails") && line.contains("written"))
        .count()
}

/// A write was answered as failed, and was there after a crash.
#[tokio::test]
async fn a_put_whose_sync_failed_is_told_as_unknown_and_is_not_there_once_nexus_writes_again()
-> Result<()> {
    let mut crew = crew().start().await?;
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("a", &[("k", "before")])).await?;
    let Some(failing) = TamperedCalls::syncs(&mut crew, "error=EIO").await? else {
        skipped("strace is missing or not allowed")?;
        return Ok(());
    };
    let refused = superuser.put_secret(&put("a", &[("k", "unknown")])).await;
    let Err(CallError::Refused(refusal)) = refused else { bail!("{refused:?}") };
    assert_eq!(refusal.status, 500);
    let reason = refusal.reason.unwrap_or_default();
    assert!(reason.contains("may or may not be kept"), "{reason}");
    crew.check_fails("store_write", "may or may not be kept").await?;
    drop(failing);
    crew.ready(PATIENCE).await?;
    // What Nexus shows now is what it shows after a crash.
    assert_eq!(value_of(&superuser, "a", 0, "k").await?, "before");
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a", 0, "k").await?, "before");
    assert_eq!(crew.health_check("store_loss").await?["status"], "ok");
    crew.stop().await
}

/// A second Nexus opened the same data, and a policy that the one had deleted stayed in force at the other.
#[tokio::test]
async fn a_lock_that_is_removed_is_noticed_before_a_second_nexus_can_do_harm() -> Result<()> {
    let mut crew = crew().start().await?;
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let lock = crew.dir().join("data/nexus.lock");
    fs::remove_file(&lock)?;
    let told = crew.check_fails("store_write", "is not the lock any more").await?;
    for part in
        ["nexus.lock", "End any other Nexus and any backup on this directory", "restart this one"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(crew.nexus().get("/readyz").await?.0, 503);
    let refused = superuser.put_secret(&put("a/b", &[("k", "lost")])).await;
    assert!(refused.is_err(), "{refused:?}");
    // The file of a second Nexus.
    fs::write(&lock, "")?;
    crew.check_fails("store_write", "another file is there").await?;
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

/// One flipped bit removed acknowledged commits without a message.
#[tokio::test]
async fn a_damaged_log_is_told_with_what_is_missing_until_somebody_has_looked_after_it()
-> Result<()> {
    let mut crew = crew().start().await?;
    let superuser = crew.superuser()?;
    for number in 0..20 {
        superuser.put_secret(&put(&format!("n/{number}"), &[("k", "v")])).await?;
    }
    crew.nexus().kill().await?;
    let log = crew.dir().join("data/nexus.db-wal");
    let mut bytes = fs::read(&log)?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty log")? ^= 4;
    fs::write(&log, bytes)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;

    let told = crew.check_fails("store_loss", "acknowledged commits are missing").await?;
    assert!(
        told.contains("the write-ahead log is damaged") && told.contains("nexus.loss"),
        "{told}"
    );
    let listed = crew.superuser()?.list_secrets(&SecretListRequest::default()).await?.keys.len();
    assert!(told.contains(&format!(" {} of them", 20 - listed)), "{listed} are there: {told}");
    let troubles = crew.status().await?.store.context("no store")?.troubles;
    assert_eq!(troubles, [told.as_str()]);
    assert_eq!(metric(&mut crew, "spike_store_commits_lost").await?, Some(1.0));
    let errors: Vec<Value> = crew
        .log("nexus")?
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["level"] == "ERROR" && line.to_string().contains("missing"))
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");

    fs::remove_file(crew.dir().join("data/nexus.loss"))?;
    assert_eq!(crew.health_check("store_loss").await?["status"], "ok");
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(crew.health_check("store_loss").await?["status"], "ok");
    crew.stop().await
}

/// Writes were acknowledged that went into files without a name, and Nexus was ready all the time.
#[tokio::test]
async fn a_write_into_a_directory_that_was_moved_away_is_refused_until_it_is_back() -> Result<()> {
    let mut crew = crew().start().await?;
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("a/b", &[("k", "before")])).await?;
    let (data, away) = (crew.dir().join("data"), crew.dir().join("away"));
    fs::rename(&data, &away)?;
    let told = crew.check_fails("store_write", "not the file any more that Nexus has open").await?;
    for part in ["nexus.db", "Put the file back", "restart Nexus"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let refused = superuser.put_secret(&put("a/b", &[("k", "lost")])).await;
    let Err(CallError::Refused(refusal)) = refused else { bail!("it was taken: {refused:?}") };
    assert_eq!(refusal.status, 500);
    let reason = refusal.reason.unwrap_or_default();
    assert!(reason.contains("removed or replaced"), "{reason}");
    assert_eq!(crew.nexus().get("/readyz").await?.0, 503);
    assert_eq!(metric(&mut crew, "spike_store_writable").await?, Some(0.0));
    let reason = crew.status().await?.reason.context("no reason")?;
    assert!(reason.contains("not the file any more"), "{reason}");
    assert_eq!(value_of(&superuser, "a/b", 0, "k").await?, "before");

    fs::rename(&away, &data)?;
    crew.ready(PATIENCE).await?;
    superuser.put_secret(&put("a/b", &[("k", "after")])).await?;
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "after");
    crew.stop().await
}

/// A volume that was not mounted: Nexus made a new, empty store and was ready.
#[tokio::test]
async fn an_empty_data_directory_beside_keepers_that_hold_a_key_is_no_new_store() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    ensure!(crew.nexus().terminate().await?.success());
    let (data, away) = (crew.dir().join("data"), crew.dir().join("away"));
    fs::rename(&data, &away)?;
    crew.start_nexus().await?;

    let told = crew.sealed_because("and no data in").await?;
    for part in [data.to_string_lossy().as_ref(), "mounted", "docs/operations/store.md"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let status = crew.status().await?;
    assert!(status.sealed && status.reason.is_some_and(|reason| reason.contains("no data in")));
    assert!(!data.join("nexus.db").exists());

    // The volume is mounted after all.
    ensure!(crew.nexus().terminate().await?.success());
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    fs::rename(&away, &data)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");

    // It is lost, and an operator confirms that.
    ensure!(crew.nexus().terminate().await?.success());
    fs::rename(&data, &away)?;
    crew.nexus().set("SPIKE_NEXUS_ACCEPT_NEW_STORE", "true");
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert!(crew.superuser()?.list_secrets(&SecretListRequest::default()).await?.keys.is_empty());
    crew.stop().await
}

/// Only the log said so, once: a volume was away at a later start, and Nexus was healthy with a new, empty store.
#[tokio::test]
async fn leave_to_make_a_new_store_is_a_trouble_for_as_long_as_it_is_given() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let (data, away) = (crew.dir().join("data"), crew.dir().join("away"));
    crew.nexus().set("SPIKE_NEXUS_ACCEPT_NEW_STORE", "true");
    ensure!(crew.nexus().terminate().await?.success());
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    crew.log_says("nexus", "a setting is in force that should not stay").await?;
    crew.check_fails("new_store", "SPIKE_NEXUS_ACCEPT_NEW_STORE is set").await?;
    let troubles = crew.status().await?.troubles.concat();
    assert!(troubles.contains("Take it away again"), "{troubles}");

    ensure!(crew.nexus().terminate().await?.success());
    fs::rename(&data, &away)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let told = crew.check_fails("new_store", "a new and empty store was made in").await?;
    assert!(told.contains("stop Nexus, and put that data there"), "{told}");

    // As it says.
    ensure!(crew.nexus().terminate().await?.success());
    fs::remove_dir_all(&data)?;
    fs::rename(&away, &data)?;
    crew.nexus().set("SPIKE_NEXUS_ACCEPT_NEW_STORE", "false");
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(crew.health_check("new_store").await?["status"], "ok");
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}
