use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use super::*;
use crate::chain::{LineHash, Mark};
use crate::settings::{AuditSettings, AuditSync};

fn settings(path: &Path) -> AuditSettings {
    let (file, sync) = (Some(path.to_owned()), AuditSync::Interval);
    AuditSettings { file, standard_error: false, sync, optional: false }
}

fn start(settings: &AuditSettings) -> (AuditFile, AuditLog) {
    // The thread of a log that was dropped keeps the lock a little longer.
    let deadline = Instant::now() + Duration::from_mins(1);
    let (file, open, end) = loop {
        match AuditFile::open_chosen(settings) {
            Ok(opened) => break opened.unwrap(),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    (file, AuditLog::start(settings, Some((open, end))).unwrap())
}

fn refusal_of(path: &Path) -> String {
    crate::process::chain(&AuditFile::open_chosen(&settings(path)).unwrap_err())
}

/// The numbers of the lines of `texts`, which continue one chain in this order.
fn chained_numbers(texts: &[&str]) -> Vec<u64> {
    let text = texts.concat();
    let mut before = None;
    let check = |line: &str| {
        let mark = Mark::of(line.as_bytes())?;
        let previous = before.replace(line.to_owned());
        let expected = previous.map_or(LineHash::NONE, |line| LineHash::of(line.as_bytes()));
        assert_eq!(mark.previous, expected, "number {}", mark.number);
        Some(mark.number)
    };
    text.lines().filter_map(check).collect()
}

fn lines_in(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

#[tokio::test]
async fn a_file_is_made_for_its_owner_alone_and_lines_are_appended_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    for round in 1..=2 {
        let (_file, log) = start(&settings(&path));
        write(&log, 200).await.unwrap();
        drop(log);
        assert_eq!(lines_in(&path), 2 * round);
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_no_regular_file_is_refused_by_name_and_nothing_is_made_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    symlink(at("elsewhere"), at("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RWXU).unwrap();
    fs::create_dir(at("directory")).unwrap();
    for (path, reason) in [
        (at("link"), "it is a symbolic link"),
        (at("pipe"), "it is not a regular file"),
        (at("directory"), "Is a directory"),
        (at("missing/audit.log"), "No such file"),
        (PathBuf::from("/dev/null"), "it is not a regular file"),
    ] {
        let refusal = refusal_of(&path);
        assert!(refusal.contains(reason) && refusal.contains("SPIKE_AUDIT_FILE"), "{refusal}");
    }
    assert!(!at("elsewhere").exists() && !at("missing").exists());
}

#[test]
fn a_file_that_another_daemon_writes_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let _first = start(&settings(&path));
    assert!(refusal_of(&path).contains("another process writes to it"));
}

#[tokio::test]
async fn a_file_that_was_renamed_or_removed_is_made_again_and_no_line_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (path, renamed) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
    let (mut file, log) = start(&settings(&path));
    write(&log, 200).await.unwrap();
    fs::rename(&path, &renamed).unwrap();
    write(&log, 200).await.unwrap();
    file.follow(&log);
    log.flush();
    write(&log, 200).await.unwrap();
    file.follow(&log);
    log.flush();
    assert_eq!((lines_in(&renamed), lines_in(&path)), (3, 2));
    fs::remove_file(&path).unwrap();
    file.follow(&log);
    log.flush();
    write(&log, 200).await.unwrap();
    assert_eq!(lines_in(&path), 2);
}

#[tokio::test]
async fn lines_of_a_removed_file_that_cannot_be_made_again_fail_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("spike");
    fs::create_dir(&home).unwrap();
    let (mut file, log) = start(&settings(&home.join("audit.log")));
    fs::remove_dir_all(&home).unwrap();
    file.follow(&log);
    assert_eq!(log.accepts_changes(), Err(AuditError::Gone));
    assert_eq!(write(&log, 401).await, Err(AuditError::Gone));
    assert!(log.check().is_err());
    fs::create_dir(&home).unwrap();
    file.follow(&log);
    log.flush();
    assert_eq!(write(&log, 401).await, Ok(()));
    assert_eq!((log.accepts_changes(), log.check()), (Ok(()), Ok(())));
}

#[tokio::test]
async fn every_policy_of_flushing_writes_the_same_lines() {
    for sync in [AuditSync::Never, AuditSync::Interval, AuditSync::Each] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let (_file, log) = start(&AuditSettings { sync, ..settings(&path) });
        let all = futures_util::future::join_all((0..50).map(|_| write(&log, 200))).await;
        assert!(all.iter().all(Result::is_ok), "{sync:?}");
        assert_eq!(lines_in(&path), 51, "{sync:?}");
    }
}

#[tokio::test]
async fn a_line_of_two_outputs_fails_if_one_of_them_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let good = File::options().create(true).append(true).open(&path).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let log = AuditLog::to_both(good, full, false);
    assert_eq!(write(&log, 200).await, Err(AuditError::Write(Errno::NOSPC)));
    assert!(log.accepts_changes().is_err());
    assert_eq!(lines_in(&path), 1, "the other has the line");
}

