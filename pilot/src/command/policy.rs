//! `spike policy` (cli-config-deploy 1.9, wire-api N7 to N10), and our questions about policies.

mod access;
mod administrators;
mod bundles;
mod changes;
mod document;
mod findings;
mod lint;
mod listing;
mod local;
mod preview;
mod questions;
mod rules;

use std::path::Path;

use spike_domain::Role;
use spike_wire::{
    LintFinding, Policy, PolicyListRequest, PolicyNameRequest, PolicyPutRequest, call,
};

use super::{is_confirmed, is_stdin, read_input};
use crate::cli::{Format, PolicyApplyArgs, PolicyCommand, PolicyFields, PolicyListArgs};
use crate::context::{Context, Session};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Node, human, write_json, write_yaml};
use bundles::MissingBundles;
use document::{Policies, Times};
use listing::Listed;

pub(super) use questions::check as check_question;

/// The note about times in a file.
const TIMES: &str =
    "SPIKE Nexus sets createdAt and updatedAt by itself: those of the file are not applied";

/// The policies of a file, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub(crate) fn policy_document(bytes: &[u8]) -> Option<Vec<PolicyPutRequest>> {
    document::read(bytes).ok().map(|policies| policies.requests)
}

pub(super) async fn run(command: PolicyCommand, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        PolicyCommand::Create { fields, yes } => create(fields, yes, context).await,
        PolicyCommand::Apply(arguments) => apply(arguments, context).await,
        PolicyCommand::List(arguments) => list(arguments, context).await,
        PolicyCommand::Get { name, format } => get(name.get(), format, context).await,
        PolicyCommand::Delete { name, yes } => delete(name.get(), yes, context).await,
        PolicyCommand::Explain { question, format } => {
            questions::explain(question, format, context).await
        }
        PolicyCommand::CanI { question } => return questions::can_i(question, context).await,
        PolicyCommand::WhoCan(arguments) => questions::who_can(arguments, context).await,
        PolicyCommand::Lint(arguments) => return lint::run(arguments, context).await,
    }
    .map(|()| Exit::Success)
}

async fn create(fields: PolicyFields, yes: bool, context: &mut Context<'_>) -> Result<(), Error> {
    let request = PolicyPutRequest { create_only: true, ..request_of(fields)? };
    if !administrators::confirm(std::slice::from_ref(&request), yes, false, context)? {
        return context.streams.print("Operation canceled.\n");
    }
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    // Upstream's Nexus does not know `createOnly` and would replace the policy, so it is asked first (10.2 no. 5).
    if names(&session, PolicyListRequest::default()).await?.contains(&request.name) {
        return Err(Error::PolicyExists(request.name));
    }
    match put(&session, &request).await {
        Err(error) if error.status() == Some(409) => Err(Error::PolicyExists(request.name)),
        Err(error) => Err(error),
        Ok(()) => {
            let missing = MissingBundles::ask(&session, std::slice::from_ref(&request)).await;
            warn(&request, &missing, context);
            context.streams.print("Policy created successfully.\n")
        }
    }
}

async fn apply(arguments: PolicyApplyArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let PolicyApplyArgs { file, fields, dry_run, format, yes } = arguments;
    let reads_input = file.is_some() && is_stdin(file.as_deref());
    let Policies { requests, times } = match (file, fields) {
        (Some(file), _) => policies_of(&file, context)?,
        (None, Some(fields)) => Policies { requests: vec![request_of(fields)?], times: Vec::new() },
        (None, None) => return Err(Error::usage("neither a file nor a policy was given")),
    };
    if !dry_run && !administrators::confirm(&requests, yes, reads_input, context)? {
        return context.streams.print("Operation canceled.\n");
    }
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    if dry_run {
        let stored = preview::stored(&session, &requests, context).await?;
        note_times(&stored.policies, &times, context);
        return preview::show(&session, &requests, stored, format, context).await;
    }
    let mut stored = Vec::new();
    for (name, _) in &times {
        // This is for the note only, so a policy that cannot be read is no failure.
        stored.extend(find(&session, name).await.unwrap_or_default());
    }
    note_times(&stored, &times, context);
    let missing = MissingBundles::ask(&session, &requests).await;
    let mut applied = Vec::new();
    for request in &requests {
        match put(&session, request).await {
            Ok(()) => {
                warn(request, &missing, context);
                applied.push(request.name.clone());
            }
            Err(error) if applied.is_empty() => return Err(error),
            Err(error) => {
                let others = vec![format!(
                    "applied before that: {}; the rest was not. The same command may be repeated",
                    applied.join(", ")
                )];
                return Err(Error::Partly { error: Box::new(error), others });
            }
        }
    }
    context.streams.render(|out| {
        applied.iter().try_for_each(|name| writeln!(out, "Policy '{name}' applied successfully"))
    })
}

async fn list(arguments: PolicyListArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let format = arguments.format;
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    let Listed { names, more } = listing::names(&session, arguments).await?;
    let entry = |name| Node::map([("id", Node::Text(name)), ("name", Node::Text(name))]);
    let node = || Node::List(names.iter().map(|name| entry(name)).collect());
    let on_terminal = context.streams.stdout_is_terminal();
    context.streams.render(|out| match format {
        Format::Human => human::policy_list(out, &names, on_terminal),
        Format::Json => write_json(out, &node(), 2),
        Format::Yaml if names.is_empty() => write_yaml(out, &node()),
        // Upstream's answer in YAML ends in an empty line.
        Format::Yaml => write_yaml(out, &node()).and_then(|()| writeln!(out)),
    })?;
    // Upstream's formats have no field for this.
    let Some(last) = names.last().filter(|_| more) else { return Ok(()) };
    let text = format!("there are more: --after {last:?} lists those that follow");
    context.streams.remark("note:", &text)
}

