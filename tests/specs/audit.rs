//! The files of log and audit log (design 5 and 6). A rotation loses no line, a full disk is noticed, and data of a peer neither
//! fills nor corrupts them.

mod evidence;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use spike_tests::{PATIENCE, Running, SUPERUSER, eventually};

use crate::{WORKLOAD, scenario};

const LIST: &str = "/v1/store/secrets?action=list";

fn pid_of_nexus(cluster: &mut Running) -> Result<Pid> {
    let pid = cluster.nexus().pid().context("Nexus has ended")?;
    Pid::from_raw(i32::try_from(pid)?).context("no process number")
}

/// Renames both files and sends SIGHUP, as logrotate does. Waits until both are there again.
async fn rotate(cluster: &mut Running, number: u32) -> Result<()> {
    let files = [cluster.nexus().log().to_owned(), cluster.nexus().audit().to_owned()];
    for file in &files {
        fs::rename(file, rotated(file, number))?;
    }
    kill_process(pid_of_nexus(cluster)?, Signal::HUP)?;
    eventually("both files, opened again", PATIENCE, async || {
        Ok(files.iter().all(|file| file.exists()).then_some(()))
    })
    .await
}

fn rotated(file: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", file.display()))
}

/// The records of a file, each of whose lines must be whole.
fn records(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path)?;
    ensure!(
        text.is_empty() || text.ends_with('\n'),
        "{} ends with a part of a line",
        path.display()
    );
    let record = |line: &str| serde_json::from_str::<Value>(line).context(line.to_owned());
    text.lines().map(record).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_with_sighup_loses_no_line_while_requests_go_on() -> Result<()> {
    let mut cluster = scenario().start().await?;
    let (done, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut connection = cluster.dial_as(SUPERUSER)?.connect().await?;
        let (done, ended) = (Arc::clone(&done), Arc::clone(&ended));
        clients.push(tokio::spawn(async move {
            let mut ids = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let answer = connection.post(LIST, "{}").await?;
                ensure!(answer.status == 200, "{answer:?}");
                ids.push(answer.request_id()?.to_owned());
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(ids)
        }));
    }
    for number in 1..=2 {
        let before = done.load(Ordering::Relaxed);
        let more = async || Ok((done.load(Ordering::Relaxed) > before + 50).then_some(()));
        eventually("requests", PATIENCE, more).await?;
        rotate(&mut cluster, number).await?;
    }
    let audit = cluster.nexus().audit().to_owned();
    // The newest file receives lines too.
    eventually("a line in the newest file", PATIENCE, async || {
        Ok((fs::metadata(&audit)?.len() > 0).then_some(()))
    })
    .await?;
    ended.store(true, Ordering::Relaxed);
    let mut answered = BTreeSet::new();
    for client in clients {
        answered.extend(client.await??);
    }
    let log = cluster.nexus().log().to_owned();
    eventually("a log line in the newest file", PATIENCE, async || {
        Ok(fs::read_to_string(&log)?.contains("opened again after SIGHUP").then_some(()))
    })
    .await?;

    let mut written = BTreeSet::new();
    for file in [rotated(&audit, 1), rotated(&audit, 2), audit] {
        for record in records(&file)? {
            let id = record.pointer("/audit/TrailID").and_then(Value::as_str).unwrap_or_default();
            assert!(written.insert(id.to_owned()), "{id} has two lines");
        }
    }
    assert!(answered.is_subset(&written), "{:?}", answered.difference(&written).next());
    for file in [rotated(&log, 1), rotated(&log, 2), log] {
        records(&file)?;
    }
    cluster.stop().await
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_again_goes_on_in_the_old_one_with_a_warning() -> Result<()> {
    let mut cluster = scenario().start().await?;
    let audit = cluster.nexus().audit().to_owned();
    fs::rename(&audit, rotated(&audit, 1))?;
    fs::create_dir(&audit)?;
    kill_process(pid_of_nexus(&mut cluster)?, Signal::HUP)?;
    eventually("a warning", PATIENCE, async || {
        Ok(cluster.log()?.contains("cannot be opened again after SIGHUP").then_some(()))
    })
    .await?;
    let answer = cluster.post(LIST, "{}").await?;
    assert_eq!(answer.status, 200);
    assert!(fs::read_to_string(rotated(&audit, 1))?.contains(answer.request_id()?));
    cluster.stop().await
}

/// Lets the files of Nexus grow by that much beyond the size of its audit log, and no more.
fn leave_space(cluster: &mut Running, bytes: Option<u64>) -> Result<()> {
    let size = fs::metadata(cluster.nexus().audit())?.len();
    let pid = pid_of_nexus(cluster)?;
    let maximum =
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: None, maximum: None })?.maximum;
    let current = bytes.map(|bytes| size + bytes);
    prlimit(Some(pid), Resource::Fsize, Rlimit { current, maximum })?;
    Ok(())
}

