//! What keeps Nexus from opening its store, or from noticing losses of it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use spike_tests::{
    PATIENCE,
    secrets::{put, value_of},
    skipped,
};

use super::SmallDisk;
use crate::crew;

/// SQLite calls it an error of the disk: nothing said that there is no room, and that room is all it takes.
#[tokio::test]
async fn a_disk_that_is_full_when_nexus_starts_is_told_and_taken_back_once_there_is_room()
-> Result<()> {
    let Some(disk) = SmallDisk::mount("8m").await? else {
        return skipped("no file system may be mounted here");
    };
    let data = disk.path().display().to_string();
    let mut crew = crew().setting("SPIKE_NEXUS_DATA_DIR", data).start().await?;
    crew.superuser()?.put_secret(&put("a", &[("k", "before")])).await?;
    ensure!(crew.nexus().terminate().await?.success());
    disk.fill()?;
    crew.start_nexus().await?;
    crew.sealed_because("the disk of the database is full, so that it cannot be opened").await?;
    let status = crew.status().await?;
    ensure!(status.sealed, "{status:?}");
    ensure!(status.reason.as_ref().is_some_and(|reason| reason.contains("full")), "{status:?}");

    fs::remove_file(disk.filler())?;
    crew.ready(PATIENCE).await?;
    let superuser = crew.superuser()?;
    assert_eq!(value_of(&superuser, "a", 0, "k").await?, "before");
    superuser.put_secret(&put("a", &[("k", "after")])).await?;
    crew.stop().await
}

/// Nexus took its own new database for a copy that somebody made, and the hint was to restart the Keepers, which had the only key.
#[tokio::test]
async fn a_disk_that_is_full_when_the_store_is_made_is_told_and_the_key_comes_into_use_once_there_is_room()
-> Result<()> {
    // Room for the database, and none for its log.
    let Some(disk) = SmallDisk::mount("72k").await? else {
        return skipped("no file system may be mounted here");
    };
    let data = disk.path().display().to_string();
    let mut crew = crew().setting("SPIKE_NEXUS_DATA_DIR", data).start_sealed().await?;
    let told = crew.bootstrap(&[("SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT", "3s")]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    for part in ["full", "run this again after a minute", "only then stop Nexus"] {
        ensure!(told.text.contains(part), "{part}: {}", told.text);
    }
    ensure!(disk.path().join("data/nexus.db").exists(), "the disk is too small for this test");
    crew.sealed_because("is full").await?;

    disk.resize("8m").await?;
    crew.ready(PATIENCE).await?;
    // As it says.
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.superuser()?.put_secret(&put("a", &[("k", "v")])).await?;
    assert_eq!(value_of(&crew.superuser()?, "a", 0, "k").await?, "v");
    crew.stop().await
}

/// The first line of its log at WARN said that the list of commits was missing, empty or damaged.
#[tokio::test]
async fn a_new_deployment_warns_of_no_missing_list_of_commits() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a", &[("k", "v")])).await?;
    ensure!(crew.nexus().terminate().await?.success());
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let log = crew.log("nexus")?;
    ensure!(!log.contains("their list was missing"), "{log}");

    // Its list is missing.
    ensure!(crew.nexus().terminate().await?.success());
    fs::remove_file(crew.dir().join("data/nexus.commits"))?;
    crew.start_nexus().await?;
    crew.log_says("nexus", "their list was missing").await?;
    crew.stop().await
}

