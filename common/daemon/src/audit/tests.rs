use std::{
    fs::File,
    io::{self, BufRead, PipeReader, Read},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use prometheus_client::{encoding::text, registry::Registry};
use rustix::io::Errno;
use serde_json::Value;
use time::OffsetDateTime;

use super::*;

mod file;

fn piped() -> (PipeReader, AuditLog) {
    let (reader, writer) = io::pipe().unwrap();
    (reader, AuditLog::to_file(File::from(OwnedFd::from(writer))).unwrap())
}

fn full_disk() -> AuditLog {
    AuditLog::to_file(File::options().write(true).open("/dev/full").unwrap()).unwrap()
}

fn write(log: &AuditLog, status: u16) -> PendingAuditLine {
    let id = RequestId::generate();
    let entry = Entry {
        component: "",
        trail_id: &id,
        arrived: OffsetDateTime::UNIX_EPOCH,
        peer: "spiffe://spike.ist/workload/app1",
        action: "read",
        path: "/v1/store/secrets",
        query: "",
        query_left_out: 0,
        subject: None,
        status,
        is_change: status == 200,
        error: None,
        duration: Duration::ZERO,
    };
    log.write(&entry, OffsetDateTime::UNIX_EPOCH)
}

fn refuse(log: &AuditLog) {
    log.write_refusal(&Refusal {
        action: "handshake",
        address: "192.0.2.7:4711".parse().unwrap(),
        spiffe_id: None,
        is_verified: false,
        status: 0,
        reason: "the certificate has ended",
    });
}

/// The records of all lines until the log is dropped.
fn records(mut reader: PipeReader) -> Vec<Value> {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let record = |line: &str| serde_json::from_str::<Value>(line).unwrap()["audit"].clone();
    text.lines().map(record).collect()
}

fn metric(log: &AuditLog, name: &str) -> u64 {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(AuditMetrics(log.clone())));
    let mut out = String::new();
    text::encode(&mut out, &registry).unwrap();
    let value = out.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    value.unwrap_or_else(|| panic!("no {name} in {out}")).parse().unwrap()
}

#[tokio::test]
async fn a_future_of_a_line_may_outlive_the_log() {
    let (reader, log) = piped();
    let writing = write(&log, 200);
    let task = tokio::spawn(writing);
    drop(log);
    task.await.unwrap().unwrap();
    assert_eq!(records(reader)[0]["Status"], 200);
}

#[tokio::test]
async fn while_the_log_fails_no_change_may_begin_and_health_and_metrics_say_so() {
    let log = full_disk();
    assert_eq!(log.accepts_changes(), Ok(()), "nothing was written yet");
    assert_eq!(write(&log, 200).await, Err(AuditError::Write(Errno::NOSPC)));
    // The failure lasts beyond the request that saw it.
    for _ in 0..3 {
        assert_eq!(log.accepts_changes(), Err(AuditError::Write(Errno::NOSPC)));
    }
    let reason = log.check().unwrap_err();
    assert!(reason.contains("cannot be written") && reason.contains("No space left"), "{reason}");
    assert_eq!(metric(&log, "audit_failing"), 1);
    // The line is counted just after its future ends.
    let counted = async {
        while metric(&log, "audit_lines_failed_total") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), counted).await.unwrap();
    assert_eq!(metric(&log, "audit_lines_failed_total"), 1);
    assert_eq!(metric(&log, "audit_lines_written_total"), 0);
}

#[tokio::test]
async fn after_the_mend_changes_may_begin_again_and_the_gap_is_in_the_log() {
    let log = full_disk();
    assert!(write(&log, 401).await.is_err());
    let (reader, writer) = io::pipe().unwrap();
    log.reopen(File::from(OwnedFd::from(writer)));
    until_mended(&log).await;
    assert_eq!(log.check(), Ok(()));
    write(&log, 204).await.unwrap();
    // The line about the gap is one of them.
    assert_eq!(metric(&log, "audit_lines_written_total"), 2);
    assert_eq!(metric(&log, "audit_failing"), 0);
    drop(log);
    let records = records(reader);
    assert_eq!(records[0]["Action"], "gap");
    assert_eq!(records[0]["State"], "audit-errored");
    let error = records[0]["Err"].as_str().unwrap();
    assert!(error.starts_with("lines missing here, or written late: 1;"), "{error}");
    assert_eq!(records[1]["Status"], 204);
}

