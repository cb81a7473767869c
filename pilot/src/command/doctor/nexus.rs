//! Whether Nexus is reached, whether it is a Nexus, and what it answers.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use spike_config::HttpsUrl;
use spike_domain::{Role, TrustRootsByRole};
use spike_mtls::{MtlsClient, PeerError, PeerRule, TransportError, clock, svid::SvidSource};
use spike_wire::{EmptyRequest, ErrorReply, Operation, StatusResponse};
use time::OffsetDateTime;
use tokio::net::TcpStream;

use super::check::{Check, Group};
use super::clock::date;
use super::{STATUS_STEP, STEP, timeouts, within};
use crate::exit::Exit;
use crate::hint;
use crate::output::one_line;

const NAME: &str = "name";
const TCP: &str = "connection";
const TLS: &str = "TLS";
const ANSWER: &str = "answer";

/// What an SVID needs to be accepted.
const TRUSTS: &str = "SPIKE Nexus holds the trust bundle of this process's trust domain";

/// An answer to the question for the status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    code: Option<String>,
    reason: Option<String>,
    request: Option<String>,
    /// What Nexus said that the time is, and what it was here.
    pub(super) date: Option<(OffsetDateTime, OffsetDateTime)>,
    /// The status, or why the body is none; `None` if Nexus refused.
    pub(super) body: Option<Result<StatusResponse, String>>,
}

/// Looks up the name and connects.
pub(super) async fn reach(api: &HttpsUrl) -> Vec<Check> {
    let host = api.host().trim_start_matches('[').trim_end_matches(']');
    let found = within(async { Ok(tokio::net::lookup_host((host, api.port())).await?.collect()) });
    let addresses: Vec<_> = match found.await {
        Ok(addresses) => addresses,
        Err(error) => return vec![judge_name(api, &error)],
    };
    let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let named = Check::ok(Group::Nexus, NAME, format!("{host} is {}", shown.join(", ")));
    let dialled = within(TcpStream::connect(addresses.as_slice())).await.map(drop);
    vec![named, judge_connection(api, dialled)]
}

fn judge_name(api: &HttpsUrl, error: &io::Error) -> Check {
    let host = api.host();
    let cause = format!("the host name {host} in SPIKE_NEXUS_API_URL has no address here");
    let next = if host.matches('.').count() < 2 {
        format!(
            "correct SPIKE_NEXUS_API_URL; if {host} is a Service of Kubernetes, its full name is SERVICE.NAMESPACE.svc"
        )
    } else {
        "correct SPIKE_NEXUS_API_URL, or the name service of this machine".to_owned()
    };
    Check::failed(Group::Nexus, NAME, Exit::Unreachable, format!("{api}: {error}"), (cause, next))
}

fn judge_connection(api: &HttpsUrl, dialled: io::Result<()>) -> Check {
    let at = format!("{}:{}", api.host(), api.port());
    let Err(error) = dialled else {
        return Check::ok(Group::Nexus, TCP, format!("{at} takes connections"));
    };
    let (cause, next) = match error.kind() {
        ErrorKind::ConnectionRefused => (
            format!("nobody listens at {at}: SPIKE Nexus does not run there"),
            "start SPIKE Nexus, or correct SPIKE_NEXUS_API_URL",
        ),
        ErrorKind::TimedOut => (
            format!(
                "{at} does not answer within {STEP:?}: the machine is down, or a firewall drops packets"
            ),
            "check the machine of SPIKE Nexus, the network between, and SPIKE_NEXUS_API_URL",
        ),
        _ => (
            format!("{at} cannot be reached"),
            "check the network between here and SPIKE Nexus, and SPIKE_NEXUS_API_URL",
        ),
    };
    Check::failed(Group::Nexus, TCP, Exit::Unreachable, format!("{at}: {error}"), (cause, next))
}

