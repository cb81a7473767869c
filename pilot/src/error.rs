//! The failures of a command, with their messages and exit statuses.
//!
//! Messages follow "Error: ". Texts that upstream's scripts look for are kept letter by letter (cli-config-deploy 1.12). All
//! others are lower-case fragments. No message quotes a value of a secret, a share, or an argument that may be one.

use std::io;
use std::path::PathBuf;

use spike_config::ConfigError;
use spike_crypto::ShareError;
use spike_domain::Role;
use spike_mtls::{
    client::{CallError, Refusal},
    clock::second,
    svid::SvidError,
};
use spike_wire::{
    DataKind, KeeperStatus, KeeperStatusKind, NotReady, Operation, ReplyError, SealedBy,
    StatusResponse,
};
use time::OffsetDateTime;

use crate::about::{About, about};
use crate::exit::Exit;
use crate::next_step::{is_last_copy_at_nexus, next_step};
use crate::output::{LONGEST_ARGUMENT, one_line, shortened};

/// Upstream's text for every failure of a restore.
const RESTORE_FAILED: &str = "Failed to communicate with SPIKE Nexus";

/// How much of a reason is shown, in characters: it comes from the network.
const LONGEST_REASON: usize = 1500;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Arguments or an input file that cannot be used, and what to write instead, if that is known.
    #[error("{problem}")]
    Usage {
        /// What is wrong.
        problem: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// Settings that cannot be used.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// The runtime did not start.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
    /// The TLS library refused its configuration.
    #[error("cannot set up TLS: {0}")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No SVID.
    #[error(transparent)]
    NoIdentity(#[from] SvidError),
    /// An SVID that no server would accept now.
    #[error(
        "the SVID of this process, {id}, is valid from {} until {}, and it is {} on this machine: is the clock right?",
        second(*not_before), second(*not_after), second(*now)
    )]
    OwnTimes {
        /// The SPIFFE ID.
        id: String,
        /// When the SVID begins to be valid.
        not_before: OffsetDateTime,
        /// When it ends.
        not_after: OffsetDateTime,
        /// What time it is here.
        now: OffsetDateTime,
    },
    /// An SVID of another role. The first word is upstream's, because scripts look for it.
    #[error("access_unauthorized: this command needs a 'pilot' SPIFFE ID of the role {}, and this process is {id}", role_names(.roles))]
    WrongRole {
        /// The command needs one of these.
        roles: &'static [Role],
        /// The SPIFFE ID of this process.
        id: String,
        /// The SPIFFE IDs that would be accepted.
        expected: Vec<String>,
    },
    /// A call to Nexus failed.
    #[error("{}", describe(asked, error))]
    Call {
        /// What the call was about.
        asked: Box<Asked>,
        /// How it failed.
        error: CallError,
    },
    /// The secret exists, and has no value with that key.
    #[error("the secret {path} has no key {key:?}")]
    NoSuchKey {
        /// The secret.
        path: String,
        /// The key.
        key: String,
        /// The keys it has.
        keys: Vec<String>,
    },
    /// A version that does not exist or is deleted, or none that is deleted.
    #[error("{what}")]
    NotThere {
        /// What is true of the versions.
        what: String,
        /// The next step.
        hint: String,
    },
    /// No policy of that name.
    #[error("Entity not found. There is no policy {0:?}")]
    NoSuchPolicy(String),
    /// `policy create` would replace one.
    #[error("a policy {0:?} exists already")]
    PolicyExists(String),
    /// A command about several policies or shares failed at one of them.
    #[error("{error}")]
    Partly {
        /// What failed.
        error: Box<Self>,
        /// What happened to the others, as hints.
        others: Vec<String>,
    },
    /// The shares that Nexus sent cannot be saved.
    #[error("{0}; no recovery file was written")]
    UselessShares(String),
    /// A recovery file with other content would be replaced.
    #[error(
        "the directory {} holds other shares than SPIKE Nexus has sent now: {}; no recovery file was written",
        directory.display(), .files.join(", ")
    )]
    OtherShares {
        /// The directory.
        directory: PathBuf,
        /// The names of the files.
        files: Vec<String>,
    },
    /// A text that is not a share. Nothing was sent.
    #[error("{origin}: {error}")]
    BadShare {
        /// The file or stream that it came from.
        origin: String,
        /// What is wrong with it.
        error: ShareError,
    },
    /// Something could not be read.
    #[error("cannot read {what}: {error}")]
    Input {
        /// A file, or standard input.
        what: String,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {error}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// Standard output could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

/// What a call was about.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The route.
    pub(crate) operation: Operation,
    /// The path, the policy or the share; empty if there is none.
    pub(crate) subject: String,
    /// The SPIFFE ID that asked.
    pub(crate) id: String,
    /// Whether it has a role of this command, by the settings of this process.
    pub(crate) is_operator: bool,
    /// The URL of Nexus.
    pub(crate) api: String,
    /// The times between which the SVID of this process is valid.
    pub(crate) svid: (OffsetDateTime, OffsetDateTime),
    /// The status of Nexus, asked after it was not ready.
    pub(crate) status: Option<StatusResponse>,
    /// The size of a request that was too large, in bytes.
    pub(crate) too_large: Option<usize>,
}

