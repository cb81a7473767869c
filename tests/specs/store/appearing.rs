//! Data that appears while Nexus waits for it with a key: it may be a copy that is under way, and Nexus may have the last copy of
//! the key.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};
use rusqlite::Connection;
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    eventually,
    secrets::{put, value_of},
};
use spike_wire::{KeeperStatusKind, SealedBy};

use crate::{crew, keepers::fresh_shares};

const COMMITS: [&str; 3] = ["a/c1", "a/c2", "a/c3"];

/// A crew whose Nexus was killed, so that its log holds acknowledged commits, and where its data lies now.
async fn killed() -> Result<(Crew, PathBuf)> {
    let mut crew = crew().start().await?;
    for path in COMMITS {
        crew.superuser()?.put_secret(&put(path, &[("k", "precious")])).await?;
    }
    crew.nexus().kill().await?;
    let (data, source) = (crew.dir().join("data"), crew.dir().join("source"));
    fs::rename(data, &source)?;
    ensure!(fs::metadata(source.join("nexus.db-wal"))?.len() > 0, "nothing is in the log");
    Ok((crew, source))
}

async fn everything_is_there(crew: &mut Crew) -> Result<()> {
    crew.ready(PATIENCE).await?;
    for path in COMMITS {
        assert_eq!(value_of(&crew.superuser()?, path, 0, "k").await?, "precious");
    }
    assert!(!crew.dir().join("data/nexus.loss").exists());
    Ok(())
}

fn copy(source: &Path, data: &Path, name: &str) -> Result<()> {
    fs::create_dir_all(data)?;
    fs::write(data.join(name), fs::read(source.join(name))?)?;
    Ok(())
}

/// An attempt that had begun before may have left an empty log, as SQLite does.
fn has_no_log_of_its_own(data: &Path) -> Result<()> {
    let log = fs::metadata(data.join("nexus.db-wal"));
    ensure!(log.map_or(true, |log| log.len() == 0), "Nexus has made a log of its own");
    Ok(())
}

/// Nexus opened it, took writes, and overwrote the log that came later: acknowledged commits were lost, without a word.
#[tokio::test]
async fn a_database_that_arrives_before_its_log_is_not_opened() -> Result<()> {
    for order in [
        ["nexus.db", "nexus.db-wal", "nexus.commits"],
        ["nexus.commits", "nexus.db", "nexus.db-wal"],
    ] {
        let (mut crew, source) = killed().await?;
        let data = crew.dir().join("data");
        crew.start_nexus().await?;
        crew.sealed_because("and no data in").await?;
        for name in order {
            copy(&source, &data, name)?;
            if name != "nexus.commits" {
                crew.sealed_because("data has appeared in").await?;
            }
        }
        let told = crew.sealed_because("once all files are there, restart it").await?;
        assert!(told.contains(data.to_str().unwrap_or_default()), "{told}");
        for name in ["nexus.db", "nexus.db-wal", "nexus.commits"] {
            ensure!(fs::read(data.join(name))? == fs::read(source.join(name))?, "{name}");
        }

        // As it says.
        crew.crash_nexus().await?;
        everything_is_there(&mut crew).await?;
        crew.stop().await?;
    }
    Ok(())
}

/// The same with a Nexus that has no key yet when the copy begins.
#[tokio::test]
async fn data_that_appears_before_the_key_is_not_opened_by_the_same_process() -> Result<()> {
    let mut crew = crew().start().await?;
    for path in COMMITS {
        crew.superuser()?.put_secret(&put(path, &[("k", "precious")])).await?;
    }
    let shares = crew.recover().await?;
    let (data, source) = (crew.dir().join("data"), crew.dir().join("source"));
    crew.nexus().kill().await?;
    crew.kill_keepers(1..=3).await?;
    fs::rename(&data, &source)?;
    crew.restart_keepers(1..=3).await?;
    crew.start_nexus().await?;
    copy(&source, &data, "nexus.db")?;
    crew.feed(&shares[0]).await?;
    ensure!(crew.feed(&shares[1]).await.is_err(), "half a copy was opened");
    crew.sealed_because("data has appeared in").await?;

    copy(&source, &data, "nexus.db-wal")?;
    copy(&source, &data, "nexus.commits")?;
    crew.crash_nexus().await?;
    crew.feed(&shares[0]).await?;
    crew.feed(&shares[1]).await?;
    everything_is_there(&mut crew).await?;
    crew.stop().await
}

