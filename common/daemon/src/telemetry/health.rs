//! Health checks: cheap probes that run every second, and the record of their results.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use serde::Serialize;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The number of failures in a row that is logged: a single one is often just a daemon that has not started yet.
const LOGGED_FAILS: u64 = 2;

/// The effect of a failing check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The process cannot do its work: `/readyz` fails.
    NotReady,
    /// The process still works, but needs attention: `/healthz` says degraded.
    Degraded,
}

/// The overall state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every check passes.
    Ok,
    /// Usable, but needs attention.
    Degraded,
    /// Not usable.
    Failing,
}

type Fact = Box<dyn Fn() -> Value + Send + Sync>;

type Probe = Box<dyn Fn(OffsetDateTime) -> Result<(), String> + Send + Sync>;

/// The checks of one process; clones share them.
///
/// A process is not ready until [`Self::complete`] is called, whatever its checks say: a check that is not added yet
/// cannot fail.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<Checks>>);

#[derive(Default)]
struct Checks {
    all: Vec<Check>,
    shown: Vec<(&'static str, Fact)>,
    complete: bool,
}

/// The checks, for parts of the process that some checks probe: a strong reference would be a cycle.
#[derive(Clone, Debug, Default)]
pub struct HealthView(Weak<Mutex<Checks>>);

impl HealthView {
    /// As [`Health::report`]; `None` once the checks are dropped.
    pub fn report(&self, now: OffsetDateTime) -> Option<HealthReport> {
        self.0.upgrade().map(|checks| Health(checks).report(now))
    }
}

/// The check that is reported while others are still to be added, and its reason.
const INCOMPLETE: (&str, &str) = ("start", "starting: not every check has been added yet");

struct Check {
    name: &'static str,
    effect: Effect,
    probe: Probe,
    record: Record,
}

#[derive(Clone, Debug, Default)]
struct Record {
    contiguous_fails: u64,
    last_success: Option<OffsetDateTime>,
    last_failure: Option<OffsetDateTime>,
    failing_since: Option<OffsetDateTime>,
    reason: Option<String>,
}

impl Record {
    const fn was_run(&self) -> bool {
        self.last_success.is_some() || self.last_failure.is_some()
    }
}

/// The contents of `/healthz`.
#[derive(Clone, Debug, Serialize)]
pub struct HealthReport {
    /// The overall state.
    pub status: Status,
    /// Every check by name.
    pub checks: BTreeMap<&'static str, CheckReport>,
    /// What else there is to know, by name.
    #[serde(flatten)]
    pub facts: BTreeMap<&'static str, Value>,
}

/// The state of one check in `/healthz`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// `ok`, or the effect of its failure.
    pub status: Status,
    /// How many times in a row it failed; it runs every second.
    pub contiguous_fails: u64,
    /// When it last passed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<String>,
    /// When it last failed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_at: Option<String>,
    /// When the first of the current failures was, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure_at: Option<String>,
    /// Why it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it last failed, for a check that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reason: Option<String>,
}

impl Health {
    /// Adds a check. The probe must not block: it only reads state.
    pub fn add(
        &self,
        name: &'static str,
        effect: Effect,
        probe: impl Fn(OffsetDateTime) -> Result<(), String> + Send + Sync + 'static,
    ) {
        let check = Check { name, effect, probe: Box::new(probe), record: Record::default() };
        self.checks().all.push(check);
    }

    /// Adds something to know beside the checks. It must not block.
    pub fn show(&self, name: &'static str, fact: impl Fn() -> Value + Send + Sync + 'static) {
        self.checks().shown.push((name, Box::new(fact)));
    }

    /// A view that does not keep the checks.
    pub fn view(&self) -> HealthView {
        HealthView(Arc::downgrade(&self.0))
    }

    /// Every check that affects readiness has been added. The process can be ready only after this.
    pub fn complete(&self) {
        self.checks().complete = true;
    }