impl Asked {
    /// Why Nexus is not ready, by the first word of its `reason`; `None` for all other answers. Upstream gives no reason, and
    /// answers 503 only while it is sealed.
    pub(crate) fn not_ready(&self, refusal: &Refusal) -> Option<NotReady> {
        let answer = not_ready_reason(self.operation, refusal)?;
        let is_sealed = matches!(answer, NotReady::Sealed | NotReady::Store);
        match &self.status {
            Some(status) if status.sealed && !is_sealed => Some(NotReady::Sealed),
            // Nexus was unsealed between the two answers.
            Some(status) if !status.sealed && is_sealed => Some(NotReady::Busy),
            Some(_) | None => Some(answer),
        }
    }

    /// Whether there is data, or a share at any Keeper, for which another root key would be useless.
    pub(crate) fn finds_something(&self) -> bool {
        let Some(status) = &self.status else { return false };
        // What is no share to Nexus may still be one to the Keeper, so it counts here.
        let holds = |keeper: &KeeperStatus| {
            let state = keeper.state;
            state.holds_share() == Some(true)
                || matches!(state, KeeperStatusKind::Unusable | KeeperStatusKind::Repeated)
        };
        status.data.is_some_and(|data| data != DataKind::None) || status.keepers.iter().any(holds)
    }

    /// What `spike operator status` says, where Nexus has got a key from the Keepers and cannot use it. So the two never differ.
    pub(crate) fn next_step(&self) -> Option<&'static str> {
        let status = self.status.as_ref().filter(|status| status.sealed)?;
        let is_theirs = is_last_copy_at_nexus(status)
            || match status.sealed_by? {
                SealedBy::NoData | SealedBy::OtherKey | SealedBy::Mismatch => true,
                SealedBy::Store | SealedBy::Shares => false,
            };
        next_step(status).filter(|_| is_theirs)
    }

    /// The reason of Nexus for being sealed; a text from the network.
    fn sealed_because(&self) -> Option<&str> {
        let status = self.status.as_ref().filter(|status| status.sealed)?;
        let reason = status.reason.as_deref()?;
        Some(reason.strip_prefix("not ready: ").unwrap_or(reason))
    }
}

impl Error {
    /// Bad usage, without a hint.
    pub(crate) fn usage(problem: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), hint: None }
    }

    /// Bad usage, with a hint.
    pub(crate) fn usage_hint(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), hint: Some(hint.into()) }
    }

    /// The exit status.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Settings(_) | Self::BadShare { .. } | Self::Input { .. } => {
                Exit::Usage
            }
            Self::NoIdentity(_) | Self::OwnTimes { .. } => Exit::Unreachable,
            Self::WrongRole { .. } => Exit::Denied,
            Self::NoSuchKey { .. } | Self::NotThere { .. } | Self::NoSuchPolicy(_) => {
                Exit::NotFound
            }
            Self::Call { asked, error } => exit_of_call(asked.operation, error),
            Self::Partly { error, .. } => error.exit(),
            Self::Runtime(_)
            | Self::Tls(_)
            | Self::PolicyExists(_)
            | Self::UselessShares(_)
            | Self::OtherShares { .. }
            | Self::File { .. }
            | Self::Output(_) => Exit::Failure,
        }
    }

    /// Upstream's text for a failed restore, which its recovery drill looks for, if our message does not contain it
    /// (cli-config-deploy 1.12).
    pub(crate) fn upstreams_words(&self) -> Option<&'static str> {
        match self {
            Self::Partly { error, .. } => error.upstreams_words(),
            Self::Call { asked, error: CallError::Refused(_) | CallError::Reply(_) } => {
                (asked.operation == Operation::OperatorRestore).then_some(RESTORE_FAILED)
            }
            _ => None,
        }
    }

    /// Whether the reader of standard output has closed it.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The HTTP status, if Nexus answered.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Call { error, .. } => error.status().map(|status| status.as_u16()),
            _ => None,
        }
    }
}

