//! `spike doctor`, which upstream does not have: it walks the symptoms of cli-config-deploy 7, layer by layer, and says which
//! one is broken first.
//!
//! Each layer has a file. There a function looks, with a time limit, and a pure one judges what was seen. Nothing is changed,
//! neither here nor at Nexus.

mod bundle;
mod check;
mod clock;
mod environment_file;
mod file;
mod findings;
mod health;
mod identity;
mod keepers;
mod manifest;
mod nexus;
mod policies;
mod settings;
mod storage;
mod tar;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use spike_config::table;
use spike_daemon::counted;
use spike_domain::Role;
use spike_mtls::{
    ClientTimeouts,
    client::{CallError, NexusClient},
    clock as machine,
    svid::SvidSource,
};
use spike_wire::{NotReady, PolicyListRequest, StatusResponse};

use check::{Check, Report};

use crate::cli::{DoctorArgs, Format, Question};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{write_json, write_yaml};
use bundle::Wanted;
use check::Group;
use clock::Clocks;
pub(super) use keepers::KnownKeepers;
use settings::Settings;

/// How long one step may take.
const STEP: Duration = Duration::from_secs(3);
/// The same for the status: Nexus asks every Keeper first, and takes up to six seconds for one that does not answer.
const STATUS_STEP: Duration = Duration::from_secs(8);

pub(super) async fn run(arguments: DoctorArgs, context: &mut Context<'_>) -> Result<Exit, Error> {
    let question = arguments.question();
    if let Some(question) = &question {
        super::policy::check_question(question)?;
    }
    let DoctorArgs { telemetry, logs, .. } = &arguments;
    let wanted = arguments.bundle.as_deref().map(|path| Wanted { path, telemetry, logs });
    if let Some(wanted) = &wanted {
        wanted.check()?;
    }
    let (report, status) = match &arguments.config {
        Some(file) => (file::examine(file, arguments.program, context)?, None),
        None => examine(question.as_ref(), context).await,
    };
    let answer = findings::answer(&report);
    context.streams.render(|out| match arguments.format {
        Format::Human => findings::report(out, &report),
        Format::Json => write_json(out, &findings::report_node(&report, &answer), 2),
        Format::Yaml => write_yaml(out, &findings::report_node(&report, &answer)),
    })?;
    if let Some(wanted) = &wanted {
        let packed = wanted.write(&report, status.as_ref(), context.environment()).await?;
        let lines = packed.files.iter().map(|(name, bytes)| {
            format!("\n  {name}, {}", counted(*bytes as u64, "byte", "bytes"))
        });
        let path = wanted.path.display();
        let text = format!("{path} has{}", lines.collect::<String>());
        context.streams.remark("note:", &text)?;
        for (log, lines) in &packed.left_out {
            let (line, looks, is) = match lines {
                1 => ("line", "looks", "is"),
                _ => ("lines", "look", "are"),
            };
            let text = format!(
                "{lines} {line} of {} {looks} like a recovery share or a private key, and {is} left out: is it a log?",
                log.display()
            );
            context.streams.remark("warning:", &text)?;
        }
    }
    Ok(report.exit())
}

/// Everything that can be seen from here.
async fn examine(
    question: Option<&Question>,
    context: &Context<'_>,
) -> (Report, Option<StatusResponse>) {
    let mut report = Report::new();
    let environment = context.environment();
    let settings = settings::examine(environment, &mut report);
    let mut clocks = Clocks::default();
    let me = examine_identity(&settings, context, &mut clocks, &mut report).await;
    let status = examine_nexus(&settings, me.as_ref(), &mut clocks, &mut report).await;
    if let (Some(me), Some(status)) = (&me, &status) {
        examine_inside(me, status, question, &mut report).await;
    } else {
        let because = "skipped: the status of SPIKE Nexus is not known";
        report.push(Check::skipped(Group::Keepers, "root key", because));
        report.push(Check::skipped(Group::Storage, "backend", because));
        report.extend(policies::not_asked(question, because));
    }
    if let Some(me) = &me {
        report.extend(keepers::dial(environment, &me.source).await);
    }
    report.push(clock::judge(&clocks, machine::now()));
    (report, status)
}

/// The identity of this process, and what it may do.
struct Me {
    source: SvidSource,
    nexus: Option<NexusClient>,
    is_pilot: bool,
    is_superuser: bool,
}