#[tokio::test]
async fn an_optional_log_that_fails_stops_no_request_and_counts_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let good = File::create(dir.path().join("audit.log")).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let log = AuditLog::to_both(good, full, true);
    for _ in 0..3 {
        assert_eq!(write(&log, 401).await, Ok(()));
        assert_eq!(log.accepts_changes(), Ok(()));
    }
    log.flush();
    assert!(log.check().is_err(), "health says so all the same");
    let deadline = Instant::now() + Duration::from_mins(1);
    while metric(&log, "audit_lines_failed_total") < 3 {
        assert!(Instant::now() < deadline, "they are never counted");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_chain_goes_on_over_restarts_and_rotations_also_of_an_empty_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, renamed) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
    for _ in 0..2 {
        let (mut file, log) = start(&settings(&path));
        write(&log, 200).await.unwrap();
        if !renamed.exists() {
            fs::rename(&path, &renamed).unwrap();
            write(&log, 200).await.unwrap();
            file.follow(&log);
            log.flush();
            // No request comes before the end.
        }
    }
    let [old, new] = [&renamed, &path].map(|path| fs::read_to_string(path).unwrap());
    assert_eq!(chained_numbers(&[&old]), [1, 2, 3]);
    assert_eq!(chained_numbers(&[&old, &new]), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn behind_a_line_that_was_cut_off_a_whole_one_begins_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    drop(start(&settings(&path)));
    let whole = fs::read_to_string(&path).unwrap();
    let cut = format!("{whole}{}", &whole[..50]);
    fs::write(&path, &cut).unwrap();
    drop(start(&settings(&path)));
    let text = fs::read_to_string(&path).unwrap();
    let behind = text.strip_prefix(&format!("{cut}\n")).unwrap();
    let mark = Mark::of(behind.as_bytes()).unwrap();
    assert_eq!((mark.number, mark.previous), (3, LineHash::of(&whole.as_bytes()[..50])));
    let line: Value = serde_json::from_str(behind).unwrap();
    assert_eq!(line["audit"]["Err"], "the line before this one was cut off");
}

#[tokio::test]
async fn behind_lines_of_something_else_a_new_chain_begins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    fs::write(&path, "of another program\n").unwrap();
    drop(start(&settings(&path)));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(chained_numbers(&[&text]), [1]);
}

#[tokio::test]
async fn the_head_is_the_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let (_file, log) = start(&settings(&path));
    write(&log, 200).await.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let [("file", head)] = log.heads()[..] else { panic!("{:?}", log.heads()) };
    assert_eq!(
        (head.number, head.hash),
        (2, LineHash::of(text.lines().last().unwrap().as_bytes()))
    );
}