/// Asks for the status, which also shows whether the server is Nexus and accepts this process.
pub(super) async fn ask(
    source: &SvidSource,
    roots: &Arc<TrustRootsByRole>,
    api: &HttpsUrl,
) -> Result<Answer, TransportError> {
    let rule = PeerRule::Roles(&[Role::Nexus], Arc::clone(roots));
    let http = MtlsClient::new(source, rule, timeouts(STATUS_STEP))
        .map_err(|error| TransportError::Broken(error.to_string()))?;
    let url = api.join(Operation::OperatorStatus.path_and_query());
    let Ok(uri) = url.parse() else { return Err(TransportError::Address(url)) };
    let answer = http.post(&uri, "application/json", EmptyRequest.encode()).await?;
    let here = clock::now();
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let date = header("date").and_then(date).map(|there| (there, here));
    let request = header(spike_mtls::client::REQUEST_ID_HEADER).map(|id| one_line(id).into_owned());
    let status = answer.status().as_u16();
    if status == 200 {
        let body = StatusResponse::decode(answer.body()).map_err(|error| error.to_string());
        return Ok(Answer { status, code: None, reason: None, request, date, body: Some(body) });
    }
    let ErrorReply { code, reason } = ErrorReply::decode(answer.body());
    let code = code.map(|code| code.to_string());
    Ok(Answer { status, code, reason, request, date, body: None })
}

/// The handshake in both directions.
pub(super) fn judge_tls(api: &HttpsUrl, asked: &Result<Answer, TransportError>) -> Check {
    let failed = |evidence: String, cause: String, next: String| {
        Check::failed(Group::Nexus, TLS, Exit::Unreachable, evidence, (cause, next))
    };
    let Err(error) = asked else {
        let evidence = "the server is a SPIKE Nexus, and accepts the SVID of this process";
        return Check::ok(Group::Nexus, TLS, evidence);
    };
    let evidence = error.to_string();
    match error {
        TransportError::Unaccepted(_) => failed(
            evidence,
            "SPIKE Nexus ended the connection: it does not accept the SVID of this process".to_owned(),
            format!("check that {TRUSTS}, that the clocks agree, and look into its log"),
        ),
        TransportError::Broken(_) => failed(
            evidence,
            "SPIKE Nexus ended the connection and did not say why: too many connections of this SPIFFE ID, or of all, are busy; or it is about \
             to end; or it does not accept the SVID of this process"
                .to_owned(),
            format!(
                "look into its audit log (`spike audit query FILE --action connect`), which says if there were too many; else check that {TRUSTS}, and that the clocks agree"
            ),
        )
        .page("docs/runbooks/SpikeConnectionsRefused.md"),
        TransportError::Handshake { .. } => {
            let next = hint::handshake(error.peer_error());
            let found = failed(evidence, refused(api, error.peer_error()), next);
            match error.peer_error() {
                Some(PeerError::Times { not_before, now, .. }) if now < not_before => {
                    found.page("docs/runbooks/SpikeClockWrong.md")
                }
                Some(PeerError::Times { .. }) => found.page("docs/runbooks/SpikeSvidExpired.md"),
                Some(_) | None => found,
            }
        }
        TransportError::Timeout { .. } => failed(
            evidence,
            "the server takes connections and does not answer in time: it is overloaded, or no SPIKE Nexus".to_owned(),
            "check that SPIKE_NEXUS_API_URL names a SPIKE Nexus, and look into its log".to_owned(),
        ),
        TransportError::Connect { .. }
        | TransportError::Address(_)
        | TransportError::TooLarge { .. }
        | TransportError::Endless { .. } => failed(
            evidence,
            format!("{api} does not answer as a SPIKE Nexus"),
            "check that SPIKE_NEXUS_API_URL names a SPIKE Nexus".to_owned(),
        ),
    }
}