async fn examine_identity(
    settings: &Settings,
    context: &Context<'_>,
    clocks: &mut Clocks,
    report: &mut Report,
) -> Option<Me> {
    let identity = &settings.values.identity;
    let source = context.source(&settings.values);
    let used = [&table::SPIFFE_ENDPOINT_SOCKET];
    if let Some(name) = settings.broken(&used) {
        let because = format!("skipped: {name} cannot be used");
        report.push(Check::skipped(Group::Identity, "Workload API", because));
        return None;
    }
    if context.has_agent() {
        let agent = identity::agent(&identity.endpoint).await;
        let is_there = agent.outcome == check::Outcome::Ok;
        report.push(agent);
        if !is_there {
            let because = "skipped: the Workload API cannot be reached";
            report.push(Check::skipped(Group::Identity, "SVID", because));
            return None;
        }
    }
    let roots = &identity.trust_roots;
    let material = identity::svid(&source, &identity.endpoint, roots, report).await?;
    clocks.svid_from = Some(material.not_before());
    let id = material.id().to_string();
    let nexus =
        NexusClient::new(&source, Arc::clone(roots), &settings.values.api_url, timeouts(STEP));
    Some(Me {
        source,
        nexus: nexus.ok(),
        is_pilot: Role::OPERATORS.iter().any(|role| roots.hold(*role, &id)),
        is_superuser: roots.hold(Role::PilotSuperuser, &id),
    })
}

async fn examine_nexus(
    settings: &Settings,
    me: Option<&Me>,
    clocks: &mut Clocks,
    report: &mut Report,
) -> Option<StatusResponse> {
    let skip = |name: &str, because: &str| Check::skipped(Group::Nexus, name, because);
    let used = [&table::SPIKE_NEXUS_API_URL, &table::SPIKE_TRUST_ROOT_NEXUS];
    if let Some(name) = settings.broken(&used) {
        report.push(skip("connection", &format!("skipped: {name} cannot be used")));
        return None;
    }
    let api = &settings.values.api_url;
    let reached = nexus::reach(api).await;
    let is_reached = reached.iter().all(|check| check.outcome == check::Outcome::Ok);
    report.extend(reached);
    if !is_reached {
        report.push(skip("TLS", "skipped: SPIKE Nexus cannot be reached"));
        return None;
    }
    let Some(me) = me else {
        report.push(skip("TLS", "skipped: this process has no SVID to show"));
        return None;
    };
    let asked = nexus::ask(&me.source, &settings.values.identity.trust_roots, api).await;
    report.push(nexus::judge_tls(api, &asked));
    match asked {
        Ok(answer) => {
            clocks.nexus = answer.date;
            report.push(nexus::judge_answer(&answer, me.is_pilot));
            answer.body.and_then(Result::ok)
        }
        Err(error) => {
            clocks.refused(&error);
            report.push(skip("answer", "skipped: there is no connection with SPIKE Nexus"));
            None
        }
    }
}

/// What Nexus says of itself.
async fn examine_inside(
    me: &Me,
    status: &StatusResponse,
    question: Option<&Question>,
    report: &mut Report,
) {
    let blocked = match &me.nexus {
        Some(nexus) if status.sealed => blocked(nexus).await,
        _ => None,
    };
    report.extend(keepers::judge(status, blocked));
    report.extend(storage::judge(status, machine::now()));
    report.extend(health::judge(status));
    let because = match (status.sealed, me.is_superuser, status.backend.as_str()) {
        (true, _, _) => "skipped: SPIKE Nexus is sealed",
        (_, false, _) => "skipped: only a superuser may ask about policies",
        (_, _, "lite") => "skipped: the lite backend has no policies",
        _ => "",
    };
    match &me.nexus {
        Some(nexus) if because.is_empty() => {
            report.push(policies::lint(nexus).await);
            if let Some(question) = question {
                report.push(policies::access(nexus, question).await);
            }
        }
        _ => report.extend(policies::not_asked(question, because)),
    }
}

/// Why a sealed Nexus refuses an operation. The status does not say whether it is the store.
async fn blocked(nexus: &NexusClient) -> Option<NotReady> {
    match nexus.list_policies(&PolicyListRequest::default()).await {
        Err(CallError::Refused(refusal)) => refusal.reason.as_deref().and_then(NotReady::of_reason),
        _ => None,
    }
}

/// The limits of a call that may take so long.
const fn timeouts(limit: Duration) -> ClientTimeouts {
    ClientTimeouts {
        whole: limit,
        dial: STEP,
        handshake: STEP,
        response_header: limit,
        idle: Duration::from_secs(30),
        idle_per_host: 1,
    }
}

/// Runs a step within its time.
async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(STEP, work).await {
        Ok(done) => done,
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {STEP:?}")))
        }
    }
}

/// The environment of each container in a manifest, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub(crate) fn manifest_settings(
    bytes: &[u8],
) -> Option<Vec<std::collections::BTreeMap<String, String>>> {
    let containers = manifest::read(std::str::from_utf8(bytes).ok()?).ok()?;
    Some(containers.into_iter().map(|container| container.variables).collect())
}

#[cfg(test)]
mod tests;
