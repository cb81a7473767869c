//! `policy explain`, `can-i` and `who-can`, which Nexus answers. Upstream's Nexus has no such routes and answers 400. Then this
//! program downloads the policies, computes the answer, and says so on standard error.

use std::sync::Arc;

use spike_domain::{
    Role,
    rules::{MAX_PATH_BYTES, is_secret_path},
    trust_domain_of,
};
use spike_mtls::client::CallError;
use spike_wire::{
    ExplainRequest, ExplainResponse, PolicyListRequest, WhoCanRequest, WhoCanResponse, call,
};

use super::findings;
use super::local::Local;
use crate::cli::{Action, Format, Question, WhoCanArgs};
use crate::context::{Context, Session};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{answers, quoted, write_json, write_yaml};

pub(super) async fn explain(
    question: Question,
    format: Format,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    check(&question)?;
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    let answer = answer(&question, &session, context).await?;
    // The policy that allows it may be a mistake, so its findings are printed too.
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
    let ExplainResponse { allowed, no_bundle_of, .. } =
        answer(&question, &session, context).await?;
    if let Some(domain) = no_bundle_of {
        let text = format!(
            "SPIKE Nexus holds no trust bundle of {domain}: it refuses this SVID in the handshake, whatever policies allow"
        );
        context.streams.message("warning:", &text);
    }
    context.streams.print(if allowed { "yes\n" } else { "no\n" })?;
    Ok(if allowed { Exit::Success } else { Exit::Denied })
}

pub(super) async fn who_can(arguments: WhoCanArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let WhoCanArgs { action, format } = arguments;
    check_path(&action.path)?;
    let session = context.nexus(&[Role::PilotSuperuser]).await?;
    let answer = who_can_answer(&session, &action, context).await?;
    context.streams.render(|out| match format {
        Format::Human => answers::who_can(out, &action, &answer),
        Format::Json => write_json(out, &answers::who_can_node(&action, &answer), 2),
        Format::Yaml => write_yaml(out, &answers::who_can_node(&action, &answer)),
    })
}

async fn answer(
    question: &Question,
    session: &Session,
    context: &mut Context<'_>,
) -> Result<ExplainResponse, Error> {
    let Question { spiffe_id, action: Action { path, permission } } = question;
    let request = ExplainRequest {
        spiffe_id: spiffe_id.clone(),
        path: path.clone(),
        permission: permission.as_str().to_owned(),
    };
    match session.call::<call::PolicyExplain>(&request, "").await {
        Err(error) if has_no_such_route(&error) => {
            Ok(download(session, context).await?.explain(spiffe_id, path, *permission))
        }
        answer => answer,
    }
}

async fn who_can_answer(
    session: &Session,
    action: &Action,
    context: &mut Context<'_>,
) -> Result<WhoCanResponse, Error> {
    let Action { path, permission } = action;
    let request = WhoCanRequest { path: path.clone(), permission: permission.as_str().to_owned() };
    match session.call::<call::PolicyWhoCan>(&request, "").await {
        Err(error) if has_no_such_route(&error) => {
            Ok(download(session, context).await?.who_can(path, *permission))
        }
        answer => answer,
    }
}

/// Whether the answer is that of upstream's Nexus to an unknown route. Our Nexus gives a reason with a 400.
pub(super) fn has_no_such_route(error: &Error) -> bool {
    let Error::Call { error: CallError::Refused(refusal), .. } = error else { return false };
    refusal.status.as_u16() == 400 && refusal.reason.is_none()
}

/// The note that the answer was computed here.
pub(super) fn tell_of_local_answer(policies: usize, context: &mut Context<'_>) {
    let text = format!(
        "this SPIKE Nexus does not answer questions about policies; this is worked out here, from its policies ({policies}) and the trust roots of this process"
    );
    context.streams.message("note:", &text);
}

async fn download(session: &Session, context: &mut Context<'_>) -> Result<Local, Error> {
    let policies = super::all(session, PolicyListRequest::default()).await?;
    tell_of_local_answer(policies.len(), context);
    Ok(Local::new(&policies, Arc::clone(&session.roots)))
}

/// The SPIFFE ID must have the form that Nexus requires of a peer (wire-api 5.2). Policies never see any other.
pub(in crate::command) fn check(question: &Question) -> Result<(), Error> {
    let Question { spiffe_id, action } = question;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_id = spiffe_id.strip_prefix("spiffe://").is_some_and(|rest| {
        rest.split('/').all(|part| !part.is_empty() && part.bytes().all(is_name))
    });
    let has_upper_case =
        trust_domain_of(spiffe_id).is_some_and(|it| it.contains(|c: char| c.is_ascii_uppercase()));
    if is_id && has_upper_case {
        return Err(Error::usage_hint(
            format!("{spiffe_id:?} is not a SPIFFE ID: trust domains are written in lower case"),
            "the path of an ID may have upper case",
        ));
    }
    if is_id {
        return check_path(&action.path);
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
        "{} is not a path: expected 1 to {MAX_PATH_BYTES} letters, digits and ._-/()?+*|[]{{}}\\",
        quoted(path)
    )))
}
