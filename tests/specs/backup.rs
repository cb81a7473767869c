//! A backup is made while Nexus serves and writes, is verified with the recovery files, and brings everything back on a machine
//! that has nothing else.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE,
    crew::{Crew, RECOVERER},
    secrets::{put, value_of},
};
use tokio::task::JoinHandle;

use crate::crew;

/// Clients that write at the same time, and the paths of each.
const CLIENTS: u8 = 4;
const PATHS: u8 = 5;

/// For each path the last round whose write was answered.
type Answered = BTreeMap<String, u64>;

fn all(answered: &Mutex<Answered>) -> MutexGuard<'_, Answered> {
    answered.lock().unwrap_or_else(PoisonError::into_inner)
}

fn path(client: u8, place: u8) -> String {
    format!("load/{client}/{place}")
}

/// The command `nexus` with these arguments, without settings and without an identity.
async fn nexus(crew: &Crew, arguments: &[&str]) -> Result<Output> {
    let ended =
        tokio::time::timeout(PATIENCE, crew.client("nexus").env_clear().args(arguments).output());
    ended.await.context("nexus does not end")?.map_err(Into::into)
}

/// What a command said that must succeed.
async fn done(crew: &Crew, arguments: &[&str]) -> Result<String> {
    let output = nexus(crew, arguments).await?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// What a command said that must be refused.
async fn refused(crew: &Crew, arguments: &[&str]) -> Result<String> {
    let output = nexus(crew, arguments).await?;
    assert_eq!(
        output.status.code(),
        Some(1),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(String::from_utf8(output.stderr)?)
}

/// When the newest verified backup was made, as Nexus tells.
async fn last_backup(crew: &mut Crew) -> Result<f64> {
    let metrics = crew.metrics().await?;
    metrics.get("spike_store_backup_timestamp_seconds").context("there is no such metric")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the directories of tests are text")
}

/// Clients that each write one round after another to their own paths, until they are told to end.
struct Load {
    answered: Arc<Mutex<Answered>>,
    end: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<()>>>,
}

impl Load {
    fn start(crew: &Crew) -> Result<Self> {
        let (answered, end) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let nexus = crew.superuser()?;
            let (answered, end) = (Arc::<Mutex<_>>::clone(&answered), Arc::clone(&end));
            clients.push(tokio::spawn(async move {
                for round in 1_u64.. {
                    for place in 0..PATHS {
                        if end.load(Ordering::Relaxed) {
                            return Ok(());
                        }
                        let path = path(client, place);
                        nexus.put_secret(&put(&path, &[("round", &round.to_string())])).await?;
                        all(&answered).insert(path, round);
                    }
                }
                Ok(())
            }));
        }
        Ok(Self { answered, end, clients })
    }

    fn answered(&self) -> Answered {
        all(&self.answered).clone()
    }

    async fn stop(self) -> Result<Answered> {
        self.end.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await??;
        }
        Ok(all(&self.answered).clone())
    }
}

/// Takes the recovery files out, into this directory.
async fn export(crew: &Crew) -> Result<PathBuf> {
    let directory = crew.dir().join("kept");
    let exported =
        crew.pilot(RECOVERER, &["operator", "recover", "--out", text(&directory)?]).await?;
    ensure!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    Ok(directory)
}

// There was no backup but to stop Nexus and copy its directory.
#[tokio::test]
async fn a_backup_under_load_restores_exactly_to_an_acknowledged_state() -> Result<()> {
    let mut crew = crew().keepers(3, 2).start().await?;
    let shares = export(&crew).await?;
    let data = crew.dir().to_owned();
    let file = crew.dir().join("backup");
    let load = Load::start(&crew)?;
    let has_begun = async {
        while load.answered().len() < usize::from(CLIENTS * PATHS) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, has_begun).await.context("the clients do not write")?;
    assert!(last_backup(&mut crew).await? < 1.0, "none was made yet");
    let before = load.answered();
    done(&crew, &["backup", text(&file)?, "--data-dir", text(&data)?]).await?;
    let at_the_end = load.stop().await?;
    assert!(last_backup(&mut crew).await? > 1.7e9, "Nexus does not know of the backup");
    let verify = ["verify-backup", text(&file)?, "--shares", text(&shares)?];
    let told = done(&crew, &verify).await?;
    assert!(told.contains("each of 3 subsets of 3 shares rebuilds the key"), "{told}");

    // Everything of the store is gone; the Keepers still have the key.
    crew.nexus().kill().await?;
    fs::rename(data.join("data"), data.join("lost"))?;
    done(&crew, &["restore-backup", text(&file)?, "--data-dir", text(&data)?]).await?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let superuser = crew.superuser()?;
    for client in 0..CLIENTS {
        let mut rounds = Vec::new();
        for place in 0..PATHS {
            let path = path(client, place);
            let round: u64 = value_of(&superuser, &path, 0, "round").await?.parse()?;
            assert!(
                round >= before[&path],
                "{path}: round {} was answered, {round} is there",
                before[&path]
            );
            assert!(round <= at_the_end[&path] + 1, "{path}: {round} was never sent");
            rounds.push(round);
        }
        // A client sends a write once the one before it was answered: a later one without an earlier one is no state that
        // ever was.
        assert!(rounds.is_sorted_by(|one, next| one >= next), "{rounds:?}");
        assert!(rounds[0] - rounds[usize::from(PATHS) - 1] <= 1, "{rounds:?}");
    }
    assert!(crew.health_check("store_loss").await?["reason"].is_null());
    let again =
        refused(&crew, &["restore-backup", text(&file)?, "--data-dir", text(&data)?]).await?;
    assert!(again.contains("in use by another process"), "{again}");
    crew.stop().await
}