/// Nexus works without this file, and would not notice commits that get lost.
#[tokio::test]
async fn a_record_of_commits_that_belongs_to_somebody_else_is_told_until_it_is_given_back()
-> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a", &[("k", "v")])).await?;
    ensure!(crew.nexus().terminate().await?.success());
    let file = crew.dir().join("data/nexus.commits");
    let owner = fs::metadata(&file)?.uid();
    if chown(&file, Some(65_534), None).is_err() {
        return skipped("only root may give a file away");
    }
    // Root, too, is then somebody else.
    let script = r#"exec setpriv --bounding-set -dac_override,-dac_read_search,-fowner --inh-caps -dac_override,-dac_read_search,-fowner "$PROGRAM" "$@""#;
    crew.wrap("nexus", script).await?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let told = crew.check_fails("store_loss", "nexus.commits cannot be read or written").await?;
    ensure!(told.contains("belongs to the user of Nexus"), "{told}");
    crew.log_says("nexus", "commits cannot be written down a second time").await?;
    let troubles = crew.status().await?.store.map(|store| store.troubles).unwrap_or_default();
    ensure!(troubles.iter().any(|trouble| trouble.contains("nexus.commits")), "{troubles:?}");
    assert_eq!(crew.nexus().get("/readyz").await?.0, 200, "it works all the same");
    crew.superuser()?.put_secret(&put("a", &[("k", "meanwhile")])).await?;

    chown(&file, Some(owner), None)?;
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(crew.health_check("store_loss").await?["status"], "ok");
    assert_eq!(value_of(&crew.superuser()?, "a", 0, "k").await?, "meanwhile");
    // It is written again.
    let before = fs::read(&file)?;
    crew.superuser()?.put_secret(&put("a", &[("k", "after")])).await?;
    ensure!(fs::read(&file)? != before, "the commit is not recorded");
    crew.stop().await
}

/// A file that is mounted by itself, as `-v nexus.db:/…/nexus.db` does it. Dropping this unmounts it.
struct MountedFile(PathBuf);

impl MountedFile {
    /// `None` where this machine does not let us mount one.
    fn over(path: PathBuf, other: &Path) -> Result<Option<Self>> {
        fs::write(&path, "")?;
        let mounted = Command::new("mount").arg("--bind").args([other, &path]).status();
        Ok(mounted.is_ok_and(|status| status.success()).then_some(Self(path)))
    }
}

impl Drop for MountedFile {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

/// A Nexus that was started on the other name acknowledged writes, and what was in the log of the first name was gone.
#[tokio::test]
async fn a_database_with_a_second_name_is_refused_because_its_log_has_one_name_only() -> Result<()>
{
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a", &[("k", "kept")])).await?;
    ensure!(crew.nexus().terminate().await?.success());
    let file = crew.dir().join("data/nexus.db");
    let before = fs::read(&file)?;
    let snapshot = tempfile::tempdir_in(crew.dir())?;
    fs::hard_link(&file, snapshot.path().join("nexus.db"))?;
    crew.start_nexus().await?;
    crew.sealed_because("it has 2 names").await?;
    crew.nexus().terminate().await?;
    ensure!(fs::read(&file)? == before);
    // As the message says.
    let own = Command::new("sh")
        .args(["-c", "cp -p nexus.db nexus.db.own && mv nexus.db.own nexus.db"])
        .current_dir(crew.dir().join("data"))
        .status()?;
    ensure!(own.success());
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a", 0, "k").await?, "kept");
    crew.stop().await
}

/// Its write-ahead log was left in the directory, which is not kept where only the file is.
#[tokio::test]
async fn a_database_that_is_mounted_by_itself_is_refused_because_its_log_would_be_elsewhere()
-> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a", &[("k", "kept")])).await?;
    ensure!(crew.nexus().terminate().await?.success());
    let file = crew.dir().join("data/nexus.db");
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let other = elsewhere.path().join("nexus.db");
    fs::rename(&file, &other)?;
    let Some(mounted) = MountedFile::over(file.clone(), &other)? else {
        return skipped("no file may be mounted here");
    };
    crew.start_nexus().await?;
    crew.sealed_because("it is a mount of its own").await?;
    crew.nexus().terminate().await?;
    drop(mounted);
    fs::rename(&other, &file)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a", 0, "k").await?, "kept");
    crew.stop().await
}
