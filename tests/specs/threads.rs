//! The threads that serve (decision 0020), while a disk holds one of them up.

use std::{collections::BTreeMap, sync::Arc, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    eventually,
    raw::{Connection, Dialer},
    secrets::{put, value_of},
    skipped,
};
use tokio::time::{Instant, timeout};

use crate::{WORKLOAD, crew, scenario, store::TamperedCalls};

const LIST: &str = "/v1/store/secrets?action=list";
const GET: &str = "/v1/store/secrets?action=get";

/// How many new connections a thread takes at most that it does not begin with.
const WAITING: usize = 4;

/// A new connection whose request is answered in time. It stays open.
async fn answered(dialer: &Dialer) -> Result<Option<Connection>> {
    let answered = timeout(PATIENCE / 6, async {
        let mut connection = dialer.connect().await?;
        let answer = connection.post(GET, r#"{"path":"x"}"#).await?;
        ensure!(answer.status == 401, "{}", answer.status);
        Ok(connection)
    });
    answered.await.ok().transpose()
}

/// The one that the disk held had the fewest connections, so it got all new ones, until nobody was accepted.
#[tokio::test]
async fn a_thread_that_the_disk_holds_gets_few_of_the_new_connections() -> Result<()> {
    let mut cluster = scenario().setting("SPIKE_AUDIT_OPTIONAL", "true").start().await?;
    let dialer = Arc::new(cluster.dial_as(WORKLOAD)?);
    let pid = cluster.nexus().pid().context("no Nexus")?;
    let audit = cluster.nexus().audit().to_owned();
    let first = (pid, "serve-0");
    // For longer than the test.
    let injected = "delay_enter=600000000";
    let Some(held) = TamperedCalls::writes_of_thread(first, &audit, injected).await? else {
        return skipped("strace is missing or not allowed");
    };
    // It is held by the first line that it writes, and each thread writes one of these.
    let mut hanging = 0;
    for _ in 0..thread::available_parallelism()?.get().max(2) {
        hanging += usize::from(answered(&dialer).await?.is_none());
    }
    assert_eq!(hanging, 1);
    let tries = (0..40).map(|_| {
        let dialer = Arc::clone(&dialer);
        tokio::spawn(async move { answered(&dialer).await })
    });
    let mut served = Vec::new();
    for tried in tries.collect::<Vec<_>>() {
        served.extend(tried.await??);
    }
    assert!(served.len() >= 40 - WAITING, "{} of 40", served.len());
    drop(held);
    cluster.stop().await
}

/// The thread that writes what nobody waits for was flushing: its line made the audit log fail, and every request with it.
#[tokio::test]
async fn a_disk_that_takes_long_to_flush_fails_no_request_after_a_refused_handshake() -> Result<()>
{
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let file = dir.path().join("audit.log");
    let file = file.to_str().context("a path that is text")?;
    let mut cluster = scenario().setting("SPIKE_AUDIT_FILE", file).start().await?;
    let pid = cluster.nexus().pid().context("no Nexus")?;
    let mut operator = cluster.dial_as(SUPERUSER)?.connect().await?;
    let Some(slow) = TamperedCalls::syncs_of(pid, "delay_enter=12000000").await? else {
        return skipped("strace is missing or not allowed");
    };
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    let (mut refused, begun) = (false, Instant::now());
    // A flush begins within a second, and a line fails after three.
    while begun.elapsed() < Duration::from_secs(9) {
        *statuses.entry(operator.post(LIST, "{}").await?.status).or_default() += 1;
        *statuses.entry(cluster.telemetry("/readyz").await?.0).or_default() += 1;
        if !refused && begun.elapsed() > Duration::from_secs(2) {
            refused = true;
            let mut stranger = cluster.stranger().connect().await?;
            stranger.ended().await?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200], "{statuses:?}");
    assert!(std::fs::read_to_string(file)?.contains("handshake"));
    drop(slow);
    cluster.stop().await
}

/// Its request was dropped before the store had closed: the version was there, and the line said that it was given up.
#[tokio::test]
async fn a_put_that_the_end_of_the_drain_overtakes_is_recorded_as_what_became_of_it() -> Result<()>
{
    let mut crew = crew().setting("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "1s").start().await?;
    crew.superuser()?.put_secret(&put("a", &[("k", "before")])).await?;
    let Some(slow) = TamperedCalls::syncs(&mut crew, "delay_enter=4000000").await? else {
        return skipped("strace is missing or not allowed");
    };
    let client = crew.superuser()?;
    let writing =
        tokio::spawn(async move { client.put_secret(&put("a", &[("k", "after")])).await.is_ok() });
    let puts = |crew: &mut Crew| -> Result<Vec<String>> {
        let text = std::fs::read_to_string(crew.nexus().audit())?;
        let puts = text.lines().filter(|line| line.contains(r#""Subject":"a""#));
        Ok(puts.map(str::to_owned).collect())
    };
    eventually("the put is handed to the store", PATIENCE, async || {
        let in_flight = crew.metrics().await?.get("spike_requests_in_flight");
        Ok((in_flight == Some(1.0)).then_some(()))
    })
    .await?;
    crew.nexus().signal_term()?;
    timeout(PATIENCE, crew.nexus().wait()).await??;
    drop((slow, writing));
    let puts = puts(&mut crew)?;
    let last = puts.last().context("a line")?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a", 0, "k").await?, "after");
    assert!(puts.len() == 2 && last.contains(r#""Status":200"#), "{last}");
    crew.stop().await
}