/// Why Nexus is not ready, by this answer alone. A sealed Nexus answers 500 to a request for recovery shares, as upstream's does
/// (wire-api N13); only the reason is ours.
fn not_ready_reason(operation: Operation, refusal: &Refusal) -> Option<NotReady> {
    let answer = refusal.reason.as_deref().and_then(NotReady::of_reason);
    match (refusal.status.as_u16(), answer) {
        (503, answer) => Some(answer.unwrap_or(NotReady::Sealed)),
        (500, Some(sealed @ (NotReady::Sealed | NotReady::Store)))
            if operation == Operation::OperatorRecover =>
        {
            Some(sealed)
        }
        (_, _) => None,
    }
}

fn exit_of_call(operation: Operation, error: &CallError) -> Exit {
    match error {
        CallError::Transport(_) => Exit::Unreachable,
        CallError::Reply(_) => Exit::Failure,
        CallError::Refused(refusal) if not_ready_reason(operation, refusal).is_some() => {
            Exit::NotReady
        }
        CallError::Refused(refusal) => match refusal.status.as_u16() {
            401 | 403 => Exit::Denied,
            404 => Exit::NotFound,
            429 => Exit::NotReady,
            _ => Exit::Failure,
        },
    }
}

fn role_names(roles: &[Role]) -> String {
    let quoted = |role: &Role| format!("'{}'", role_name(*role));
    roles.iter().map(quoted).collect::<Vec<_>>().join(" or ")
}

/// A role as operators know it.
const fn role_name(role: Role) -> &'static str {
    match role {
        Role::PilotSuperuser => "superuser",
        Role::PilotRecover => "recover",
        Role::PilotRestore => "restore",
        Role::Nexus => "nexus",
        Role::Keeper => "keeper",
        Role::Bootstrap => "bootstrap",
        Role::LiteWorkload => "lite workload",
    }
}

/// The message for a failed call. Upstream's text about the connection is used only for failures of the connection.
fn describe(asked: &Asked, error: &CallError) -> String {
    match error {
        CallError::Transport(error) if asked.operation == Operation::OperatorRestore => {
            format!("{RESTORE_FAILED} at {}: {error}", asked.api)
        }
        CallError::Transport(error) => {
            format!("Failed to connect to SPIKE Nexus at {}: {error}", asked.api)
        }
        CallError::Refused(refusal) => describe_refusal(asked, refusal),
        CallError::Reply(ReplyError::Malformed(error)) => {
            format!("the answer of SPIKE Nexus cannot be read: {error}")
        }
        CallError::Reply(ReplyError::Refused(code)) => format!("SPIKE Nexus answered [{code}]"),
    }
}

fn describe_refusal(asked: &Asked, refusal: &Refusal) -> String {
    let Asked { operation, subject, id, .. } = asked;
    let subject = shortened(subject, LONGEST_ARGUMENT);
    let About { verb, missing, .. } = about(*operation);
    let space = if subject.is_empty() { "" } else { " " };
    let not_ready = asked.not_ready(refusal);
    let text = match refusal.status.as_u16() {
        400 if refusal.reason.is_none() => {
            format!("SPIKE Nexus refused the request to {verb}{space}{subject}: invalid request")
        }
        400 => format!("SPIKE Nexus refused the request to {verb}{space}{subject}"),
        401 | 403 => format!("Unauthorized access: {id} may not {verb}{space}{subject}"),
        404 => format!("{missing}{}{subject}", if subject.is_empty() { "" } else { ": " }),
        _ if not_ready.is_some() => "SPIKE Nexus is not ready".to_owned(),
        _ => format!("SPIKE Nexus could not {verb}{space}{subject}"),
    };
    let mut answer = refusal.status.as_u16().to_string();
    if let Some(code) = &refusal.code {
        answer = format!("{answer} {code}");
    }
    if let Some(request) = &refusal.request_id {
        answer = format!("{answer}, request {request}");
    }
    let sealed = asked.sealed_because().filter(|_| not_ready.is_some());
    let state = if sealed.is_some() { "sealed: " } else { "" };
    match sealed.or(refusal.reason.as_deref()) {
        Some(reason) => {
            let reason = one_line(reason);
            format!("{text}: {state}{} ({answer})", shortened(&reason, LONGEST_REASON))
        }
        None => format!("{text} ({answer})"),
    }
}

#[cfg(test)]
mod tests;