/// An older database was there at the start, without its log, and `cp` writes into the same file: Nexus opened it, made a log of
/// its own, which the rest of the copy overwrote, and lost what was written after that.
#[tokio::test]
async fn a_database_that_is_copied_over_an_older_one_is_not_opened_before_its_log_is_there()
-> Result<()> {
    let mut crew = crew().start().await?;
    let (data, source) = (crew.dir().join("data"), crew.dir().join("source"));
    ensure!(crew.nexus().terminate().await?.success());
    let old = fs::read(data.join("nexus.db"))?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    for path in COMMITS {
        crew.superuser()?.put_secret(&put(path, &[("k", "precious")])).await?;
    }
    let shares = crew.recover().await?;
    crew.nexus().kill().await?;
    crew.kill_keepers(1..=3).await?;
    fs::rename(&data, &source)?;
    fs::create_dir(&data)?;
    fs::write(data.join("nexus.db"), old)?;
    crew.restart_keepers(1..=3).await?;
    crew.start_nexus().await?;
    crew.feed(&shares[0]).await?;
    copy(&source, &data, "nexus.db")?;
    ensure!(crew.feed(&shares[1]).await.is_err(), "half a copy was opened");
    crew.sealed_because("were changed or replaced while Nexus was running").await?;
    has_no_log_of_its_own(&data)?;
    copy(&source, &data, "nexus.db-wal")?;
    copy(&source, &data, "nexus.commits")?;
    crew.sealed_because("once all files are there, restart it").await?;

    // As it says.
    crew.crash_nexus().await?;
    crew.feed(&shares[0]).await?;
    crew.feed(&shares[1]).await?;
    everything_is_there(&mut crew).await?;
    crew.stop().await
}

/// The database was opened without its log, and took writes that were lost with the next start.
#[tokio::test]
async fn a_log_that_was_there_at_the_start_and_is_away_when_the_key_comes_is_missed() -> Result<()>
{
    let mut crew = crew().start().await?;
    for path in COMMITS {
        crew.superuser()?.put_secret(&put(path, &[("k", "precious")])).await?;
    }
    let shares = crew.recover().await?;
    let (data, away) = (crew.dir().join("data"), crew.dir().join("away"));
    crew.nexus().kill().await?;
    crew.kill_keepers(1..=3).await?;
    ensure!(fs::metadata(data.join("nexus.db-wal"))?.len() > 0, "nothing is in the log");
    crew.restart_keepers(1..=3).await?;
    crew.start_nexus().await?;
    crew.feed(&shares[0]).await?;
    fs::create_dir(&away)?;
    for name in ["nexus.db", "nexus.db-wal"] {
        fs::rename(data.join(name), away.join(name))?;
    }
    fs::rename(away.join("nexus.db"), data.join("nexus.db"))?;
    ensure!(crew.feed(&shares[1]).await.is_err(), "it was opened without its log");
    crew.sealed_because("were changed or replaced while Nexus was running").await?;
    has_no_log_of_its_own(&data)?;

    // The shares are kept, and the same files are there again.
    fs::rename(away.join("nexus.db-wal"), data.join("nexus.db-wal"))?;
    everything_is_there(&mut crew).await?;
    crew.stop().await
}

/// A link that leads to itself was there at the start, and a database without its log took its place.
#[tokio::test]
async fn what_nexus_could_not_look_at_when_it_started_is_not_replaced_by_a_copy() -> Result<()> {
    let (mut crew, source) = killed().await?;
    let data = crew.dir().join("data");
    fs::create_dir_all(&data)?;
    symlink("nexus.db", data.join("nexus.db"))?;
    crew.start_nexus().await?;
    crew.sealed_because("it is a symbolic link").await?;
    fs::remove_file(data.join("nexus.db"))?;
    copy(&source, &data, "nexus.db")?;
    crew.sealed_because("data has appeared in").await?;
    has_no_log_of_its_own(&data)?;
    copy(&source, &data, "nexus.db-wal")?;
    copy(&source, &data, "nexus.commits")?;
    crew.crash_nexus().await?;
    everything_is_there(&mut crew).await?;
    crew.stop().await
}