/// Why the certificate of the server was not accepted.
fn refused(api: &HttpsUrl, error: Option<&PeerError>) -> String {
    match error {
        None => format!(
            "the server at {api} does not speak TLS as a SPIKE Nexus does: it is another server"
        ),
        Some(
            PeerError::Malformed
            | PeerError::UriNames(_)
            | PeerError::NotASpiffeId(_)
            | PeerError::SigningCertificate(_),
        ) => format!("the server at {api} shows no X.509-SVID: it is not a SPIKE Nexus"),
        Some(PeerError::UnknownTrustDomain(id)) => {
            format!(
                "this process holds no trust bundle of the trust domain of {id}: the trust domains are not federated"
            )
        }
        Some(PeerError::Chain { id, .. }) => {
            format!(
                "the certificate of {id} was not signed by an authority that this process trusts"
            )
        }
        Some(PeerError::Times { id, not_before, now, .. }) if now < not_before => {
            format!("the certificate of {id} is not valid yet: the clocks differ")
        }
        Some(PeerError::Times { id, .. }) => format!(
            "the certificate of {id} has expired: the SPIFFE agent of SPIKE Nexus has not renewed it"
        ),
        Some(PeerError::Refused { id, expected }) => match Role::named_in(id) {
            None if hint::is_of_expected_domain(id, expected) => format!(
                "the server at {api} is {id}, in the trust domain of SPIKE Nexus: its registration entry gives it another SPIFFE ID than that of SPIKE Nexus"
            ),
            Some(Role::Nexus) => {
                format!(
                    "the server is {id}, and SPIKE_TRUST_ROOT_NEXUS of this process does not name its trust root"
                )
            }
            Some(_) | None => format!(
                "the server is {id}, and not a SPIKE Nexus: SPIKE_NEXUS_API_URL names another server"
            ),
        },
    }
}

/// What Nexus answered, for a process that may read the status or may not.
pub(super) fn judge_answer(answer: &Answer, may_read: bool) -> Check {
    let Answer { status, code, reason, request, body, .. } = answer;
    let request = request.as_ref().map(|request| format!("request {request}"));
    let parts = [Some(format!("HTTP {status}")), code.clone(), reason.clone(), request];
    let parts: Vec<_> = parts.iter().flatten().map(|part| one_line(part)).collect();
    let evidence = parts.join(", ");
    let failed = |exit, cause: &str, next: &str| {
        Check::failed(Group::Nexus, ANSWER, exit, evidence.clone(), (cause, next))
    };
    match (status, body) {
        (_, Some(Ok(status))) => {
            Check::ok(Group::Nexus, ANSWER, format!("SPIKE Nexus {}", one_line(&status.version)))
        }
        (_, Some(Err(error))) => failed(
            Exit::Failure,
            &format!("the answer is not that of a SPIKE Nexus: {error}"),
            "check that SPIKE_NEXUS_API_URL names a SPIKE Nexus, of this release or near it",
        ),
        (400, None) => Check::skipped(
            Group::Nexus,
            ANSWER,
            format!(
                "{evidence}: it answers, and does not know the question for its status. It may be upstream's SPIKE Nexus"
            ),
        ),
        (401 | 403, None) if !may_read => Check::skipped(
            Group::Nexus,
            ANSWER,
            format!("{evidence}: it answers, and this process may not read its status"),
        ),
        (401 | 403, None) => failed(
            Exit::Denied,
            "SPIKE Nexus does not take this process for an operator",
            "compare SPIKE_TRUST_ROOT_PILOT of SPIKE Nexus with the SPIFFE ID of this process; its audit log has the reason under the request",
        ),
        (503, None) => failed(
            Exit::NotReady,
            "SPIKE Nexus is not ready",
            "try again in a moment, and look into its log and its /readyz",
        ),
        (429, None) => failed(
            Exit::NotReady,
            "SPIKE Nexus takes no more requests of this SPIFFE ID at the moment",
            "try again in a moment",
        ),
        (_, None) => failed(
            Exit::Failure,
            "SPIKE Nexus failed",
            "look into its log, which has the reason under the request",
        ),
    }
}

#[cfg(test)]
mod tests;
