//! `policy apply --dry-run`: which fields, findings and permissions would change.

mod tree;

use std::io::{self, Write};

use spike_wire::{LintFinding, Policy, PolicyPutRequest, SecretListRequest, call};

use super::access::{Comparison, Difference, compare};
use super::bundles::MissingBundles;
use super::{changes, findings, local};
use crate::cli::Format;
use crate::context::{Context, Session};
use crate::error::Error;
use crate::output::{answers, one_line, write_json, write_yaml};

/// The most lines about access.
const MOST_LINES: usize = 40;

/// The most policies that are downloaded to compare access. Each is one call.
const MOST_POLICIES: usize = 5_000;

/// The stored policies that were downloaded.
pub(super) struct Stored {
    pub(super) policies: Vec<Policy>,
    /// Whether these are all policies that there are, so that access can be compared.
    is_complete: bool,
}

/// Downloads all stored policies, or only those that `requests` name if there are too many.
pub(super) async fn stored(
    session: &Session,
    requests: &[PolicyPutRequest],
    context: &mut Context<'_>,
) -> Result<Stored, Error> {
    let names = super::names(session, super::PolicyListRequest::default()).await?;
    let too_many = names.len() > MOST_POLICIES;
    let mut policies = Vec::new();
    for name in &names {
        if !too_many || requests.iter().any(|request| request.name == *name) {
            policies.extend(super::find(session, name).await?);
        }
    }
    if too_many {
        let count = names.len();
        let text = format!(
            "{count} policies are too many to download: who gains or loses access is not compared"
        );
        context.streams.message("warning:", &text);
    }
    Ok(Stored { policies, is_complete: !too_many })
}

/// Prints the changes. What cannot be computed is reported on standard error, and the rest is printed all the same.
pub(super) async fn show(
    session: &Session,
    requests: &[PolicyPutRequest],
    Stored { policies: stored, is_complete }: Stored,
    format: Format,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let access = if is_complete {
        Some(compare_access(session, requests, &stored, context).await)
    } else {
        None
    };
    let missing = MissingBundles::ask(session, requests).await;
    let mut findings = findings::of_requests(requests);
    findings.extend(requests.iter().filter_map(|request| missing.finding(request)));
    if format != Format::Human {
        let changes = tree::changes(requests, &stored, &findings);
        let node = tree::node(&changes, access.as_ref());
        return context.streams.render(|out| match format {
            Format::Human | Format::Json => write_json(out, &node, 2),
            Format::Yaml => write_yaml(out, &node),
        });
    }
    context.streams.render(|out| {
        for request in requests {
            let replaced = stored.iter().find(|policy| policy.name == request.name);
            changes::write(out, request, replaced)?;
            let about = |finding: &&LintFinding| finding.policy == request.name;
            answers::each_finding(
                out,
                &findings.iter().filter(about).cloned().collect::<Vec<_>>(),
            )?;
        }
        access.map_or(Ok(()), |(secrets, found)| write_access(out, secrets, &found))
    })
}

/// The number of compared secrets, and the differences.
async fn compare_access(
    session: &Session,
    requests: &[PolicyPutRequest],
    stored: &[Policy],
    context: &mut Context<'_>,
) -> (usize, Comparison) {
    let every_path = SecretListRequest::default();
    let paths = match session.call::<call::SecretList>(&every_path, "").await {
        Ok(answer) => answer.keys,
        // Upstream's clients take 404 for an empty list.
        Err(error) if error.status() == Some(404) => Vec::new(),
        Err(error) => {
            let text =
                format!("access to secrets is not compared, since they cannot be listed: {error}");
            context.streams.message("warning:", &text);
            Vec::new()
        }
    };
    let before: Vec<_> = stored.iter().map(local::stored).collect();
    let changes: Vec<_> = requests.iter().map(local::wanted).collect();
    let found = compare(&before, &changes, &paths, &session.roots);
    (paths.len().saturating_sub(found.paths_left_out), found)
}

fn write_access(out: &mut dyn Write, secrets: usize, found: &Comparison) -> io::Result<()> {
    let Comparison { differences, subjects, paths_left_out } = found;
    let (ids, secrets) = (counted(*subjects, "SPIFFE ID"), counted(secrets, "secret"));
    writeln!(out, "\naccess: {ids} that patterns name, {secrets} and the system paths compared")?;
    let gained = differences.iter().filter(|difference| difference.gained).count();
    match differences.len() {
        0 => writeln!(out, "  nobody of them gains or loses anything")?,
        all => writeln!(out, "  {gained} gained, {} lost", all - gained)?,
    }
    for difference in differences.iter().take(MOST_LINES) {
        let Difference { gained, permission, path, subject } = difference;
        let sign = if *gained { '+' } else { '-' };
        let such = if subject.is_example { " (for example)" } else { "" };
        let (permission, path, id) = (permission.as_str(), one_line(path), &subject.id);
        writeln!(out, "    {sign} {permission:<7} {path}  {id}{such}")?;
    }
    if let more @ 1.. = differences.len().saturating_sub(MOST_LINES) {
        writeln!(out, "    and {more} more")?;
    }
    if let more @ 1.. = *paths_left_out {
        writeln!(out, "  {} more were not compared: there are too many", counted(more, "secret"))?;
    }
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
