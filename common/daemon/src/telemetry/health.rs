//! Health checks: cheap probes that run every second, and the record of their results.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{
    disk_checks::{DiskCheck, DiskChecks},
    probe::{Effect, ask},
};
use serde::Serialize;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The number of failures in a row that is logged: a single one is often just a daemon that has not started yet.
const LOGGED_FAILS: u64 = 2;

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

enum Probe {
    /// It only reads state.
    Prompt(Box<dyn Fn(OffsetDateTime) -> Result<(), String> + Send + Sync>),
    /// It runs on another thread.
    OnDisk(DiskCheck),
}

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
    /// There once a check looks at files.
    on_disk: Option<DiskChecks>,
    complete: bool,
}

/// The checks, for parts of the process that some checks probe: a strong reference would be a cycle.
#[derive(Clone, Debug, Default)]
pub struct HealthView(Weak<Mutex<Checks>>);

impl HealthView {
    /// As [`Health::fresh`].
    pub async fn fresh(&self) {
        if let Some(checks) = self.0.upgrade() {
            Health(checks).fresh().await;
        }
    }

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
        let probe = Probe::Prompt(Box::new(probe));
        self.checks().all.push(Check { name, effect, probe, record: Record::default() });
    }

    /// Adds a check that looks at files, and that their disk may hold up: `disk` says where they are, after "the disk". What is asked
    /// for is its last result; see [`Self::fresh`].
    pub fn add_on_disk(
        &self,
        name: &'static str,
        effect: Effect,
        disk: &'static str,
        probe: impl Fn(OffsetDateTime) -> Result<(), String> + Send + Sync + 'static,
    ) {
        let mut checks = self.checks();
        let on_disk = checks.on_disk.get_or_insert_with(DiskChecks::start);
        let probe = Probe::OnDisk(on_disk.add(disk, probe));
        checks.all.push(Check { name, effect, probe, record: Record::default() });
    }

    /// Has the checks that look at files run again, and waits for them, for a second at most. Call it before the others.
    pub async fn fresh(&self) {
        let rounds = self.checks().on_disk.as_ref().map(DiskChecks::rounds);
        if let Some(rounds) = rounds {
            rounds.fresh().await;
        }
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
        let Checks { all, on_disk, .. } = &mut *self.checks();
        for check in all {
            let answer = check.answer(on_disk.as_ref(), now);
            check.note(answer, now);
        }
    }

    /// Why the process is not ready at `now`; empty if it is.
    pub fn not_ready(&self, now: OffsetDateTime) -> Vec<(&'static str, String)> {
        let checks = self.checks();
        let incomplete = (!checks.complete).then(|| (INCOMPLETE.0, INCOMPLETE.1.to_owned()));
        let failing =
            checks.all.iter().filter(|check| check.effect == Effect::NotReady).filter_map(
                |check| {
                    let answer = check.answer(checks.on_disk.as_ref(), now);
                    answer.err().map(|reason| (check.name, reason))
                },
            );
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
        let Checks { all, on_disk, .. } = &mut *checks;
        for check in all {
            let answer = check.answer(on_disk.as_ref(), now);
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
    fn answer(&self, on_disk: Option<&DiskChecks>, now: OffsetDateTime) -> Result<(), String> {
        match &self.probe {
            Probe::Prompt(probe) => ask(&**probe, now),
            Probe::OnDisk(check) => on_disk.map_or(Ok(()), |all| all.answer(check, self.effect)),
        }
    }

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
mod tests;