/// Leaves the database as a crash in the middle of a transaction does: some of its pages are written, and the journal takes them back.
fn interrupt_a_transaction(data: &Path) -> Result<()> {
    let mut connection = Connection::open(data.join("nexus.db"))?;
    connection.pragma_update(None, "cache_size", 1)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         INSERT INTO policy_lists (number, key_number, nonce, ciphertext)
         SELECT i, 1, zeroblob(12), zeroblob(4000) FROM n",
    )?;
    let files = ["nexus.db", "nexus.db-journal"].map(|name| data.join(name));
    let copies: Vec<Vec<u8>> = files.iter().map(fs::read).collect::<Result<_, _>>()?;
    drop(transaction);
    drop(connection);
    for (file, copy) in files.iter().zip(copies) {
        fs::write(file, copy)?;
    }
    Ok(())
}

/// The attempt under the wrong key took the journal back, and Nexus then said that somebody had changed the files, of this key too.
#[tokio::test]
async fn a_wrong_key_is_told_as_one_also_after_a_crash_that_has_left_a_journal() -> Result<()> {
    let mut crew = crew().setting("SPIKE_NEXUS_DB_JOURNAL_MODE", "delete").start().await?;
    for path in COMMITS {
        crew.superuser()?.put_secret(&put(path, &[("k", "precious")])).await?;
    }
    let shares = crew.recover().await?;
    ensure!(crew.nexus().terminate().await?.success());
    crew.kill_keepers(1..=3).await?;
    crew.restart_keepers(1..=3).await?;
    for share in fresh_shares(3, 2)? {
        let dialer = crew.dial_keeper_as(share.index.get(), "/spike/bootstrap")?;
        let body = format!(r#"{{"shard":{:?}}}"#, share.value.expose_bytes());
        let given = dialer.connect().await?.post("/v1/store/contribute", &body).await?;
        ensure!(given.status == 200, "{given:?}");
    }
    let data = crew.dir().join("data");
    interrupt_a_transaction(&data)?;
    crew.start_nexus().await?;
    crew.sealed_because("which is not that of the data").await?;
    ensure!(!data.join("nexus.db-journal").exists(), "nothing was taken back");
    crew.feed(&shares[0]).await?;
    crew.sealed_because("which is not that of the data").await?;
    crew.feed(&shares[1]).await?;
    everything_is_there(&mut crew).await?;
    crew.stop().await
}

/// A database that is copied over a damaged one was opened before its log was there.
#[tokio::test]
async fn a_database_that_is_copied_over_a_damaged_one_is_not_opened() -> Result<()> {
    let (mut crew, source) = killed().await?;
    let data = crew.dir().join("data");
    fs::create_dir_all(&data)?;
    let whole = fs::read(source.join("nexus.db"))?;
    fs::write(data.join("nexus.db"), &whole[..whole.len() / 2])?;
    crew.start_nexus().await?;
    crew.sealed_because("is damaged").await?;
    copy(&source, &data, "nexus.db")?;
    crew.sealed_because("were changed or replaced while Nexus was running").await?;
    copy(&source, &data, "nexus.db-wal")?;
    ensure!(fs::read(data.join("nexus.db"))? == whole);
    crew.crash_nexus().await?;
    everything_is_there(&mut crew).await?;
    crew.stop().await
}

/// Keepers that were restarted one after the other stayed empty, and the restart of Nexus that everything advised lost the key.
#[tokio::test]
async fn keepers_restarted_beside_a_nexus_that_cannot_use_its_key_get_their_shares_back()
-> Result<()> {
    for damaged in [false, true] {
        let (mut crew, source) = killed().await?;
        let data = crew.dir().join("data");
        if damaged {
            fs::create_dir_all(&data)?;
            fs::write(data.join("nexus.db"), &fs::read(source.join("nexus.db"))?[..10_000])?;
        }
        crew.start_nexus().await?;
        crew.sealed_because(if damaged { "is damaged" } else { "and no data in" }).await?;
        all_hold_a_share(&crew).await?;
        for keeper in 1..=3 {
            crew.kill_keepers([keeper]).await?;
            crew.restart_keepers([keeper]).await?;
            all_hold_a_share(&crew).await?;
        }
        crew.nexus().kill().await?;
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::rename(&source, &data)?;
        crew.start_nexus().await?;
        everything_is_there(&mut crew).await?;
        crew.stop().await?;
    }
    Ok(())
}

async fn all_hold_a_share(crew: &Crew) -> Result<()> {
    eventually("a share at every Keeper", PATIENCE, async || {
        let states = crew.status().await?.keepers;
        let holds = |state| matches!(state, KeeperStatusKind::Unjudged | KeeperStatusKind::Good);
        Ok((states.len() == 3 && states.iter().all(|keeper| holds(keeper.state))).then_some(()))
    })
    .await
}

/// Status, doctor, the hints and Bootstrap all told to restart Nexus, or to feed recovery shares.
#[tokio::test]
async fn while_nexus_alone_has_the_key_everything_says_not_to_restart_it() -> Result<()> {
    let (mut crew, source) = killed().await?;
    crew.start_nexus().await?;
    crew.sealed_because("and no data in").await?;
    all_hold_a_share(&crew).await?;
    for (asked, told) in told(&crew).await? {
        assert!(told.contains("stop SPIKE Nexus, put all files"), "{asked}: {told}");
        assert!(!told.contains("spike operator restore"), "{asked}: {told}");
    }

    crew.kill_keepers([2, 3]).await?;
    let reason = crew.sealed_because("do not restart Nexus: it alone has the whole key").await?;
    assert!(reason.contains("no data in"), "{reason}");
    for (asked, told) in told(&crew).await? {
        assert!(told.contains("do not restart SPIKE Nexus"), "{asked}: {told}");
        assert!(!told.contains("spike operator restore"), "{asked}: {told}");
    }

    // As it says.
    crew.restart_keepers([2, 3]).await?;
    all_hold_a_share(&crew).await?;
    let status = crew.status().await?;
    assert_eq!(status.sealed_by, Some(SealedBy::NoData));
    assert!(!status.reason.unwrap_or_default().contains("do not restart"));
    fs::rename(source, crew.dir().join("data"))?;
    crew.crash_nexus().await?;
    everything_is_there(&mut crew).await?;
    crew.stop().await
}

/// Whoever explained last hid the other: the state said not to restart Nexus, and the next step was to stop it.
#[tokio::test]
async fn a_restore_that_waits_for_data_does_not_hide_that_a_restart_would_lose_the_key()
-> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put(COMMITS[0], &[("k", "precious")])).await?;
    let shares = crew.recover().await?;
    crew.nexus().kill().await?;
    fs::rename(crew.dir().join("data"), crew.dir().join("source"))?;
    crew.start_nexus().await?;
    crew.sealed_because("and no data in").await?;
    crew.kill_keepers([2, 3]).await?;
    crew.sealed_because("do not restart Nexus: it alone has the whole key").await?;
    crew.feed(&shares[0]).await?;
    ensure!(crew.feed(&shares[1]).await.is_err(), "there is no data");
    for _ in 0..3 {
        let status = crew.status().await?;
        let reason = status.reason.unwrap_or_default();
        ensure!(status.fed == 2 && status.last_copy, "{reason}");
        ensure!(
            reason.contains("do not restart Nexus") && reason.contains("no data in"),
            "{reason}"
        );
        for (asked, told) in told(&crew).await? {
            assert!(told.contains("do not restart SPIKE Nexus"), "{asked}: {told}");
        }
    }
    crew.restart_keepers([2, 3]).await?;
    all_hold_a_share(&crew).await?;
    crew.stop().await
}

/// What the commands of an operator say, by command.
async fn told(crew: &Crew) -> Result<Vec<(&'static str, String)>> {
    let mut all = Vec::new();
    for command in ["secret list", "operator status", "doctor"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let ran = crew.pilot(SUPERUSER, &arguments).await?;
        let text = [ran.stdout, ran.stderr].concat();
        let text = String::from_utf8(text)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        all.push((command, words.join(" ")));
    }
    Ok(all)
}
