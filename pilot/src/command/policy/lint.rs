//! `policy lint`: mistakes in the policies of files, without Nexus, or in all stored policies.

use std::collections::HashMap;
use std::path::PathBuf;

use spike_domain::Role;
use spike_wire::{EmptyRequest, LintResponse, PolicyListRequest, PolicyPutRequest, call};

use super::{document, findings, questions};
use crate::cli::{Format, LintArgs};
use crate::command::{read_input, refuse_stdin_twice};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{answers, write_json, write_yaml};

/// Prints the findings. The status is [`Exit::Findings`] if one of them is a warning or an error.
pub(super) async fn run(arguments: LintArgs, context: &mut Context<'_>) -> Result<Exit, Error> {
    let LintArgs { file, format } = arguments;
    let answer = if file.is_empty() { of_nexus(context).await? } else { of_files(&file, context)? };
    context.streams.render(|out| match format {
        Format::Human => answers::findings(out, &answer),
        Format::Json => write_json(out, &answers::findings_node(&answer), 2),
        Format::Yaml => write_yaml(out, &answers::findings_node(&answer)),
    })?;
    let serious = answer.findings.iter().any(findings::is_serious);
    Ok(if serious { Exit::Findings } else { Exit::Success })
}

fn of_files(files: &[PathBuf], context: &mut Context<'_>) -> Result<LintResponse, Error> {
    refuse_stdin_twice(files)?;
    let mut requests: Vec<PolicyPutRequest> = Vec::new();
    let mut origins: HashMap<String, &PathBuf> = HashMap::new();
    for file in files {
        let bytes = read_input(Some(file), context)?;
        for request in document::read_unchecked(&bytes).map_err(|error| error.in_file(file))? {
            if let Some(first) = origins.insert(request.name.clone(), file) {
                let (name, first, again) = (&request.name, first.display(), file.display());
                let problem = format!("the policy {name:?} is in {first} and in {again}");
                return Err(Error::usage(problem));
            }
            requests.push(request);
        }
    }
    Ok(LintResponse { findings: findings::of_requests(&requests), policies: requests.len() })
}

async fn of_nexus(context: &mut Context<'_>) -> Result<LintResponse, Error> {
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    match session.call::<call::PolicyLint>(&EmptyRequest, "").await {
        Err(error) if questions::has_no_such_route(&error) => {
            let policies = super::all(&session, PolicyListRequest::default()).await?;
            questions::tell_of_local_answer(policies.len(), context);
            Ok(LintResponse {
                findings: findings::of_policies(&policies),
                policies: policies.len(),
            })
        }
        answer => answer,
    }
}
