//! Bootstrap replaces nothing: no key in use, no data, no share. With the real programs; what was there before is used
//! afterwards.

use std::fs;

use anyhow::{Context, Result};
use spike_daemon::settings::Backend;
use spike_tests::{PATIENCE, fake_keeper::FakeKeeper, secrets::put};
use tokio::net::TcpListener;

use super::{
    IMPATIENT, data_is_there, marker, no_keeper_holds_a_share, no_share_was_replaced, on_fakes,
    shares_bring_the_data_back, with_data,
};
use crate::crew;

/// The settings of a person who wants another key.
const FORCED: [(&str, &str); 3] = [IMPATIENT[0], IMPATIENT[1], ("SPIKE_BOOTSTRAP_FORCE", "true")];

/// What an operator had fed counted as nothing: Bootstrap made another key, and the restore could not be finished.
#[tokio::test]
async fn in_the_middle_of_a_restore_it_makes_no_key() -> Result<()> {
    let mut crew = with_data().await?;
    let shares = crew.recover().await?;
    crew.black_out().await?;
    let (data, away) = (crew.dir().join("data"), crew.dir().join("away"));
    fs::rename(&data, &away)?;
    fs::remove_file(marker(&crew))?;
    for (fed, words) in [(0, "one recovery share"), (1, "2 recovery shares")] {
        // The second one completes a key, for which there is no data.
        assert_eq!(crew.feed(&shares[fed]).await.is_ok(), fed == 0);
        let told = crew.bootstrap(&IMPATIENT).await?;
        assert_eq!(told.status, 3, "{}", told.text);
        for part in [words, "that an operator has fed", "finish the restore"] {
            assert!(told.text.contains(part), "{part}: {}", told.text);
        }
    }
    no_keeper_holds_a_share(&mut crew).await?;
    fs::rename(&away, &data)?;
    shares_bring_the_data_back(&mut crew, &shares[..2]).await?;
    crew.stop().await
}

/// The same on a backend that has no data which could speak against another key.
#[tokio::test]
async fn in_the_middle_of_a_restore_on_lite_it_makes_no_key() -> Result<()> {
    let mut crew = crew().backend(Backend::Lite).start().await?;
    let (key, shares) = (crew.status().await?.root_key, crew.recover().await?);
    crew.black_out().await?;
    fs::remove_file(marker(&crew))?;
    crew.feed(&shares[0]).await?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("one recovery share that an operator has fed"), "{}", told.text);
    no_keeper_holds_a_share(&mut crew).await?;
    assert!(crew.feed(&shares[1]).await?.restored);
    crew.ready(PATIENCE).await?;
    assert_eq!(crew.status().await?.root_key, key);
    crew.stop().await
}

/// It made a key, and Nexus put a new database beside what was left, or in place of a link to a volume.
#[tokio::test]
async fn beside_what_only_a_database_leaves_behind_it_makes_no_key() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let data = crew.dir().join("data");
    fs::create_dir_all(&data)?;
    fs::write(data.join("nexus.commits"), "")?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("may hold a database: nexus.commits is there"), "{}", told.text);
    fs::remove_file(data.join("nexus.commits"))?;

    let (link, target) = (data.join("nexus.db"), crew.dir().join("volume/nexus.db"));
    std::os::unix::fs::symlink(&target, &link)?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    let part = format!("is a link to {}, which is not there", target.display());
    assert!(told.text.contains(&part), "{}", told.text);
    assert_eq!(fs::read_link(&link)?, target);
    fs::remove_file(&link)?;
    assert_eq!(crew.bootstrap(&IMPATIENT).await?.status, 0);
    crew.stop().await
}

