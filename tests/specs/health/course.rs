//! One check of one daemon, from its failure to its recovery.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spike_mtls::clock;
use spike_tests::{PATIENCE, crew::Crew, eventually};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What a failing check does, as `docs/health.md` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    NotReady,
    Degraded,
}

/// A check that is followed.
#[derive(Debug)]
pub(super) struct Course {
    daemon: String,
    check: &'static str,
    effect: Effect,
    /// When it was still fine, or when its daemon was started.
    begun: OffsetDateTime,
    /// The length of the log then.
    log: usize,
    /// A part of the reason, and the report of the last failure that was seen.
    failed: Option<(String, Value)>,
}

impl Course {
    /// Follows a check that passes.
    pub(super) async fn of(
        crew: &mut Crew,
        daemon: &str,
        check: &'static str,
        effect: Effect,
    ) -> Result<Self> {
        let passes = eventually("a check that passes", PATIENCE, async || {
            let entry = entry(crew, daemon, check).await?;
            Ok(entry.filter(|entry| entry["status"] == "ok"))
        });
        let entry = passes.await.with_context(|| format!("{check} of {daemon}"))?;
        ensure!(fails(&entry) == 0, "{entry}");
        ensure!(absent(&entry, "firstFailureAt") && absent(&entry, "reason"), "{entry}");
        ensure!(!absent(&entry, "lastSuccessAt"), "{entry}");
        Ok(Self::from_start(crew, daemon, check, effect))
    }

    /// Follows a check that may fail from the start of its daemon on.
    pub(super) fn from_start(
        crew: &Crew,
        daemon: &str,
        check: &'static str,
        effect: Effect,
    ) -> Self {
        let log = crew.log(daemon).map_or(0, |log| log.len());
        Self { log, ..Self::since(clock::now(), daemon, check, effect) }
    }

    /// Follows a check that may fail from the first start of its daemon on, which was not before `begun`.
    pub(super) fn since(
        begun: OffsetDateTime,
        daemon: &str,
        check: &'static str,
        effect: Effect,
    ) -> Self {
        Self { daemon: daemon.to_owned(), check, effect, begun, log: 0, failed: None }
    }

    /// Waits until it fails for a reason that contains `part`, and looks at everything that tells of it.
    pub(super) async fn fails(&mut self, crew: &mut Crew, part: &str) -> Result<()> {
        let failed = self.fails_with(crew, part).await;
        failed.with_context(|| format!("{} of {}", self.check, self.daemon))
    }

    async fn fails_with(&mut self, crew: &mut Crew, part: &str) -> Result<()> {
        let first = self.failure(crew, part, 2).await?;
        let status = match self.effect {
            Effect::NotReady => "failing",
            Effect::Degraded => "degraded",
        };
        ensure!(text(&first, "status") == status, "{first}");
        ensure!(absent(&first, "lastReason"), "{first}");
        let since = at(&first, "firstFailureAt")?;
        ensure!(self.begun <= since, "{first}, and it was fine at {}", self.begun);
        if !absent(&first, "lastSuccessAt") {
            ensure!(at(&first, "lastSuccessAt")? <= since, "{first}");
        }
        // It runs every second, and once more when somebody asks just after a change.
        let seconds = (clock::now() - since).whole_seconds();
        ensure!(fails(&first) <= seconds.unsigned_abs() + 3, "{seconds} s: {first}");

        let later = self.failure(crew, part, fails(&first) + 1).await?;
        ensure!(at(&later, "firstFailureAt")? == since, "{first}, then {later}");
        let (one, next) = (at(&first, "lastFailureAt")?, at(&later, "lastFailureAt")?);
        ensure!(since <= one && one < next && next <= clock::now(), "{first}, then {later}");
        self.readiness(crew, Some(part)).await?;
        self.logged(crew, "health check fails", 1).await?;
        ensure!(self.lines(crew, "health check passes again")? == 0, "it has not recovered");
        self.failed = Some((part.to_owned(), later));
        Ok(())
    }

    /// Waits until it passes again, and looks at everything that tells of it.
    pub(super) async fn recovers(self, crew: &mut Crew) -> Result<()> {
        let recovered = self.recovers_with(crew).await;
        recovered.with_context(|| format!("{} of {}", self.check, self.daemon))
    }

    async fn recovers_with(&self, crew: &mut Crew) -> Result<()> {
        let (part, failed) = self.failed.as_ref().context("it has not failed")?;
        let mut seen = Value::Null;
        let passes = eventually("a check that passes again", PATIENCE, async || {
            seen = entry(crew, &self.daemon, self.check).await?.unwrap_or_default();
            Ok((text(&seen, "status") == "ok").then_some(()))
        });
        passes.await.with_context(|| seen.to_string())?;
        ensure!(fails(&seen) == 0, "{seen}");
        ensure!(absent(&seen, "firstFailureAt") && absent(&seen, "reason"), "{seen}");
        ensure!(text(&seen, "lastReason").contains(part), "{seen}");
        ensure!(at(&seen, "lastFailureAt")? >= at(failed, "lastFailureAt")?, "{failed}: {seen}");
        ensure!(at(&seen, "lastSuccessAt")? > at(&seen, "lastFailureAt")?, "{seen}");
        self.readiness(crew, None).await?;
        self.logged(crew, "health check passes again", 1).await?;
        ensure!(self.lines(crew, "health check fails")? == 1, "the failure is logged once");
        Ok(())
    }