#[tokio::test]
async fn after_everything_was_lost_a_backup_and_a_threshold_of_recovery_files_bring_it_back()
-> Result<()> {
    let mut crew = crew().keepers(3, 2).start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let shares = crew.recover().await?;
    let (data, file) = (crew.dir().to_owned(), crew.dir().join("backup"));
    done(&crew, &["backup", text(&file)?, "--data-dir", text(&data)?]).await?;
    crew.kill_keepers(1..=3).await?;
    crew.nexus().kill().await?;
    fs::remove_dir_all(data.join("data"))?;
    done(&crew, &["restore-backup", text(&file)?, "--data-dir", text(&data)?]).await?;
    crew.restart_keepers(1..=3).await?;
    crew.start_nexus().await?;
    crew.sealed_because("no Keeper has sent a share yet").await?;
    for share in shares.iter().take(2) {
        crew.feed(share).await?;
    }
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

#[tokio::test]
async fn the_command_refuses_one_flipped_byte_and_names_the_place() -> Result<()> {
    let crew = crew().keepers(3, 2).start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let (data, file) = (crew.dir().to_owned(), crew.dir().join("backup"));
    done(&crew, &["backup", text(&file)?, "--data-dir", text(&data)?]).await?;
    let whole = fs::read(&file)?;
    let flipped = crew.dir().join("flipped");
    for part in 0..24 {
        let at = (whole.len() - 1) * part / 23;
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (part % 8);
        fs::write(&flipped, bytes)?;
        let told = refused(&crew, &["verify-backup", text(&flipped)?]).await?;
        let is_placed =
            ["first line", "bytes ", "from byte "].iter().any(|part| told.contains(part));
        assert!(is_placed && told.contains("flipped"), "byte {at}: {told}");
    }
    crew.stop().await
}

// The image of Nexus has no directory for temporary files.
#[tokio::test]
async fn a_backup_to_standard_output_and_its_restore_need_no_place_but_the_data_directory()
-> Result<()> {
    let crew = crew().keepers(3, 2).start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let without_temporary = |arguments: &[&str]| {
        let mut command = crew.client("nexus");
        command.env_clear().env("TMPDIR", "/there/is/no/such").args(arguments);
        command
    };
    let data = crew.dir().to_owned();
    let made = without_temporary(&["backup", "-", "--data-dir", text(&data)?]).output().await?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = crew.dir().join("received");
    fs::write(&file, made.stdout)?;
    let told = done(&crew, &["verify-backup", text(&file)?]).await?;
    assert!(told.contains("1 secret, 1 version"), "{told}");
    let other = crew.dir().join("other");
    let restored =
        without_temporary(&["restore-backup", text(&file)?, "--data-dir", text(&other)?]).output();
    let restored = restored.await?;
    ensure!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(other.join("data/nexus.db").is_file());
    let left: Vec<_> = fs::read_dir(crew.dir())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(".spike-backup"))
        .collect();
    assert_eq!(left, [""; 0]);
    crew.stop().await
}

// The second had the name of the first, and was refused.
#[tokio::test]
async fn two_backups_within_a_second_into_one_directory_have_two_names_that_sort_by_time()
-> Result<()> {
    let crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "v")])).await?;
    let (kept, data) = (crew.dir().join("kept"), crew.dir().to_owned());
    fs::create_dir(&kept)?;
    let arguments = ["backup", text(&kept)?, "--data-dir", text(&data)?];
    let mut names = Vec::new();
    for _ in 0..4 {
        let told = done(&crew, &arguments).await?;
        names.push(told.split(": ").next().context("no name")?.to_owned());
    }
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    let both = tokio::join!(done(&crew, &arguments), done(&crew, &arguments));
    both.0?;
    both.1?;
    assert_eq!(fs::read_dir(&kept)?.count(), 6);
    crew.stop().await
}
