//! A disk of the data that hangs, as a network file system does that is away.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    eventually,
    raw::Answer,
    secrets::{put, value_of},
    skipped,
};
use tokio::{task::JoinSet, time::timeout};

use super::TamperedCalls;
use crate::{WORKLOAD, crew};

const GET: &str = "/v1/store/secrets?action=get";
const EXPLAIN: &str = "/v1/acl/policy?action=explain";

/// How many reads of what is not in memory hang at the same time, at first and then.
const HANGING: [usize; 2] = [2, 8];

/// More than a page of the database, and too short for threads of its own.
const LONG: usize = 10_000;

/// A crew with one value in memory and many that are not, and strace, which holds up every read of the files of the database.
async fn with_hanging_disk(setting: (&str, &str)) -> Result<Option<(Crew, TamperedCalls)>> {
    let mut crew = crew().setting(setting.0, setting.1).start().await?;
    let superuser = crew.superuser()?;
    // Each has pages of its own.
    let long = "v".repeat(LONG);
    for number in 0..HANGING.iter().sum() {
        superuser.put_secret(&put(&cold(number), &[("k", &long)])).await?;
    }
    superuser.put_secret(&put("kept", &[("k", "v")])).await?;
    assert_eq!(value_of(&superuser, "kept", 0, "k").await?, "v");
    let pid = crew.nexus().pid().context("no Nexus")?;
    let files = ["data/nexus.db", "data/nexus.db-wal"].map(|file| crew.dir().join(file));
    let away = TamperedCalls::of_files(pid, "pread64", &[&files[0], &files[1]]).await?;
    Ok(away.map(|away| (crew, away)))
}

fn cold(number: usize) -> String {
    format!("cold/{number}")
}

/// A request on a connection of its own.
async fn post(crew: &Crew, id: &str, target: &str, body: &str) -> Result<Answer> {
    crew.dial_as(id)?.connect().await?.post(target, body).await
}

/// Begins a read of a value that is not in memory.
fn begin_read(reads: &mut JoinSet<Result<Answer>>, crew: &Crew, number: usize) -> Result<()> {
    let dialer = crew.dial_as(SUPERUSER)?;
    let body = format!(r#"{{"path":"{}"}}"#, cold(number));
    reads.spawn(async move { dialer.connect().await?.post(GET, &body).await });
    Ok(())
}

/// Whatever needs no disk is answered, on new connections. For a moment one may be given to a thread that is held.
async fn others_are_served(crew: &Crew) -> Result<()> {
    let explain = r#"{"spiffeId":"spiffe://example.org/x","path":"a","permission":"read"}"#;
    for (what, id, target, body, status) in [
        ("a kept read", SUPERUSER, GET, r#"{"path":"kept"}"#, 200),
        ("a denial", WORKLOAD, GET, r#"{"path":"kept"}"#, 401),
        ("a question of an operator", SUPERUSER, EXPLAIN, explain, 200),
    ] {
        eventually(what, PATIENCE, async || {
            let asked = timeout(PATIENCE / 6, post(crew, id, target, body)).await;
            let Ok(answer) = asked else { return Ok(None) };
            let answer = answer?;
            ensure!(answer.status == status, "{what}: {} {}", answer.status, answer.body);
            Ok(Some(()))
        })
        .await?;
    }
    let status = timeout(PATIENCE, crew.status()).await??;
    ensure!(!status.sealed && status.root_key.is_some(), "{status:?}");
    Ok(())
}

/// As many such reads as there are threads that serve held them all, and nobody got in any more.
#[tokio::test]
async fn whatever_needs_no_disk_is_served_while_reads_hang_and_they_end_once_the_disk_is_back()
-> Result<()> {
    let Some((mut crew, away)) = with_hanging_disk(("SPIKE_NEXUS_LOG_LEVEL", "info")).await? else {
        return skipped("strace is missing or not allowed");
    };
    let pid = crew.nexus().pid().context("no Nexus")?;
    let (mut reads, mut begun) = (JoinSet::new(), 0);
    for count in HANGING {
        for number in begun..begun + count {
            begin_read(&mut reads, &crew, number)?;
        }
        begun += count;
        away.held(pid).await?;
        others_are_served(&crew).await?;
    }
    // Those that no thread waits for are answered.
    let refused = timeout(PATIENCE, reads.join_next()).await?.context("a read")???;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("busy: the disk of the store has not answered"));
    others_are_served(&crew).await?;
    drop(away);
    let mut answered = 0;
    while let Some(read) = timeout(PATIENCE, reads.join_next()).await? {
        let answer = read??;
        assert!([200, 503].contains(&answer.status), "{} {}", answer.status, answer.body);
        answered += usize::from(answer.status == 200);
    }
    assert!(answered > 0, "the one that holds a thread");
    for number in 0..begun {
        assert_eq!(value_of(&crew.superuser()?, &cold(number), 0, "k").await?.len(), LONG);
    }
    crew.stop().await
}

#[tokio::test]
async fn reads_that_hang_do_not_hold_up_the_end() -> Result<()> {
    let drain = ("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "1s");
    let Some((mut crew, away)) = with_hanging_disk(drain).await? else {
        return skipped("strace is missing or not allowed");
    };
    let pid = crew.nexus().pid().context("no Nexus")?;
    let mut reads = JoinSet::new();
    for number in 0..HANGING.iter().sum() {
        begin_read(&mut reads, &crew, number)?;
    }
    away.held(pid).await?;
    crew.nexus().signal_term()?;
    away.sees_the_end(pid, Duration::from_secs(25)).await
}