    /// The entry of the check once it fails for that reason, at least so many times.
    async fn failure(&self, crew: &mut Crew, part: &str, times: u64) -> Result<Value> {
        let mut seen = Value::Null;
        let failed = eventually("a check that fails", PATIENCE, async || {
            // A daemon that starts answers nobody.
            let Ok(entry) = entry(crew, &self.daemon, self.check).await else { return Ok(None) };
            seen = entry.unwrap_or_default();
            let reason = text(&seen, "reason");
            Ok((reason.contains(part) && fails(&seen) >= times).then_some(()))
        });
        failed.await.with_context(|| format!("{part:?} is not in {seen}"))?;
        Ok(seen)
    }

    /// `/readyz` names the check if it has to, and if it fails.
    async fn readiness(&self, crew: &mut Crew, part: Option<&str>) -> Result<()> {
        let (status, body) = get(crew, &self.daemon, "/readyz").await?;
        let reasons = serde_json::from_str::<Value>(&body).unwrap_or_default();
        let named = reasons.pointer(&format!("/reasons/{}", self.check)).and_then(Value::as_str);
        match (part, self.effect) {
            (Some(part), Effect::NotReady) => {
                let told = named.is_some_and(|reason| reason.contains(part));
                ensure!(status == 503 && told, "{status}: {body}");
            }
            (Some(_), Effect::Degraded) | (None, _) => ensure!(named.is_none(), "{body}"),
        }
        Ok(())
    }

    /// A line is written a moment after the event.
    async fn logged(&self, crew: &Crew, message: &str, times: usize) -> Result<()> {
        let written = eventually(message, PATIENCE, async || {
            Ok((self.lines(crew, message)? == times).then_some(()))
        });
        written.await.with_context(|| crew.log(&self.daemon).unwrap_or_default())
    }

    /// How many lines of that message the log has about the check.
    fn lines(&self, crew: &Crew, message: &str) -> Result<usize> {
        let log = crew.log(&self.daemon)?;
        let lines = log.get(self.log..).unwrap_or_default().lines();
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(lines.filter(|line| line["message"] == message && line["check"] == self.check).count())
    }
}

/// Follows these checks of these daemons, which all pass.
pub(super) async fn courses(
    crew: &mut Crew,
    daemons: &[&str],
    checks: &[(&'static str, Effect)],
) -> Result<Vec<Course>> {
    let mut courses = Vec::new();
    for daemon in daemons {
        for (check, effect) in checks {
            courses.push(Course::of(crew, daemon, check, *effect).await?);
        }
    }
    Ok(courses)
}

/// Waits until each fails for a reason with the part that belongs to its check.
pub(super) async fn all_fail(
    crew: &mut Crew,
    courses: &mut [Course],
    parts: &[(&str, &str)],
) -> Result<()> {
    for course in courses {
        let part = parts.iter().find(|(check, _)| *check == course.check);
        course.fails(crew, part.context("no reason")?.1).await?;
    }
    Ok(())
}

/// Waits until each passes again.
pub(super) async fn all_recover(crew: &mut Crew, courses: Vec<Course>) -> Result<()> {
    for course in courses {
        course.recovers(crew).await?;
    }
    Ok(())
}

pub(super) async fn get(crew: &mut Crew, daemon: &str, path: &str) -> Result<(u16, String)> {
    let daemon = crew.cluster().daemons().find(|known| known.name() == daemon);
    Ok(daemon.context("no such daemon")?.get(path).await?)
}

/// The entry of a check in `/healthz`, if there is one.
pub(super) async fn entry(crew: &mut Crew, daemon: &str, check: &str) -> Result<Option<Value>> {
    let report: Value = serde_json::from_str(&get(crew, daemon, "/healthz").await?.1)?;
    Ok(report.pointer(&format!("/checks/{check}")).cloned())
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn absent(entry: &Value, field: &str) -> bool {
    entry.get(field).is_none()
}

fn fails(entry: &Value) -> u64 {
    entry.get("contiguousFails").and_then(Value::as_u64).unwrap_or(u64::MAX)
}

fn at(entry: &Value, field: &str) -> Result<OffsetDateTime> {
    let text = entry.get(field).and_then(Value::as_str);
    let text = text.with_context(|| format!("no {field} in {entry}"))?;
    Ok(OffsetDateTime::parse(text, &Rfc3339)?)
}