    /// Runs every check once and records the results.
    pub fn ask(&self, now: OffsetDateTime) {
        for check in &mut self.checks().all {
            let answer = (check.probe)(now);
            check.note(answer, now);
        }
    }

    /// Why the process is not ready at `now`; empty if it is.
    pub fn not_ready(&self, now: OffsetDateTime) -> Vec<(&'static str, String)> {
        let checks = self.checks();
        let incomplete = (!checks.complete).then(|| (INCOMPLETE.0, INCOMPLETE.1.to_owned()));
        let failing = checks
            .all
            .iter()
            .filter(|check| check.effect == Effect::NotReady)
            .filter_map(|check| (check.probe)(now).err().map(|reason| (check.name, reason)));
        incomplete.into_iter().chain(failing).collect()
    }

    /// Runs every check and reports its state.
    pub fn report(&self, now: OffsetDateTime) -> HealthReport {
        let mut checks = self.checks();
        let mut report = HealthReport {
            status: Status::Ok,
            checks: BTreeMap::new(),
            facts: checks.shown.iter().map(|(name, fact)| (*name, fact())).collect(),
        };
        if !checks.complete {
            report.status = Status::Failing;
            report.checks.insert(INCOMPLETE.0, CheckReport::incomplete());
        }
        for check in &mut checks.all {
            let answer = (check.probe)(now);
            let is_news = answer.is_err() != check.record.failing_since.is_some();
            if is_news || !check.record.was_run() {
                check.note(answer, now);
            }
            let entry = check.report();
            report.status = worse(report.status, entry.status);
            report.checks.insert(check.name, entry);
        }
        report
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckReport {
    fn incomplete() -> Self {
        Self {
            status: Status::Failing,
            contiguous_fails: 0,
            last_success_at: None,
            last_failure_at: None,
            first_failure_at: None,
            reason: Some(INCOMPLETE.1.to_owned()),
            last_reason: None,
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks().all.iter().map(|check| check.name)).finish()
    }
}

impl Check {
    fn note(&mut self, answer: Result<(), String>, now: OffsetDateTime) {
        let record = &mut self.record;
        match answer {
            Ok(()) => {
                record.failing_since = None;
                if record.contiguous_fails >= LOGGED_FAILS {
                    tracing::warn!(check = self.name, "health check passes again");
                }
                record.contiguous_fails = 0;
                record.last_success = Some(now);
            }
            Err(reason) => {
                record.contiguous_fails += 1;
                if record.contiguous_fails == LOGGED_FAILS {
                    tracing::warn!(check = self.name, reason, "health check fails");
                }
                record.last_failure = Some(now);
                record.failing_since.get_or_insert(now);
                record.reason = Some(reason);
            }
        }
    }

    fn report(&self) -> CheckReport {
        let record = self.record.clone();
        let text = |at: Option<OffsetDateTime>| at.and_then(|at| at.format(&Rfc3339).ok());
        let (reason, last_reason) = match record.failing_since {
            Some(_) => (record.reason, None),
            None => (None, record.reason),
        };
        CheckReport {
            status: match (record.failing_since, self.effect) {
                (None, _) => Status::Ok,
                (Some(_), Effect::Degraded) => Status::Degraded,
                (Some(_), Effect::NotReady) => Status::Failing,
            },
            contiguous_fails: record.contiguous_fails,
            last_success_at: text(record.last_success),
            last_failure_at: text(record.last_failure),
            first_failure_at: text(record.failing_since),
            reason,
            last_reason,
        }
    }
}

const fn worse(one: Status, other: Status) -> Status {
    match (one, other) {
        (Status::Failing, _) | (_, Status::Failing) => Status::Failing,
        (Status::Degraded, _) | (_, Status::Degraded) => Status::Degraded,
        (Status::Ok, Status::Ok) => Status::Ok,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use time::Duration;

    use super::*;

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
}