async fn get(name: &str, format: Format, context: &mut Context<'_>) -> Result<(), Error> {
    rules::check_name(name)?;
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    let Some(policy) = find(&session, name).await? else {
        return Err(Error::NoSuchPolicy(name.to_owned()));
    };
    context.streams.render(|out| match format {
        Format::Human => human::policy(out, &policy),
        Format::Json => write_json(out, &node_of(&policy), 2),
        Format::Yaml => write_yaml(out, &node_of(&policy)).and_then(|()| writeln!(out)),
    })
}

async fn delete(name: &str, yes: bool, context: &mut Context<'_>) -> Result<(), Error> {
    rules::check_name(name)?;
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    if find(&session, name).await?.is_none() {
        return Err(Error::NoSuchPolicy(name.to_owned()));
    }
    if !yes {
        let question = format!("Are you sure you want to delete policy '{name}'? (y/N): ");
        if !is_confirmed(&question, &format!("policy '{name}' is still there"), context)? {
            return context.streams.print("Operation canceled.\n");
        }
    }
    let request = PolicyNameRequest { name: name.to_owned() };
    session.call::<call::PolicyDelete>(&request, name).await?;
    context.streams.print("Policy deleted successfully.\n")
}

fn request_of(fields: PolicyFields) -> Result<PolicyPutRequest, Error> {
    let PolicyFields { name, path_pattern, spiffeid_pattern, permissions } = fields;
    let permissions = permissions.split(',').map(str::trim).filter(|word| !word.is_empty());
    let request = PolicyPutRequest {
        permissions: permissions.map(str::to_owned).collect(),
        name,
        spiffeid_pattern,
        path_pattern,
        create_only: false,
    };
    rules::check(&request)?;
    Ok(request)
}

/// Every policy of a file, all of them valid.
fn policies_of(file: &Path, context: &mut Context<'_>) -> Result<Policies, Error> {
    let bytes = read_input(Some(file), context)?;
    document::read(&bytes).map_err(|error| error.in_file(file))
}

/// Notes that times of a file are not applied, if the stored policy never had one of them.
fn note_times(stored: &[Policy], times: &[(String, Times)], context: &mut Context<'_>) {
    let is_stored = |(name, times): &(String, Times)| {
        stored.iter().any(|policy| policy.name == *name && times.are_of(policy))
    };
    if !times.iter().all(is_stored) {
        context.streams.message("note:", TIMES);
    }
}

async fn put(session: &Session, request: &PolicyPutRequest) -> Result<(), Error> {
    session.call::<call::PolicyPut>(request, &request.name).await.map(drop)
}

/// Warns of findings in a policy that was written.
fn warn(request: &PolicyPutRequest, missing: &MissingBundles, context: &mut Context<'_>) {
    let findings = findings::of_requests(std::slice::from_ref(request));
    for finding in findings.into_iter().chain(missing.finding(request)) {
        if findings::is_serious(&finding) {
            let LintFinding { policy, field, message, fix, .. } = finding;
            context.streams.message("warning:", &format!("{policy}: {field}: {message}; {fix}"));
        }
    }
}

/// Every stored policy that the request selects, one call for each.
async fn all(session: &Session, request: PolicyListRequest) -> Result<Vec<Policy>, Error> {
    let mut policies = Vec::new();
    for name in names(session, request).await? {
        // A policy that was deleted in the meantime is left out.
        policies.extend(find(session, &name).await?);
    }
    Ok(policies)
}

/// The names of policies. Upstream's Nexus answers 404 if there is none.
async fn names(session: &Session, request: PolicyListRequest) -> Result<Vec<String>, Error> {
    match session.call::<call::PolicyList>(&request, "").await {
        Err(error) if error.status() == Some(404) => Ok(Vec::new()),
        answer => answer.map(|answer| answer.names),
    }
}

/// A policy, if it exists. Upstream's Nexus answers 500 for a missing policy (F11), so then the list decides.
async fn find(session: &Session, name: &str) -> Result<Option<Policy>, Error> {
    let request = PolicyNameRequest { name: name.to_owned() };
    let error = match session.call::<call::PolicyGet>(&request, name).await {
        Ok(policy) => return Ok(Some(policy)),
        Err(error) => error,
    };
    match error.status() {
        Some(404) => Ok(None),
        Some(500) => {
            let names = names(session, PolicyListRequest::default()).await?;
            if names.iter().any(|stored| stored == name) { Err(error) } else { Ok(None) }
        }
        _ => Err(error),
    }
}

/// Upstream's fields under the names that requests and files of policies have for them, in JSON and in YAML. Upstream's JSON
/// misspells one of them, its YAML writes them in lower case, and its own `policy apply` reads neither.
fn node_of(policy: &Policy) -> Node<'_> {
    Node::map([
        ("id", Node::Text(&policy.name)),
        ("name", Node::Text(&policy.name)),
        ("spiffeidPattern", Node::Text(&policy.spiffeid_pattern)),
        ("pathPattern", Node::Text(&policy.path_pattern)),
        ("permissions", Node::texts(&policy.permissions)),
        ("createdAt", Node::Time(policy.created_at)),
        ("updatedAt", Node::Time(policy.updated_at)),
    ])
}

#[cfg(test)]
mod tests;
