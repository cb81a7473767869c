//! What can go wrong, told apart as far as a workload would handle it differently.

use spike_config::ConfigError;
use spike_mtls::{client::CallError, svid::SvidError};

/// Why a call, or the client, did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment does not make a valid configuration. Lists every problem.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// This process has no identity: no agent, or no registration entry that matches it.
    #[error(transparent)]
    Identity(#[from] SvidError),
    /// TLS cannot be configured.
    #[error("TLS cannot be configured: {0}")]
    Tls(String),
    /// No policy allows this. The request id leads an operator to the reason in the audit log.
    #[error("denied: no policy allows this (request {})", request_id.as_deref().unwrap_or("unknown"))]
    Denied {
        /// The name of the request in the audit log.
        request_id: Option<String>,
    },
    /// There is no such secret or version, or it is deleted.
    #[error("no such secret or version")]
    NotFound,
    /// Nexus refused the request as such: a bad path or name.
    #[error("refused as invalid: {}", reason.as_deref().unwrap_or("no reason given"))]
    Invalid {
        /// What Nexus says about it.
        reason: Option<String>,
    },
    /// The deadline passed. What went wrong last is the cause.
    #[error("not done within the deadline")]
    Deadline(#[source] Box<Self>),
    /// Anything else: unreachable, not ready, or broken.
    #[error("the call failed: {0}")]
    Call(#[source] CallError),
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => match refusal.status.as_u16() {
                400 => Self::Invalid { reason: refusal.reason },
                401 => Self::Denied { request_id: refusal.request_id },
                404 => Self::NotFound,
                _ => Self::Call(CallError::Refused(refusal)),
            },
            other @ (CallError::Transport(_) | CallError::Reply(_)) => Self::Call(other),
        }
    }
}
