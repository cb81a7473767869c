//! The task that follows the Workload API: it opens the stream, adopts updates, and tries again when it ends.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::{Duration, Instant},
};

use spike_config::{EndpointError, EndpointSocket};

use super::{
    BundleFault, FetchFailure, Material, MaterialError, Visibility,
    bundle_changes::BundleChanges,
    forbidden::may_not_open,
    message::{self, FetchError},
    shared::{Denial, Shared},
    visibility::Attestation,
};
use crate::{clock, retry::Backoff};

/// The first and the longest pause between two tries.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long a process with keys stays visible while it waits for the agent's answer.
const EXPOSURE_LIMIT: Duration = Duration::from_secs(10);

/// Why one try failed.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("{0} is not an address of a Workload API: {1}")]
    Address(String, #[source] EndpointError),
    #[error("does the SPIFFE agent run, and is this its socket? {}", innermost(.0))]
    Connect(#[source] tonic::transport::Error),
    /// The user of this process may not open the socket.
    #[error("{0}")]
    Forbidden(String),
    /// The agent does not recognize this process.
    #[error("{0}")]
    Refused(String),
    #[error("the agent gave this process another SPIFFE ID, {0}, than before")]
    OtherIdentity(String),
    #[error("the agent answered {0:?}: {1}")]
    Status(tonic::Code, String),
    #[error(
        "the agent did not answer within {EXPOSURE_LIMIT:?}, in which it could look at this process"
    )]
    Silent,
    #[error(transparent)]
    Material(#[from] MaterialError),
    #[error("the agent ended the stream")]
    Ended,
}

/// SPIRE's message to a process without a registration entry.
const NO_IDENTITY: &str = "no identity issued";

/// What SPIRE says from 1.15 on to a process that it could not look at. Before that, it found no registration entry for it.
const NOT_ATTESTED: &str = "workload attestation failed";

impl FollowError {
    const fn kind(&self) -> FetchFailure {
        match self {
            Self::Address(..) => FetchFailure::Address,
            Self::Connect(_) | Self::Forbidden(_) => FetchFailure::Unreachable,
            Self::Refused(_) => FetchFailure::Refused,
            Self::OtherIdentity(_) => FetchFailure::OtherIdentity,
            Self::Status(..) => FetchFailure::Error,
            Self::Silent => FetchFailure::Silent,
            Self::Material(_) => FetchFailure::Unusable,
            Self::Ended => FetchFailure::Ended,
        }
    }

    /// Whether somebody has decided against this process.
    const fn denial(&self) -> Option<Denial> {
        match self {
            Self::Forbidden(_) => Some(Denial::Socket),
            Self::Refused(_) | Self::OtherIdentity(_) => Some(Denial::Agent),
            _ => None,
        }
    }

    /// Whether the agent may decide otherwise when it can see more of this process.
    const fn refused(&self) -> bool {
        matches!(self.denial(), Some(Denial::Agent))
    }
}

/// Follows the Workload API at `endpoint` without end.
pub(super) async fn follow(endpoint: String, visibility: Visibility, shared: Arc<Shared>) {
    let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
    let mut attestation = Attestation::new(visibility);
    loop {
        attestation.before_try(shared.current().is_some());
        let error = follow_once(&endpoint, &shared, &mut backoff, &mut attestation).await;
        attestation.failed(error.refused(), shared.current().is_some());
        let first_of_its_kind = shared.is_first_failure();
        let (pause, reason) = (backoff.pause(), error.to_string());
        shared.record_failure((error.kind(), &reason), error.denial(), pause, clock::now());
        if first_of_its_kind {
            tracing::warn!(endpoint, reason = %error, "lost the SPIFFE Workload API, will try again");
        } else {
            tracing::debug!(endpoint, reason = %error, "no SPIFFE Workload API yet");
        }
        tokio::time::sleep(pause).await;
    }
}

