//! Crashes under load (design 3): Nexus comes back by itself, and every write that it acknowledged is there.
//!
//! `SPIKE_SOAK_ROUNDS=200 cargo test -p spike-tests soak:: -- --nocapture` is the long form; the times it prints are for
//! reading, and no test depends on them.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use spike_config::Environment;
use spike_tests::{
    PATIENCE,
    crew::Crew,
    eventually,
    ledger::{self, Acknowledged, Writing},
    power::{Chance, Recorder, Recording, Unsynced, put_back},
    skipped,
};

use crate::crew;

/// The default number of crashes.
const ROUNDS: usize = 8;
const WRITERS: usize = 8;
/// How soon after its start a crashed Nexus must be ready. It takes well under a second; machines that run tests may be
/// busy.
const READY_LIMIT: Duration = Duration::from_secs(10);
/// The least number of recorded writes, with a checkpoint of the write-ahead log among them.
const WATCHED_WRITES: usize = 200;

fn rounds() -> Result<usize> {
    let environment = Environment::of_process();
    let rounds = environment.get("SPIKE_SOAK_ROUNDS").and_then(|text| text.to_str());
    Ok(rounds.map_or(Ok(ROUNDS), str::parse)?)
}

/// How long Nexus took to be ready, from the start of its process.
async fn start_until_ready(crew: &mut Crew) -> Result<Duration> {
    let start = std::time::Instant::now();
    crew.cluster().restart_nexus()?;
    crew.ready(READY_LIMIT).await?;
    Ok(start.elapsed())
}

/// No acknowledged write is missing, so none may be reported as missing.
async fn no_alarm(crew: &mut Crew) -> Result<()> {
    let loss = crew.health_check("store_loss").await?;
    ensure!(loss.get("status").is_some_and(|status| status == "ok"), "{loss}");
    Ok(())
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let (middle, last) = (times.get(times.len() / 2), times.last());
    format!("{} rounds, ready after {middle:?} (median), {last:?} (longest)", times.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nexus_comes_back_by_itself_from_kill_9_under_load_with_every_acknowledged_write()
-> Result<()> {
    let mut crew = crew().keepers(5, 3).start().await?;
    let mut chance = Chance(u64::from(std::process::id()));
    let (mut all, mut times): (Vec<Acknowledged>, Vec<Duration>) = (Vec::new(), Vec::new());
    for round in 0..rounds()? {
        let writing = Writing::start(&crew.superuser()?, &format!("round-{round}"), WRITERS);
        let enough = usize::try_from(20 + chance.below(200))?;
        eventually("a load", PATIENCE, async || Ok((writing.count() >= enough).then_some(())))
            .await?;
        crew.nexus().kill().await?;
        let acknowledged = writing.finish().await;
        ensure!(acknowledged.len() >= enough, "the load ended before the crash");
        times.push(start_until_ready(&mut crew).await?);
        ledger::check(&crew.superuser()?, &acknowledged).await?;
        no_alarm(&mut crew).await?;
        all.extend(acknowledged);
    }
    ledger::check(&crew.superuser()?, &all).await?;
    println!("{} acknowledged writes are there", all.len());
    println!("kill -9: {}", summary(times));
    crew.stop().await
}

/// strace records what Nexus writes, truncates and syncs. The recording is replayed up to some moment; of writes that were not
/// synced by then, none, some or all are there. This shows that Nexus syncs what it acknowledges, that no write depends on one
/// that may reach the disk later, and that Nexus starts from every such state. It does not show that kernel and disk keep what
/// was synced. Without strace the test says that it is skipped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_loss_every_acknowledged_write_is_there_whatever_was_not_synced() -> Result<()>
{
    if !Recorder::possible().await {
        skipped("strace is missing or not allowed")?;
        return Ok(());
    }
    let mut crew = crew().keepers(3, 2).start().await?;
    let Some((recording, acknowledged)) = watched(&mut crew).await? else {
        skipped("strace is not let to see what Nexus writes")?;
        return Ok(());
    };
    ensure!(acknowledged.len() >= WATCHED_WRITES);
    assert_eq!(
        recording.files().into_iter().collect::<Vec<_>>(),
        ["nexus.commits", "nexus.db", "nexus.db-wal"]
    );
    let (moments, syncs) = (recording.moments(), recording.syncs());
    println!("{} writes acknowledged, {syncs} syncs among {moments} moments", acknowledged.len());

    let mut chance = Chance(u64::from(std::process::id()));
    let mut times = Vec::new();
    for round in 0..rounds()? {
        let moment = usize::try_from(chance.below(recording.moments() as u64))?;
        let unsynced = match round % 4 {
            0 => Unsynced::Gone,
            1 => Unsynced::Kept,
            _ => Unsynced::Some(chance.below(u64::MAX)),
        };
        put_back(&crew, &recording.after_power_loss(moment, unsynced))?;
        let at = recording.time(moment)?;
        let before: Vec<Acknowledged> =
            acknowledged.iter().filter(|write| write.at < at).cloned().collect();
        times.push(start_until_ready(&mut crew).await?);
        let checked = ledger::check(&crew.superuser()?, &before).await;
        checked
            .map_err(|error| error.context(format!("moment {moment}, unsynced {unsynced:?}")))?;
        no_alarm(&mut crew).await?;
        crew.nexus().kill().await?;
    }
    println!("power loss: {}", summary(times));

    // The simulation does lose writes: without any sync, everything is lost.
    let forgetful = recording.without_syncs();
    put_back(&crew, &forgetful.after_power_loss(moments, Unsynced::Gone))?;
    start_until_ready(&mut crew).await?;
    ledger::check(&crew.superuser()?, &acknowledged).await.unwrap_err();
    crew.stop().await
}

/// A recording of Nexus under load, and the writes that it acknowledged.
async fn watched(crew: &mut Crew) -> Result<Option<(Recording, Vec<Acknowledged>)>> {
    ensure!(crew.nexus().terminate().await?.success());
    let recorder = Recorder::install(crew).await?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let database = crew.dir().join("data/nexus.db");
    let untouched = fs::metadata(&database)?.modified()?;
    let writing = Writing::start(&crew.superuser()?, "watched", WRITERS);
    eventually("a checkpoint", PATIENCE, async || {
        let checkpoint = fs::metadata(&database)?.modified()? != untouched;
        Ok((checkpoint && writing.count() >= WATCHED_WRITES).then_some(()))
    })
    .await?;
    let seen = writing.count();
    eventually("a load after the checkpoint", PATIENCE, async || {
        Ok((writing.count() >= seen + WATCHED_WRITES).then_some(()))
    })
    .await?;
    crew.nexus().kill().await?;
    let acknowledged = writing.finish().await;
    Ok(recorder.finish(crew)?.map(|recording| (recording, acknowledged)))
}
