//! `audit query`: prints the lines that meet all conditions, one by one.

use std::io::{self, Write};

use serde::Deserialize;
use spike_daemon::counted;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::each_line;
use crate::cli::{LineFormat, Outcome, QueryArgs};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::one_line;

pub(super) fn run(arguments: &QueryArgs, context: &mut Context<'_>) -> Result<Exit, Error> {
    let (mut found, mut foreign) = (0_u64, 0_u64);
    each_line(&arguments.files, context, |context, _, _, bytes| {
        let Ok(line) = serde_json::from_slice::<Line>(bytes) else {
            foreign += 1;
            return Ok(());
        };
        if !meets(arguments, &line.audit) {
            return Ok(());
        }
        found += 1;
        context.streams.render(|out| match arguments.format {
            LineFormat::Human => write(out, &line.audit),
            LineFormat::Json => {
                out.write_all(bytes.strip_suffix(b"\n").unwrap_or(bytes))?;
                out.write_all(b"\n")
            }
        })
    })?;
    if foreign > 0 {
        let lines = counted(foreign, "line is no audit line", "lines are no audit lines");
        context.streams.remark("note:", &lines)?;
    }
    if found == 0 {
        context.streams.remark("note:", "no line meets all conditions")?;
    }
    Ok(Exit::Success)
}

#[derive(Debug, Deserialize)]
struct Line {
    audit: Record,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    #[serde(rename = "TrailID")]
    trail_id: String,
    timestamp: String,
    #[serde(rename = "UserID")]
    user_id: String,
    action: String,
    path: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    address: String,
    state: String,
    err: String,
    status: u64,
}

fn meets(wanted: &QueryArgs, record: &Record) -> bool {
    let QueryArgs { caller, path, outcome, status, action, request_id, since, until, .. } = wanted;
    let is = |wanted: &Option<String>, found: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == found)
    };
    let at_or_below = |wanted: &Option<String>, found: &str| {
        wanted.as_deref().is_none_or(|wanted| is_at_or_below(found, wanted))
    };
    let about = if path.as_deref().is_some_and(|path| path.starts_with('/')) {
        &record.path
    } else {
        &record.subject
    };
    is(request_id, &record.trail_id)
        && is(action, &record.action)
        && at_or_below(caller, &record.user_id)
        && at_or_below(path, about)
        && status.is_none_or(|status| status == record.status)
        && outcome.is_none_or(|outcome| outcome == record.outcome())
        && is_within(&record.timestamp, *since, *until)
}

/// Whether `found` is `wanted`, or continues it after a slash.
fn is_at_or_below(found: &str, wanted: &str) -> bool {
    let wanted = wanted.strip_suffix('/').unwrap_or(wanted);
    found.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_within(
    timestamp: &str,
    since: Option<OffsetDateTime>,
    until: Option<OffsetDateTime>,
) -> bool {
    if since.is_none() && until.is_none() {
        return true;
    }
    OffsetDateTime::parse(timestamp, &Rfc3339).is_ok_and(|time| {
        since.is_none_or(|since| time >= since) && until.is_none_or(|until| time < until)
    })
}

impl Record {
    fn outcome(&self) -> Outcome {
        match self.status {
            _ if self.state == "audit-success" => Outcome::Success,
            401 | 403 => Outcome::Denied,
            _ => Outcome::Error,
        }
    }
}

/// What happened on one line, and why on another.
fn write(out: &mut dyn Write, record: &Record) -> io::Result<()> {
    let Record {
        trail_id, timestamp, user_id, action, path, subject, address, err, status, ..
    } = record;
    let about = if subject.is_empty() { path } else { subject };
    let all = [timestamp, &status.to_string(), action, user_id, about, address, trail_id];
    let shown: Vec<_> =
        all.into_iter().filter(|text| !text.is_empty()).map(|text| one_line(text)).collect();
    writeln!(out, "{}", shown.join("  "))?;
    if err.is_empty() { Ok(()) } else { writeln!(out, "    {}", one_line(err)) }
}
