//! `policy explain`, `can-i` and `who-can`: Nexus answers. Upstream's Nexus has no such routes and answers 400; then the
//! policies are downloaded and the answer is worked out here, which is said on standard error.

use std::sync::Arc;

use spike_domain::{
    Role,
    rules::{MAX_PATH_BYTES, is_secret_path},
};
use spike_mtls::client::CallError;
use spike_wire::{
    ExplainRequest, ExplainResponse, Operation, PolicyListRequest, WhoCanRequest, WhoCanResponse,
};

use super::findings;
use super::local::Local;
use crate::cli::{Deed, Format, Question, WhoCanArgs};
use crate::context::{Context, Session};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{answers, write_json, write_yaml};

pub(super) async fn explain(
    question: Question,
    format: Format,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    check(&question)?;
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    let answer = answer(&question, &session, context).await?;
    // Whoever asks why somebody may is likely to wonder, so the policy is looked at as well.
    let policy = match &answer.policy {
        Some(name) => super::find(&session, name).await?,
        None => None,
    };
    let findings = policy.map(|policy| findings::of_policies([&policy])).unwrap_or_default();
    let node = || answers::explanation_node(&question, &answer, &findings);
    context.streams.render(|out| match format {
        Format::Human => answers::explanation(out, &question, &answer, &findings),
        Format::Json => write_json(out, &node(), 2),
        Format::Yaml => write_yaml(out, &node()),
    })
}

pub(super) async fn can_i(question: Question, context: &mut Context<'_>) -> Result<Exit, Error> {
    check(&question)?;
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    let allowed = answer(&question, &session, context).await?.allowed;
    context.streams.print(if allowed { "yes\n" } else { "no\n" })?;
    Ok(if allowed { Exit::Success } else { Exit::Denied })
}

pub(super) async fn who_can(arguments: WhoCanArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let WhoCanArgs { deed, format } = arguments;
    check_path(&deed.path)?;
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    let answer = everybody(&session, &deed, context).await?;
    context.streams.render(|out| match format {
        Format::Human => answers::everybody(out, &deed, &answer),
        Format::Json => write_json(out, &answers::everybody_node(&deed, &answer), 2),
        Format::Yaml => write_yaml(out, &answers::everybody_node(&deed, &answer)),
    })
}

async fn answer(
    question: &Question,
    session: &Session,
    context: &mut Context<'_>,
) -> Result<ExplainResponse, Error> {
    let Question { spiffe_id, deed: Deed { path, permission } } = question;
    let request = ExplainRequest {
        spiffe_id: spiffe_id.clone(),
        path: path.clone(),
        permission: permission.as_str().to_owned(),
    };
    match session.nexus.explain(&request).await {
        Err(error) if has_no_such_route(&error) => {
            Ok(download(session, context).await?.explain(spiffe_id, path, *permission))
        }
        answer => answer.map_err(session.failed(Operation::PolicyExplain, "")),
    }
}

async fn everybody(
    session: &Session,
    deed: &Deed,
    context: &mut Context<'_>,
) -> Result<WhoCanResponse, Error> {
    let Deed { path, permission } = deed;
    let request = WhoCanRequest { path: path.clone(), permission: permission.as_str().to_owned() };
    match session.nexus.who_can(&request).await {
        Err(error) if has_no_such_route(&error) => {
            Ok(download(session, context).await?.who_can(path, *permission))
        }
        answer => answer.map_err(session.failed(Operation::PolicyWhoCan, "")),
    }
}

/// Whether Nexus answered as upstream's does to what it does not know. Ours gives a reason with a 400.
pub(super) fn has_no_such_route(error: &CallError) -> bool {
    match error {
        CallError::Refused(refusal) => refusal.status.as_u16() == 400 && refusal.reason.is_none(),
        CallError::Transport(_) | CallError::Reply(_) => false,
    }
}

/// What is said when the work is done here.
pub(super) fn tell_of_local_answer(policies: usize, context: &mut Context<'_>) {
    let text = format!(
        "this SPIKE Nexus does not answer questions about policies; this is worked out here, from its policies ({policies}) and the trust roots of this process"
    );
    context.streams.complain("note:", &text);
}

async fn download(session: &Session, context: &mut Context<'_>) -> Result<Local, Error> {
    let policies = super::all(session, PolicyListRequest::default()).await?;
    tell_of_local_answer(policies.len(), context);
    Ok(Local::new(&policies, Arc::clone(&session.roots)))
}

/// The SPIFFE ID must have the form that Nexus asks of a peer (wire-api 5.2): nobody else ever gets as far as a policy.
fn check(question: &Question) -> Result<(), Error> {
    let Question { spiffe_id, deed } = question;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_id = spiffe_id.strip_prefix("spiffe://").is_some_and(|rest| {
        rest.split('/').all(|part| !part.is_empty() && part.bytes().all(is_name))
    });
    if is_id {
        return check_path(&deed.path);
    }
    Err(Error::usage_hint(
        format!("{spiffe_id:?} is not a SPIFFE ID"),
        "one looks like spiffe://example.org/acme/app",
    ))
}

fn check_path(path: &str) -> Result<(), Error> {
    if is_secret_path(path) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{path:?} is not a path: expected 1 to {MAX_PATH_BYTES} letters, digits and ._-/()?+*|[]{{}}\\"
    )))
}
