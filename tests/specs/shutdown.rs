//! The end of Nexus (design 5): requests in flight finish, new ones are refused, and the exit status shows the result.

use std::{io, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use spike_tests::{
    PATIENCE, Running, SUPERUSER, eventually,
    raw::Connection,
    secrets::{put, value_of},
    skipped,
};
use tokio::{net::TcpStream, time::timeout};

use crate::{crew, scenario, store::TamperedCalls};

const LIST: &str = "/v1/store/secrets?action=list";

/// The bound on the drain in these tests.
const DRAIN: Duration = Duration::from_secs(10);

/// The beginning of a request that ends with `{}`.
fn head_of_list() -> String {
    format!("POST {LIST} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
}

/// Begins a request of which one byte is missing, and waits until Nexus waits for the rest of it: what arrives together
/// with a signal may come too late.
async fn begin(connection: &mut Connection) -> Result<()> {
    let head = head_of_list().replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    connection.send(head).await?;
    assert_eq!(connection.answer_without_body().await?.status, 100);
    connection.send("{").await
}

/// Waits until nobody listens there.
async fn closed(address: SocketAddr) -> Result<()> {
    eventually("a closed port", PATIENCE, async || match TcpStream::connect(address).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Some(())),
        // It was in the queue of the port when that closed.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(None),
    })
    .await
}

/// Waits for the end of Nexus, which must come within the bound.
async fn exit_status(cluster: &mut Running) -> Result<Option<i32>> {
    let limit = DRAIN + Duration::from_secs(5);
    Ok(timeout(limit, cluster.nexus().wait()).await??.code())
}

