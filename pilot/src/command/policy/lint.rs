//! `policy lint`: what policies say that nobody meant, of files without any Nexus, or of all stored policies.

use std::collections::HashMap;
use std::path::PathBuf;

use spike_domain::Role;
use spike_policy::lint;
use spike_policy::{Field, Permission, Policy, Refusal};
use spike_wire as wire;
use spike_wire::{LintFinding, LintResponse, Operation, PolicyPutRequest};

use super::{document, local, questions};
use crate::cli::{Format, LintArgs};
use crate::command::read_input;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{answers, write_json, write_yaml};

/// Prints the findings. The status is a failure where any of them is a warning or an error.
pub(super) async fn run(arguments: LintArgs, context: &mut Context<'_>) -> Result<Exit, Error> {
    let LintArgs { file, format } = arguments;
    let answer = if file.is_empty() { of_nexus(context).await? } else { of_files(&file, context)? };
    context.streams.render(|out| match format {
        Format::Human => answers::findings(out, &answer),
        Format::Json => write_json(out, &answers::findings_node(&answer), 2),
        Format::Yaml => write_yaml(out, &answers::findings_node(&answer)),
    })?;
    let serious = answer.findings.iter().any(is_serious);
    Ok(if serious { Exit::Failure } else { Exit::Success })
}

/// Whether a finding is worse than a notice.
pub(super) fn is_serious(finding: &LintFinding) -> bool {
    finding.severity != lint::Severity::Notice.as_str()
}

/// The findings about policies that are to be written.
pub(super) fn of_requests(requests: &[PolicyPutRequest]) -> Vec<LintFinding> {
    let unknown = requests.iter().flat_map(unknown_permissions);
    let policies: Vec<Policy> = requests.iter().map(local::wanted).collect();
    let known = lint::lint_all(&policies).into_iter();
    let mut findings: Vec<LintFinding> = unknown
        .chain(known.filter(|finding| !is_about_lost_words(finding, requests)).map(local::finding))
        .collect();
    let order: HashMap<&str, usize> =
        requests.iter().enumerate().map(|(at, request)| (request.name.as_str(), at)).collect();
    findings.sort_by_key(|finding| order.get(finding.policy.as_str()).copied());
    findings
}

/// The findings about stored policies.
pub(super) fn of_policies<'p>(
    policies: impl IntoIterator<Item = &'p wire::Policy>,
) -> Vec<LintFinding> {
    let policies: Vec<Policy> = policies.into_iter().map(local::stored).collect();
    lint::lint_all(&policies).into_iter().map(local::finding).collect()
}

/// Words that the engine has no type for.
fn unknown_permissions(request: &PolicyPutRequest) -> impl Iterator<Item = LintFinding> {
    let unknown = request.permissions.iter().filter(|word| Permission::from_word(word).is_none());
    unknown.map(|word| LintFinding {
        policy: request.name.clone(),
        code: lint::Code::Invalid.as_str().to_owned(),
        severity: lint::Severity::Error.as_str().to_owned(),
        field: Field::Permissions.as_str().to_owned(),
        message: Refusal::UnknownPermission { word: word.clone() }.to_string(),
        fix: "use read, write, list, execute or super".to_owned(),
        replacement: None,
    })
}

/// Whether a policy seems to have no permissions only because its words are unknown.
fn is_about_lost_words(finding: &lint::Finding, requests: &[PolicyPutRequest]) -> bool {
    finding.code == lint::Code::Invalid
        && finding.field == Field::Permissions
        && requests.iter().any(|request| {
            request.name == finding.policy && unknown_permissions(request).next().is_some()
        })
}

fn of_files(files: &[PathBuf], context: &mut Context<'_>) -> Result<LintResponse, Error> {
    let mut requests: Vec<PolicyPutRequest> = Vec::new();
    let mut origins: HashMap<String, &PathBuf> = HashMap::new();
    for file in files {
        let bytes = read_input(file, context)?;
        for request in document::read_unchecked(&bytes).map_err(|error| error.in_file(file))? {
            if let Some(first) = origins.insert(request.name.clone(), file) {
                let (name, first, again) = (&request.name, first.display(), file.display());
                let problem = format!("the policy {name:?} is in {first} and in {again}");
                return Err(Error::usage(problem));
            }
            requests.push(request);
        }
    }
    Ok(LintResponse { findings: of_requests(&requests), policies: requests.len() })
}

async fn of_nexus(context: &mut Context<'_>) -> Result<LintResponse, Error> {
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    match session.nexus.lint_policies().await {
        Err(error) if questions::has_no_such_route(&error) => {
            let policies = super::all(&session, wire::PolicyListRequest::default()).await?;
            questions::tell_of_local_answer(policies.len(), context);
            Ok(LintResponse { findings: of_policies(&policies), policies: policies.len() })
        }
        answer => answer.map_err(session.failed(Operation::PolicyLint, "")),
    }
}