#[tokio::test]
async fn the_line_of_a_change_that_was_made_is_not_lost_with_the_disk() {
    let log = full_disk();
    assert!(write(&log, 200).await.is_err(), "the change is answered with an error");
    assert!(write(&log, 401).await.is_err());
    let (reader, writer) = io::pipe().unwrap();
    log.reopen(File::from(OwnedFd::from(writer)));
    until_mended(&log).await;
    drop(log);
    let records = records(reader);
    assert_eq!(records[0]["Status"], 200);
    let error = records[1]["Err"].as_str().unwrap();
    assert!(error.starts_with("lines missing here, or written late: 1;"), "{error}");
    assert_eq!(records.len(), 2);
}

/// A file system of 1 MiB, in the mount namespace of a process that keeps it.
struct SmallDisk {
    keeper: std::process::Child,
    root: PathBuf,
}

impl SmallDisk {
    /// `None` if this user may not mount anything.
    fn mount() -> Option<Self> {
        let mount = "mount -t tmpfs -o size=1m none /mnt && echo mounted && read _";
        let mut keeper = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", mount])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        io::BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let root = PathBuf::from(format!("/proc/{}/root/mnt", keeper.id()));
        let disk = Self { keeper, root };
        (line == "mounted\n").then_some(disk)
    }

    /// Uses all space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.root.join("filler");
        let mut file = File::create(&path).unwrap();
        while io::Write::write(&mut file, &[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.keeper.kill().unwrap();
        self.keeper.wait().unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_is_full_refuses_changes_while_lines_can_still_be_written() {
    let Some(disk) = SmallDisk::mount() else {
        let is_gate = std::env::vars_os().any(|(name, value)| name == "CI" && value == "true");
        assert!(
            !is_gate,
            "under CI=true every test must run, and this user may not mount a file system"
        );
        println!("skipped: this user may not mount a file system");
        return;
    };
    let log = AuditLog::to_file(File::create(disk.root.join("audit.log")).unwrap()).unwrap();
    let filler = disk.fill();
    // The reserved space is enough for more than 300 lines.
    for _ in 0..300 {
        write(&log, 200).await.unwrap();
        assert_eq!(log.accepts_changes(), Ok(()));
    }
    let mut lines = 300;
    while log.accepts_changes().is_ok() {
        write(&log, 200).await.unwrap();
        lines += 1;
        assert!(lines < 1000, "the disk was full before");
    }
    assert_eq!(log.accepts_changes(), Err(AuditError::NoSpaceAhead(Errno::NOSPC)));
    assert!(log.check().is_err());
    for _ in 0..100 {
        write(&log, 200).await.unwrap();
    }
    std::fs::remove_file(filler).unwrap();
    until_mended(&log).await;
    drop(log);
    let text = std::fs::read_to_string(disk.root.join("audit.log")).unwrap();
    assert_eq!(text.lines().count(), lines + 100, "nothing was lost");
}

/// Waits until the failure ends, without a further line.
async fn until_mended(log: &AuditLog) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while log.accepts_changes().is_err() {
        assert!(Instant::now() < deadline, "the failure never ends");
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_reader_that_closes_its_end_is_noticed_without_any_line() {
    let (reader, log) = piped();
    drop(reader);
    let deadline = Instant::now() + Duration::from_mins(1);
    while log.check().is_ok() {
        assert!(Instant::now() < deadline, "it is never noticed");
        std::thread::yield_now();
    }
    assert_eq!(log.accepts_changes(), Err(AuditError::Write(Errno::PIPE)));
}

#[test]
fn a_flood_of_refused_handshakes_writes_a_hundred_lines_and_a_count() {
    let (reader, log) = piped();
    let reading = std::thread::spawn(move || records(reader));
    for _ in 0..1000 {
        refuse(&log);
    }
    log.tick(Instant::now() + Duration::from_secs(1));
    drop(log);
    let records = reading.join().unwrap();
    let line = records.iter().filter(|record| record["Action"] == "handshake").count();
    let counts = records.iter().filter(|record| record["Action"] == "refused").map(|record| {
        let error = record["Err"].as_str().unwrap();
        error.split_once(" more refused").unwrap().0.parse::<usize>().unwrap()
    });
    assert_eq!(line + counts.sum::<usize>(), 1000, "none is forgotten");
    // A machine that is busy may take more than a second for them.
    assert!(line < 1000, "{line}");
}

#[tokio::test]
async fn refusals_are_lines_among_the_others_and_nobody_waits_for_them() {
    let (reader, log) = piped();
    write(&log, 200).await.unwrap();
    refuse(&log);
    write(&log, 200).await.unwrap();
    drop(log);
    let actions: Vec<Value> =
        records(reader).iter().map(|record| record["Action"].clone()).collect();
    assert_eq!(actions, ["read", "handshake", "read"]);
}