/// Opens a stream and adopts its updates until it ends. Returns why it ended.
async fn follow_once(
    endpoint: &str,
    shared: &Shared,
    backoff: &mut Backoff,
    attestation: &mut Attestation,
) -> FollowError {
    let socket: EndpointSocket = match endpoint.parse() {
        Ok(socket) => socket,
        Err(error) => return FollowError::Address(endpoint.to_owned(), error),
    };
    let begun = Instant::now();
    let mut is_first = true;
    let first = async {
        let mut stream = message::fetch(socket.address()).await?;
        let answer = stream.next().await;
        Ok((stream, answer))
    };
    let first = if attestation.exposed() {
        match tokio::time::timeout(EXPOSURE_LIMIT, first).await {
            Ok(first) => first,
            Err(_) => return FollowError::Silent,
        }
    } else {
        first.await
    };
    let (mut stream, mut answer) = match first {
        Ok(first) => first,
        Err(FetchError::Connect(error)) => return unconnected(&socket, error),
        Err(FetchError::Refused(status)) => return from_status(&status, attestation),
    };
    loop {
        let response = match answer {
            Ok(Some(response)) => response,
            Ok(None) => return FollowError::Ended,
            Err(status) => return from_status(&status, attestation),
        };
        let arrived = Instant::now();
        // First of all: the answer contains a private key.
        attestation.hide();
        let material = match Material::from_response(&response) {
            Ok(material) => material,
            Err(error) => return error.into(),
        };
        drop(response);
        if attestation.can_show_more() && is_another(shared, &material) {
            return FollowError::OtherIdentity(material.id().to_string());
        }
        attestation.accepted();
        tracing::info!(id = %material.id(), not_after = clock::second(material.not_after()), "new X.509-SVID");
        let before = shared.current();
        if let Some(before) = before.as_ref().filter(|before| before.id() != material.id()) {
            // Also on a stream that is open, after a change of the registration entry.
            tracing::warn!(id = %material.id(), before = %before.id(), "the agent gave this process another SPIFFE ID than before");
        }
        if let Some(before) = &before {
            report_changes(&material.bundle_changes(before));
        }
        report_faults(before.as_deref().map_or(&[], Material::bundle_faults), &material);
        shared.adopt(material, clock::now());
        shared.updates.count(arrived.elapsed());
        if std::mem::take(&mut is_first) {
            shared.fetches.count(begun.elapsed());
        }
        backoff.reset();
        answer = stream.next().await;
    }
}

fn unconnected(socket: &EndpointSocket, error: tonic::transport::Error) -> FollowError {
    let denied = deepest(&error).downcast_ref::<io::Error>();
    match socket.unix_path() {
        Some(path) if denied.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied) => {
            FollowError::Forbidden(may_not_open(path))
        }
        _ => FollowError::Connect(error),
    }
}

fn from_status(status: &tonic::Status, attestation: &Attestation) -> FollowError {
    match status.code() {
        tonic::Code::PermissionDenied => {
            FollowError::Refused(refusal(status.message(), attestation.hidden()))
        }
        tonic::Code::Unavailable if status.message().contains(NOT_ATTESTED) => {
            FollowError::Refused(unattested(attestation.hidden()))
        }
        code => {
            // The status of a connection that failed names no cause.
            let cause = std::error::Error::source(status).map(|cause| deepest(cause).to_string());
            let text = joined(status.message(), &cause.unwrap_or_default());
            FollowError::Status(code, text.escape_debug().take(256).collect())
        }
    }
}

/// Why the agent may have refused this process, with its message if that is unusual.
fn refusal(message: &str, hidden: bool) -> String {
    let quoted = if message.contains(NO_IDENTITY) {
        String::new()
    } else {
        format!(" It says: {}", message.escape_debug().take(256).collect::<String>())
    };
    let cause = cause(hidden);
    format!(
        "the agent has no identity for this process: is there a registration entry whose selectors match it?{quoted} ({cause})"
    )
}

/// The same, where the agent has not come as far as its registration entries.
fn unattested(hidden: bool) -> String {
    format!(
        "the agent could not look at this process, and gives it no identity ({})",
        cause(hidden)
    )
}

const fn cause(hidden: bool) -> &'static str {
    if hidden {
        "This process hides its executable from an agent that is not root"
    } else {
        "An agent that is not root cannot see the executable of another user's process"
    }
}

/// Whether the agent gave this process another identity than before: it may have seen too little of the process.
fn is_another(shared: &Shared, material: &Material) -> bool {
    shared.current().is_some_and(|before| before.id() != material.id())
}

/// Logs a change of the bundles, once. It changes who is trusted, so the log has it at its default level.
fn report_changes(changes: &BundleChanges) {
    if changes.is_empty() {
        return;
    }
    let BundleChanges { added, removed, changed } = changes;
    tracing::warn!(%added, %removed, %changed, "the trust bundles of the Workload API have changed");
}

/// Logs the faults of the bundles, once for each change.
fn report_faults(before: &[BundleFault], material: &Material) {
    let faults = material.bundle_faults();
    if faults == before {
        return;
    }
    for fault in faults.iter().filter(|fault| !before.contains(fault)) {
        tracing::warn!(
            trust_domain = fault.trust_domain(),
            reason = %fault,
            "a trust bundle of the Workload API cannot be used as sent"
        );
    }
    if faults.is_empty() {
        tracing::warn!("every trust bundle of the Workload API can be used again");
    }
}

/// The outermost and the innermost cause: "transport error" alone explains nothing.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    joined(&error.to_string(), &deepest(error).to_string())
}

fn joined(outer: &str, inner: &str) -> String {
    if outer.contains(inner) { outer.to_owned() } else { format!("{outer}: {inner}") }
}

fn deepest<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}