#[tokio::test]
async fn a_full_disk_fails_requests_and_readiness_and_is_taken_back_when_there_is_space()
-> Result<()> {
    let mut cluster = scenario().start().await?;
    let mut client = cluster.dial_as(SUPERUSER)?.connect().await?;
    assert_eq!(client.post(LIST, "{}").await?.status, 200);
    leave_space(&mut cluster, Some(20_000))?;
    eventually("a request that fails", PATIENCE, async || {
        Ok((client.post(LIST, "{}").await?.status == 500).then_some(()))
    })
    .await?;
    // This is noticed even while no request arrives.
    let (status, body) = cluster.telemetry("/readyz").await?;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("the audit log cannot be written"), "{body}");
    let metrics = cluster.metrics().await?;
    assert_eq!(metrics.get("spike_audit_failing"), Some(1.0));
    let failed = metrics.get("spike_audit_lines_failed_total");
    assert!(failed.is_some_and(|failed| failed >= 1.0), "{failed:?}");

    leave_space(&mut cluster, None)?;
    // The trouble ends without any request.
    eventually("a ready Nexus", PATIENCE, async || {
        Ok((cluster.telemetry("/readyz").await?.0 == 200).then_some(()))
    })
    .await?;
    assert_eq!(client.post(LIST, "{}").await?.status, 200);
    let lines = records(cluster.nexus().audit())?;
    let gap = lines.iter().find(|line| line.pointer("/audit/Action") == Some(&"gap".into()));
    let error = gap.context("no line about the gap")?.pointer("/audit/Err");
    assert!(
        error.and_then(Value::as_str).is_some_and(|text| text.starts_with("lines missing here"))
    );
    cluster.stop().await
}

#[tokio::test]
async fn what_a_workload_without_rights_sends_is_clipped_in_the_audit_log() -> Result<()> {
    let cluster = scenario().start().await?;
    let path = "x".repeat(20_000);
    let refused = cluster.post_as(WORKLOAD, &format!("/v1/{path}?{path}"), "{}").await?;
    let line = cluster.audit_of(refused.request_id()?)?;
    for (field, prefix) in [("Path", "/v1/x"), ("Resource", "xxx")] {
        let text = line.get(field).as_str().unwrap_or_default();
        assert!(text.starts_with(prefix) && text.len() < 600, "{field}: {}", text.len());
        assert!(text.ends_with(" bytes]"), "{text}");
    }
    let hostile = cluster.post_as(WORKLOAD, "/v1/%7F%C2%9B31m%E2%80%AE?x", "{}").await?;
    let text = cluster.audit_text()?;
    let line = text.lines().find(|line| hostile.request_id().is_ok_and(|id| line.contains(id)));
    let line = line.context("no line")?;
    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
    assert!(line.contains(r"/v1/\u007f\u009b31m\u202e"), "{line}");
    cluster.stop().await
}
