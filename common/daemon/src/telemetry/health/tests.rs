//! Health checks and their record.

use std::sync::atomic::{AtomicBool, Ordering};

use time::Duration;

use super::*;
use crate::telemetry::probe::PANICKED;

const NOON: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn health(effect: Effect) -> (Health, Arc<AtomicBool>) {
    let health = Health::default();
    health.complete();
    let broken = Arc::new(AtomicBool::new(false));
    let probe = Arc::clone(&broken);
    health.add("store", effect, move |_| {
        if probe.load(Ordering::Relaxed) { Err("disk full".to_owned()) } else { Ok(()) }
    });
    (health, broken)
}

#[test]
fn a_failing_check_is_reported_with_its_reason_and_start() {
    let (health, broken) = health(Effect::NotReady);
    health.ask(NOON);
    broken.store(true, Ordering::Relaxed);
    for second in 1..=3 {
        health.ask(NOON + Duration::seconds(second));
    }
    let report = health.report(NOON + Duration::seconds(4));
    assert_eq!(report.status, Status::Failing);
    let check = &report.checks["store"];
    assert_eq!(check.contiguous_fails, 3);
    assert_eq!(check.reason.as_deref(), Some("disk full"));
    assert_eq!(check.last_success_at.as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(check.first_failure_at.as_deref(), Some("1970-01-01T00:00:01Z"));
    assert_eq!(check.last_failure_at.as_deref(), Some("1970-01-01T00:00:03Z"));
}

#[test]
fn readiness_follows_at_once_and_only_checks_that_matter_for_it() {
    let (health, broken) = health(Effect::NotReady);
    assert!(health.not_ready(NOON).is_empty());
    broken.store(true, Ordering::Relaxed);
    assert_eq!(health.not_ready(NOON), [("store", "disk full".to_owned())]);

    let (health, broken) = self::health(Effect::Degraded);
    broken.store(true, Ordering::Relaxed);
    assert!(health.not_ready(NOON).is_empty());
    assert_eq!(health.report(NOON).status, Status::Degraded);
}

#[test]
fn a_process_is_not_ready_before_every_check_is_there() {
    let health = Health::default();
    assert_eq!(health.not_ready(NOON), [("start", INCOMPLETE.1.to_owned())]);
    health.add("store", Effect::NotReady, |_| Ok(()));
    assert_eq!(health.not_ready(NOON).len(), 1);
    let report = health.report(NOON);
    assert_eq!(report.status, Status::Failing);
    assert_eq!(report.checks["start"].reason.as_deref(), Some(INCOMPLETE.1));
    assert_eq!(report.checks["store"].status, Status::Ok);

    health.complete();
    assert!(health.not_ready(NOON).is_empty());
    let report = health.report(NOON);
    assert_eq!(report.status, Status::Ok);
    assert!(!report.checks.contains_key("start"));
}

/// Whoever asked within the first second saw a check that passed, and had never passed.
#[test]
fn a_check_that_is_asked_for_before_its_first_run_has_run_then() {
    let (health, _) = health(Effect::NotReady);
    let report = health.report(NOON);
    let last = report.checks["store"].last_success_at.as_deref();
    assert_eq!(last, Some("1970-01-01T00:00:00Z"));
}

/// `/healthz` showed an old reason beside the status ok.
#[test]
fn a_check_that_passes_again_keeps_the_memory_of_its_failure() {
    let (health, broken) = health(Effect::Degraded);
    broken.store(true, Ordering::Relaxed);
    health.ask(NOON);
    broken.store(false, Ordering::Relaxed);
    let report = health.report(NOON + Duration::SECOND);
    assert_eq!(report.status, Status::Ok);
    assert_eq!(report.checks["store"].contiguous_fails, 0);
    assert_eq!(report.checks["store"].first_failure_at, None);
    assert_eq!(report.checks["store"].reason, None);
    assert_eq!(report.checks["store"].last_reason.as_deref(), Some("disk full"));
}

/// One look at the files of a disk that was away held up whoever asked, and everybody else.
#[tokio::test]
async fn a_disk_that_hangs_fails_what_readiness_depends_on_and_holds_nobody_up() {
    let health = Health::default();
    health.complete();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let hangs = Arc::new(AtomicBool::new(false));
    let hung = Arc::clone(&hangs);
    health.add_on_disk("store", Effect::NotReady, "of the data directory", |_| Ok(()));
    health.add_on_disk("import", Effect::Degraded, "of the data directory", move |_| {
        if hung.load(Ordering::Relaxed) {
            held.lock().unwrap().recv().ok();
        }
        Ok(())
    });
    health.add("root_key", Effect::NotReady, |_| Ok(()));
    assert_eq!(health.not_ready(NOON)[0].1, "it has not been asked yet");
    health.fresh().await;
    assert!(health.not_ready(NOON).is_empty());
    hangs.store(true, Ordering::Relaxed);
    let not_ready = loop {
        health.fresh().await;
        let reasons = health.not_ready(NOON);
        if !reasons.is_empty() {
            break reasons;
        }
        tokio::task::yield_now().await;
    };
    let [("store", reason)] = &not_ready[..] else { panic!("{not_ready:?}") };
    assert!(reason.contains("most likely the disk of the data directory hangs"), "{reason}");
    let report = health.report(NOON);
    assert_eq!(report.checks["store"].status, Status::Failing);
    assert_eq!(report.checks["import"].status, Status::Ok);
    drop(release);
    hangs.store(false, Ordering::Relaxed);
    while !health.not_ready(NOON).is_empty() {
        health.fresh().await;
        tokio::task::yield_now().await;
    }
}

/// It ended the task that asks every second, or the thread of the checks of files, whose last answers stayed.
#[tokio::test]
async fn a_check_that_panics_fails_and_the_others_are_asked_all_the_same() {
    let health = Health::default();
    health.complete();
    health.add("prompt", Effect::NotReady, |_| panic!("a bug"));
    health.add_on_disk("on_disk", Effect::Degraded, "of the test", |_| panic!("a bug"));
    health.add("well", Effect::NotReady, |_| Ok(()));
    health.add_on_disk("well_too", Effect::NotReady, "of the test", |_| Ok(()));
    for _ in 0..2 {
        health.fresh().await;
        health.ask(NOON);
    }
    assert_eq!(health.not_ready(NOON), [("prompt", PANICKED.to_owned())]);
    let report = health.report(NOON);
    let failing: Vec<_> =
        report.checks.iter().filter(|(_, check)| check.reason.is_some()).collect();
    assert!(failing.iter().all(|(_, check)| check.reason.as_deref() == Some(PANICKED)));
    assert_eq!(failing.iter().map(|(name, _)| **name).collect::<Vec<_>>(), ["on_disk", "prompt"]);
}
