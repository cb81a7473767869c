//! Checks of the process itself: its start, its memory, its audit log.

use std::fs;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use spike_dev::cluster::Daemon;
use spike_tests::{PATIENCE, crew::Crew, eventually, skipped};

use super::course::{Course, Effect, entry, get};
use crate::{WORKLOAD, crew, store::TamperedCalls};

const GET: &str = "/v1/store/secrets?action=get";

/// A daemon that starts without the agent waits for its SVID, and says so.
#[tokio::test]
async fn a_daemon_that_waits_for_its_svid_is_starting_until_the_agent_is_back() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.cluster().workload_api().pause().await;
    let mut all = Vec::new();
    crew.nexus().kill().await?;
    crew.kill_keepers([1]).await?;
    for daemon in ["nexus", "keeper-1"] {
        all.push(Course::from_start(&crew, daemon, "serving", Effect::NotReady));
    }
    crew.cluster().restart_nexus()?;
    crew.cluster().restart_keeper(1)?;
    for course in &mut all {
        course.fails(&mut crew, "starting").await?;
    }
    for daemon in ["nexus", "keeper-1"] {
        let start = entry(&mut crew, daemon, "start").await?.context("no check of the start")?;
        ensure!(start["status"] == "failing", "{start}");
        let (status, body) = get(&mut crew, daemon, "/readyz").await?;
        ensure!(status == 503 && body.contains("not every check"), "{body}");
    }
    crew.cluster().workload_api().resume().await?;
    for course in all {
        course.recovers(&mut crew).await?;
    }
    for daemon in ["nexus", "keeper-1"] {
        ensure!(entry(&mut crew, daemon, "start").await?.is_none(), "{daemon} has started");
    }
    crew.stop().await
}

/// Every check was well, and half of the connections were not served.
#[tokio::test]
async fn a_thread_that_is_held_up_fails_its_check_until_it_runs() -> Result<()> {
    let mut crew = crew().start().await?;
    for daemon in ["nexus", "keeper-1"] {
        let mut threads =
            Course::of(&mut crew, daemon, "serving_threads", Effect::Degraded).await?;
        let known = crew.cluster().daemons().find(|known| known.name() == daemon);
        let pid = known.and_then(Daemon::pid).context("no process")?;
        let Some(held) = TamperedCalls::of_thread((pid, "serve-1"), "epoll_wait").await? else {
            return skipped("strace is missing or not allowed");
        };
        threads.fails(&mut crew, "1 of the").await?;
        drop(held);
        threads.recovers(&mut crew).await?;
    }
    crew.stop().await
}

/// A process cannot lock its memory later: what mends this check is a restart under a higher limit.
#[tokio::test]
async fn memory_that_may_not_be_locked_fails_its_check_until_a_restart_with_a_higher_limit()
-> Result<()> {
    let mut crew = crew().start().await?;
    // As root in a container without the capability.
    let script = r#"exec setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock prlimit --memlock=0 "$PROGRAM" "$@""#;
    for program in ["nexus", "keeper"] {
        crew.wrap(program, script).await?;
    }
    crew.nexus().kill().await?;
    crew.kill_keepers([1]).await?;
    let mut all = Vec::new();
    for daemon in ["nexus", "keeper-1"] {
        all.push(Course::from_start(&crew, daemon, "memory_locked", Effect::Degraded));
    }
    crew.restart_keepers([1]).await?;
    crew.start_nexus().await?;
    for course in &mut all {
        course.fails(&mut crew, "LimitMEMLOCK").await?;
    }
    for program in ["nexus", "keeper"] {
        crew.undo_wrap(program)?;
    }
    crew.kill_keepers([1]).await?;
    crew.restart_keepers([1]).await?;
    crew.crash_nexus().await?;
    for daemon in ["nexus", "keeper-1"] {
        // Not every machine permits locked memory, whatever the limit.
        let entry = entry(&mut crew, daemon, "memory_locked").await?.context("no check")?;
        ensure!(entry["status"] == "ok" || !may_lock(), "{entry}");
    }
    crew.stop().await
}

/// Whether this machine lets a process without a limit lock its memory.
fn may_lock() -> bool {
    let limit = rustix::process::getrlimit(Resource::Memlock);
    limit.maximum.is_none()
}

/// Lets no file of a daemon grow beyond the size of its audit log, or lifts that limit.
fn limit_files(crew: &mut Crew, daemon: &str, is_limited: bool) -> Result<()> {
    let daemon = crew.cluster().daemons().find(|known| known.name() == daemon);
    let daemon = daemon.context("no such daemon")?;
    let pid = daemon.pid().and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).context("no process")?;
    let (size, log) = (fs::metadata(daemon.audit())?.len(), fs::metadata(daemon.log())?.len());
    ensure!(log + 2000 < size || !is_limited, "the log of {log} bytes could not grow either");
    let none = Rlimit { current: None, maximum: None };
    let maximum = prlimit(Some(pid), Resource::Fsize, none)?.maximum;
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: is_limited.then_some(size), maximum })?;
    Ok(())
}

#[tokio::test]
async fn an_audit_log_that_may_not_grow_fails_its_check_until_it_may() -> Result<()> {
    let mut crew = crew().start().await?;
    let mut client = crew.dial_as(WORKLOAD)?.connect().await?;
    let mut nexus_to_keeper = crew.dial_keeper_as(1, "/spike/nexus")?.connect().await?;
    // The files may grow to the size of the audit log, and the other log needs some of that.
    for _ in 0..40 {
        client.post(GET, r#"{"path":"a"}"#).await?;
        nexus_to_keeper.post("/v1/store/shard", "{}").await?;
    }
    for daemon in ["nexus", "keeper-1"] {
        let mut audit = Course::of(&mut crew, daemon, "audit", Effect::NotReady).await?;
        limit_files(&mut crew, daemon, true)?;
        eventually("a request that fails", PATIENCE, async || {
            let answer = match daemon {
                "nexus" => client.post(GET, r#"{"path":"a"}"#).await?,
                _ => nexus_to_keeper.post("/v1/store/shard", "{}").await?,
            };
            Ok((answer.status == 500).then_some(()))
        })
        .await?;
        audit.fails(&mut crew, "the audit log cannot be written").await?;
        limit_files(&mut crew, daemon, false)?;
        audit.recovers(&mut crew).await?;
    }
    crew.stop().await
}

/// Lines were written, and no check failed until the daemon ended: a file that is renamed meanwhile would not have been followed.
#[tokio::test]
async fn a_disk_of_the_audit_log_that_holds_up_looks_fails_its_check_until_it_does_not()
-> Result<()> {
    let mut crew = crew().start().await?;
    let file = crew.dir().join("audit-file.log");
    crew.nexus().set("SPIKE_AUDIT_FILE", file.to_str().context("a path that is text")?);
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    let mut client = crew.dial_as(WORKLOAD)?.connect().await?;
    let mut audit = Course::of(&mut crew, "nexus", "audit", Effect::NotReady).await?;
    let pid = crew.nexus().pid().context("no Nexus")?;
    let Some(away) = TamperedCalls::of_files(pid, "statx", &[&file]).await? else {
        return skipped("strace is missing or not allowed");
    };
    audit.fails(&mut crew, "most likely the disk of the audit log hangs").await?;
    let before = fs::metadata(&file)?.len();
    ensure!(client.post(GET, r#"{"path":"a"}"#).await?.status == 401, "it is served");
    ensure!(fs::metadata(&file)?.len() > before, "its line is written");
    drop(away);
    audit.recovers(&mut crew).await?;
    crew.stop().await
}