#[tokio::test]
async fn a_request_in_flight_finishes_while_new_connections_are_refused() -> Result<()> {
    let mut cluster = scenario().setting("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "10s").start().await?;
    let dialer = cluster.dial_as(SUPERUSER)?;
    let mut in_flight = dialer.connect().await?;
    assert_eq!(in_flight.exchange(head_of_list() + "{}").await?.status, 200);
    begin(&mut in_flight).await?;
    let mut idle = dialer.connect().await?;
    assert_eq!(idle.exchange(head_of_list() + "{}").await?.status, 200);

    cluster.nexus().signal_term()?;
    closed(dialer.address()).await?;
    idle.ended().await?;
    let answer = in_flight.exchange("}").await?;
    assert_eq!(answer.status_and_body(), (200, r#"{"keys":[]}"#));
    assert_eq!(answer.header("connection"), Some("close"));
    in_flight.ended().await?;
    assert_eq!(exit_status(&mut cluster).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_answer_is_whole_and_the_end_is_a_clean_one() -> Result<()> {
    let mut cluster = scenario().setting("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "10s").start().await?;
    let load = cluster.load(&cluster.credential(SUPERUSER)?.source()?, 4, 4)?;
    eventually("a load", PATIENCE, async || {
        let tally = load.tally().await;
        ensure!(tally.failed == 0, "{:?}", tally.failures);
        Ok((tally.kept > 20 && tally.new > 20).then_some(()))
    })
    .await?;
    cluster.nexus().signal_term()?;
    assert_eq!(exit_status(&mut cluster).await?, Some(0));
    let tally = load.finish().await;
    assert!(tally.failed > 0, "the load went on after the end");
    for failure in &tally.failures {
        // Either no connection, or the connection ends without an answer. Never a wrong status or half an answer.
        let refused = failure.contains("cannot connect to")
            || failure.contains("the TLS handshake with")
            || failure.contains("the server ended the connection without an answer");
        assert!(refused, "{failure}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for_and_the_end_is_a_clean_one() -> Result<()> {
    let mut cluster = scenario().setting("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "10s").start().await?;
    let mut stuck = cluster.dial_as(SUPERUSER)?.connect().await?;
    assert_eq!(stuck.exchange(head_of_list() + "{}").await?.status, 200);
    begin(&mut stuck).await?;
    closed_after_term(&mut cluster).await?;
    let answer = stuck.answer().await?;
    assert_eq!(answer.status_and_body(), (503, r#"{"keys":null,"err":"state_not_ready"}"#));
    assert_eq!(exit_status(&mut cluster).await?, Some(0));
    Ok(())
}

async fn closed_after_term(cluster: &mut Running) -> Result<()> {
    let address = cluster.stranger().address();
    cluster.nexus().signal_term()?;
    closed(address).await
}

#[tokio::test]
async fn nexus_starts_again_where_it_was() -> Result<()> {
    let mut cluster = scenario().start().await?;
    assert!(cluster.terminate().await?.success());
    cluster.restart_nexus().await?;
    assert_eq!(cluster.post(LIST, "{}").await?.status_and_body(), (200, r#"{"keys":[]}"#));
    cluster.stop().await
}

#[tokio::test]
async fn sighup_sigusr1_and_sigusr2_do_not_end_nexus() -> Result<()> {
    let mut cluster = scenario().start().await?;
    let pid = cluster.nexus().pid().context("Nexus has ended")?;
    let pid = Pid::from_raw(i32::try_from(pid)?).context("no process number")?;
    let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
        kill_process(pid, signal)?;
        assert_eq!(connection.exchange(head_of_list() + "{}").await?.status, 200, "{signal:?}");
    }
    // A signal that ends a process may do so a moment later, but its status then says so.
    cluster.nexus().signal_term()?;
    assert_eq!(exit_status(&mut cluster).await?, Some(0));
    Ok(())
}

/// Nexus waited for that commit for ever, and said that no Keeper held its share.
#[tokio::test]
async fn a_commit_that_hangs_does_not_hold_up_the_end_and_the_next_start_reads_the_log()
-> Result<()> {
    let mut crew = crew().setting("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "1s").start().await?;
    crew.keepers_good().await?;
    crew.superuser()?.put_secret(&put("a", &[("k", "before")])).await?;
    let pid = crew.nexus().pid().context("no Nexus")?;
    let Some(away) = TamperedCalls::syncs(&mut crew, "delay_enter=600000000").await? else {
        return skipped("strace is missing or not allowed");
    };
    let client = crew.superuser()?;
    let writing =
        tokio::spawn(async move { client.put_secret(&put("a", &[("k", "after")])).await });
    away.held(pid).await?;
    crew.nexus().signal_term()?;
    eventually("a Nexus without a key", PATIENCE, async || {
        let key = crew.health_check("root_key").await?;
        Ok(key["reason"].as_str().is_some_and(|why| why.contains("ending")).then_some(()))
    })
    .await?;
    let quorum = crew.health_check("quorum").await?;
    assert_eq!(quorum["status"], "ok", "{quorum}");
    away.sees_the_end(pid, Duration::from_secs(25)).await?;
    assert_eq!(crew.nexus().wait().await?.code(), Some(1));
    assert!(writing.await?.is_err(), "it was not committed");
    let log = crew.log("nexus")?;
    assert!(log.contains("read at the next start"), "{log}");
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let value = value_of(&crew.superuser()?, "a", 0, "k").await?;
    assert!(["before", "after"].contains(&value.as_str()), "{value}");
    crew.stop().await
}

/// Its checks looked at that directory on the threads that the end needs.
#[tokio::test]
async fn a_data_directory_that_hangs_does_not_hold_up_the_end() -> Result<()> {
    let mut crew = crew().setting("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "1s").start().await?;
    let pid = crew.nexus().pid().context("no Nexus")?;
    let database = crew.dir().join("data/nexus.db");
    let Some(away) = TamperedCalls::of_files(pid, "statx", &[&database]).await? else {
        return skipped("strace is missing or not allowed");
    };
    away.held(pid).await?;
    for path in ["/healthz", "/readyz", "/metrics", "/livez"] {
        timeout(PATIENCE, crew.nexus().get(path)).await??;
    }
    crew.nexus().signal_term()?;
    away.sees_the_end(pid, Duration::from_secs(25)).await
}

/// The look was taken by the very thread that waited for the signal.
#[tokio::test]
async fn a_data_directory_that_hangs_at_the_start_does_not_hold_up_the_end() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.nexus().kill().await?;
    crew.wrap("nexus", r#"kill -STOP $$; exec "$PROGRAM" "$@""#).await?;
    // It serves nothing, so nobody waits for that.
    ensure!(timeout(Duration::ZERO, crew.start_nexus()).await.is_err(), "it serves");
    let pid = crew.nexus().pid().context("no Nexus")?;
    eventually("a program that is stopped", PATIENCE, async || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(status.contains("State:\tT").then_some(()))
    })
    .await?;
    let database = crew.dir().join("data/nexus.db");
    let away = TamperedCalls::of_files(pid, "statx", &[&database]).await?;
    kill_process(Pid::from_raw(i32::try_from(pid)?).context("no process number")?, Signal::CONT)?;
    let Some(away) = away else { return skipped("strace is missing or not allowed") };
    away.held(pid).await?;
    crew.sealed_because("the data directory does not answer").await?;
    crew.nexus().signal_term()?;
    away.sees_the_end(pid, Duration::from_secs(25)).await
}

/// The daemon looks at that file once a second, and its end waited for the look for ever.
#[tokio::test]
async fn a_disk_of_the_audit_log_that_hangs_does_not_hold_up_the_end() -> Result<()> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let file = dir.path().join("audit.log");
    let path = file.to_str().context("a path that is text")?;
    let cluster = scenario().setting("SPIKE_AUDIT_FILE", path);
    let mut cluster = cluster.setting("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "10s").start().await?;
    let pid = cluster.nexus().pid().context("no Nexus")?;
    let Some(away) = TamperedCalls::of_files(pid, "statx", &[&file]).await? else {
        return skipped("strace is missing or not allowed");
    };
    away.held(pid).await?;
    cluster.nexus().signal_term()?;
    away.sees_the_end(pid, DRAIN + Duration::from_secs(10)).await?;
    assert_eq!(exit_status(&mut cluster).await?, Some(1));
    let log = std::fs::read_to_string(cluster.nexus().log())?;
    assert!(log.contains("it is left behind"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_nexus_at_once() -> Result<()> {
    let mut cluster = scenario().setting("SPIKE_HTTP_SERVER_DRAIN_TIMEOUT", "10m").start().await?;
    let mut stuck = cluster.dial_as(SUPERUSER)?.connect().await?;
    assert_eq!(stuck.exchange(head_of_list() + "{}").await?.status, 200);
    begin(&mut stuck).await?;
    closed_after_term(&mut cluster).await?;
    cluster.nexus().signal_term()?;
    assert_eq!(exit_status(&mut cluster).await?, Some(1));
    Ok(())
}