/// Bootstrap overwrote every share. Nexus lost its key if it was restarted before it had given them back.
#[tokio::test]
async fn forced_on_a_live_system_it_refuses_and_says_what_to_stop_and_restart() -> Result<()> {
    let mut crew = with_data().await?;
    let key = crew.status().await?.root_key;
    let told = crew.bootstrap(&FORCED).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    for part in ["runs and has a root key", "stop Nexus", "restart Keeper 1 at https://localhost:"]
    {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    no_share_was_replaced(&crew)?;
    crew.crash_nexus().await?;
    data_is_there(&mut crew).await?;
    assert_eq!(crew.status().await?.root_key, key);
    crew.stop().await
}

/// F1, cli-config-deploy 7.3 "Bootstrap re-ran and changed the key": upstream comes up with the new key and calls itself
/// healthy; nothing can be read, and what is put goes into the same file under the other key.
#[tokio::test]
async fn forced_while_nexus_was_away_it_takes_no_share_from_the_keepers_that_hold_one() -> Result<()>
{
    let mut crew = with_data().await?;
    crew.nexus().terminate().await?;
    let told = crew.bootstrap(&FORCED).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    for part in
        ["does not run", "holds a share of a root key", "restart Keeper 1 at", "Keeper 3 at"]
    {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    crew.start_nexus().await?;
    data_is_there(&mut crew).await?;
    crew.stop().await
}

/// After a person has moved away everything that a new key would replace, a key is made. The moved files are unchanged.
#[tokio::test]
async fn forced_with_nexus_stopped_and_keepers_restarted_a_new_key_is_made_and_old_data_is_kept()
-> Result<()> {
    let mut crew = with_data().await?;
    let (key, shares) = (crew.status().await?.root_key, crew.recover().await?);
    crew.nexus().terminate().await?;
    crew.kill_keepers(1..=3).await?;
    crew.restart_keepers(1..=3).await?;
    let before = fs::read(crew.dir().join("data/nexus.db"))?;
    let told = crew.bootstrap(&FORCED).await?;
    assert_eq!(told.status, 3, "nobody says what lies in the data directory: {}", told.text);
    for part in
        ["start it within a minute, so that it says", "nobody says what lies in its data directory"]
    {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    no_keeper_holds_a_share(&mut crew).await?;

    // While the data is there, no key is made either, and the recovery shares bring the old one back.
    crew.start_nexus().await?;
    assert_eq!(fs::read(crew.dir().join("data/nexus.db"))?, before);
    let told = crew.bootstrap(&FORCED).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("move "), "{}", told.text);
    shares_bring_the_data_back(&mut crew, &shares[..2]).await?;
    assert_eq!(crew.status().await?.root_key, key);
    crew.keepers_good().await?;

    // With the data moved away there is a new key.
    crew.nexus().terminate().await?;
    fs::rename(crew.dir().join("data"), crew.dir().join("aside"))?;
    crew.kill_keepers(1..=3).await?;
    crew.restart_keepers(1..=3).await?;
    // It waits for Nexus, which is being started.
    crew.cluster().restart_nexus()?;
    let told = crew.bootstrap(&[("SPIKE_BOOTSTRAP_FORCE", "true")]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    assert_ne!(crew.status().await?.root_key, key);
    crew.stop().await
}

/// Three good shares were overwritten by those of a new key, and only recovery files helped.
#[tokio::test]
async fn while_the_store_is_locked_and_the_marker_is_gone_it_makes_no_key_and_the_old_shares_work()
-> Result<()> {
    let mut crew = with_data().await?;
    crew.nexus().terminate().await?;
    fs::remove_file(marker(&crew))?;
    let lock = fs::File::options().write(true).open(crew.dir().join("data/nexus.lock"))?;
    lock.try_lock()?;
    crew.start_nexus().await?;
    crew.sealed_because("in use by another process").await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    let directory = crew.dir().join("data");
    for part in [
        "in use by another process",
        directory.to_str().context("not text")?,
        "holds a database",
        "Keeper 2 at https://localhost:",
        "spike operator restore",
    ] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    assert!(!told.text.contains("SPIKE_BOOTSTRAP_FORCE"), "{}", told.text);
    assert!(!marker(&crew).exists());
    drop(lock);
    data_is_there(&mut crew).await?;
    no_share_was_replaced(&crew)?;
    crew.stop().await
}

/// Bootstrap waited half an hour for Nexus, and did not report the lost shares.
#[tokio::test]
async fn with_its_marker_there_and_nexus_away_keepers_that_lost_their_shares_are_told_of()
-> Result<()> {
    let mut crew = with_data().await?;
    let shares = crew.recover().await?;
    crew.nexus().terminate().await?;
    // One Keeper with a share is not enough for the key.
    crew.kill_keepers([1, 3]).await?;
    crew.restart_keepers([1, 3]).await?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    for part in [
        "does not run",
        "Keeper 1 at https://localhost:",
        "holds no share",
        "holds a share of a root key",
        "this was done before",
        "spike operator restore",
    ] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    no_share_was_replaced(&crew)?;
    crew.start_nexus().await?;
    crew.sealed_because("1 of 2 shares collected").await?;
    shares_bring_the_data_back(&mut crew, &shares[..2]).await?;
    crew.stop().await
}

/// Bootstrap took such a Nexus for stopped after 15 seconds, with exit status 3 and a restore as the next step.
#[tokio::test]
async fn with_its_marker_there_a_nexus_that_listens_and_fails_the_handshake_is_not_told_as_stopped()
-> Result<()> {
    let mut crew = with_data().await?;
    crew.nexus().terminate().await?;
    crew.kill_keepers(1..=3).await?;
    crew.restart_keepers(1..=3).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://localhost:{}", listener.local_addr()?.port());
    let hang_up = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let told = crew.bootstrap(&[IMPATIENT[0], IMPATIENT[1], ("SPIKE_NEXUS_API_URL", &url)]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    assert!(told.text.contains("does not say whether it has a root key"), "{}", told.text);
    assert!(
        told.text
            .contains("hint: start Nexus and check SPIKE_NEXUS_API_URL and SPIKE_TRUST_ROOT_NEXUS"),
        "{}",
        told.text
    );
    hang_up.abort();
    crew.stop().await
}

/// The messages of a normal first run must not read like the loss of a volume.
#[tokio::test]
async fn a_first_run_raises_no_alarm() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    for alarm in ["ACCEPT_NEW_STORE", "warning", "is the volume mounted"] {
        assert!(!told.text.contains(alarm), "{alarm}: {}", told.text);
        assert!(!crew.log("nexus")?.contains(alarm), "{alarm}");
    }
    crew.stop().await
}

/// On a terminal, and in the journal, everything was there twice: as text, and as JSON.
#[tokio::test]
async fn where_log_and_text_end_in_one_place_a_failure_is_told_once() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    crew.kill_keepers([2]).await?;
    let failure = "nothing was changed, because not every Keeper answers";
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!((told.status, told.text.matches(failure).count()), (1, 2), "{}", told.text);
    crew.wrap("bootstrap", r#"exec "$PROGRAM" "$@" 2>&1"#).await?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!((told.status, told.text.matches(failure).count()), (1, 1), "{}", told.text);
    Ok(())
}

/// The status of Nexus said for seconds that a share was missing.
#[tokio::test]
async fn while_another_process_locks_the_database_no_share_is_said_to_be_missing() -> Result<()> {
    let mut crew = with_data().await?;
    crew.nexus().terminate().await?;
    fs::remove_file(marker(&crew))?;
    let database = fs::File::options().write(true).open(crew.dir().join("data/nexus.db"))?;
    // As a backup tool does; the lock goes with the file.
    rustix::fs::fcntl_lock(&database, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
    crew.start_nexus().await?;
    crew.sealed_because("the store is being opened").await?;
    let status = crew.status().await?;
    assert_eq!(status.margin, None, "only a key can judge shares");
    let told = crew.check_fails("quorum", "not known while Nexus is sealed").await?;
    assert!(!told.contains("would need an operator"), "{told}");
    crew.sealed_because("locked by another process").await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    for part in ["locked by another process", "holds a database", "holds a share of a root key"] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    drop(database);
    data_is_there(&mut crew).await?;
    no_share_was_replaced(&crew)?;
    crew.stop().await
}

/// A store that had moved away its first Keeper, and a volume with data beside Keepers that are all new.
#[tokio::test]
async fn where_there_is_data_and_no_share_and_no_marker_it_makes_no_key() -> Result<()> {
    let mut crew = with_data().await?;
    let shares = crew.recover().await?;
    fs::remove_file(marker(&crew))?;
    crew.black_out().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("holds a database"), "{}", told.text);
    no_keeper_holds_a_share(&mut crew).await?;
    shares_bring_the_data_back(&mut crew, &shares[1..]).await?;
    crew.stop().await
}

/// A holder of Bootstrap's SVID overwrote shares in a loop while Nexus restarted. Nexus stayed sealed for good.
#[tokio::test]
async fn the_svid_of_bootstrap_takes_no_share_away_while_nexus_restarts() -> Result<()> {
    let mut crew = with_data().await?;
    crew.nexus().kill().await?;
    for keeper in 1..=3 {
        let mut connection = crew.dial_keeper_as(keeper, "/spike/bootstrap")?.connect().await?;
        let body = format!(r#"{{"shard":{:?}}}"#, [7; 32]);
        let answer = connection.post("/v1/store/contribute", &body).await?;
        assert_eq!((answer.status, &answer.json()["err"]), (409, &"entity_exists".into()));
    }
    crew.start_nexus().await?;
    data_is_there(&mut crew).await?;
    no_share_was_replaced(&crew)?;
    crew.stop().await
}

/// The marker stayed, and Nexus was sealed for good when it was given a store later.
#[tokio::test]
async fn where_nexus_is_on_the_memory_backend_nothing_is_remembered() -> Result<()> {
    let crew = crew().backend(Backend::Memory).start_sealed().await?;
    let told = crew
        .bootstrap(&[
            ("SPIKE_NEXUS_BACKEND_STORE", "sqlite"),
            ("SPIKE_NEXUS_SHAMIR_SHARES", "1"),
            ("SPIKE_NEXUS_SHAMIR_THRESHOLD", "1"),
            ("SPIKE_NEXUS_KEEPER_PEERS", "https://localhost:1"),
        ])
        .await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert!(told.text.contains("the memory backend needs no root key"), "{}", told.text);
    let warning = "is on the memory backend, and SPIKE_NEXUS_BACKEND_STORE is sqlite here";
    assert!(told.text.contains(warning), "{}", told.text);
    assert!(!marker(&crew).exists());
    crew.stop().await
}

/// In one of six plain restarts beside a Job whose marker was gone, the Job was faster than the Keepers.
#[tokio::test]
async fn beside_a_nexus_that_is_just_starting_it_waits_and_makes_no_key() -> Result<()> {
    let (mut crew, keepers) = on_fakes(3, 2).await?;
    assert_eq!(crew.bootstrap(&[]).await?.status, 0);
    crew.ready(PATIENCE).await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let key = crew.status().await?.root_key;
    fs::remove_file(marker(&crew))?;
    for keeper in &keepers {
        keeper.say(500, "{}");
    }
    crew.crash_nexus().await?;
    crew.sealed_because("root_key").await?;
    let late = async {
        for keeper in &keepers {
            keeper.asked_again(4).await?;
        }
        keepers.iter().for_each(FakeKeeper::be_honest);
        anyhow::Ok(())
    };
    let (told, late) = tokio::join!(crew.bootstrap(&[]), late);
    late?;
    let told = told?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert!(told.text.contains("nothing to do: Nexus has a root key already"), "{}", told.text);
    assert!(marker(&crew).exists(), "it remembers now");
    data_is_there(&mut crew).await?;
    assert_eq!(crew.status().await?.root_key, key);
    let by_bootstrap = |keeper: &FakeKeeper| {
        let given = keeper.given();
        given.iter().filter(|given| given.from.ends_with("/spike/bootstrap")).count()
    };
    assert_eq!(keepers.iter().map(by_bootstrap).collect::<Vec<_>>(), [1, 1, 1]);
    crew.stop().await
}
