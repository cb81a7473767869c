//! Errors, distinguished as far as a workload may handle them differently.

use spike_config::ConfigError;
use spike_mtls::{client::CallError, svid::SvidError};

/// Why a call, or the connection of a client, failed.
///
/// # Examples
/// ```no_run
/// use spike_sdk::Error;
///
/// # async fn example(spike: &spike_sdk::Client) -> Result<(), Error> {
/// match spike.get("tenants/acme/db").await {
///     Err(Error::NotFound) => println!("there is no such secret"),
///     Err(Error::Denied { request_id }) => println!("denied: ask an operator about {request_id:?}"),
///     other => drop(other?),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment is not a valid configuration. Lists every problem.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// This process has no identity: there is no agent, or no matching registration entry.
    #[error(transparent)]
    Identity(#[from] SvidError),
    /// TLS cannot be configured.
    #[error("TLS cannot be configured: {0}")]
    Tls(String),
    /// No policy allows the call. With the request id an operator finds the reason in the audit log.
    #[error("denied: no policy allows this (request {})", request_id.as_deref().unwrap_or("unknown"))]
    Denied {
        /// The id of the request in the audit log.
        request_id: Option<String>,
    },
    /// The secret or version does not exist, or is deleted.
    #[error("no such secret or version")]
    NotFound,
    /// Nexus refused the request: it has an invalid path or name.
    #[error("refused as invalid: {}", reason.as_deref().unwrap_or("no reason given"))]
    Invalid {
        /// Nexus's explanation.
        reason: Option<String>,
    },
    /// The time limit passed. The cause is the last failure.
    #[error("not done within the deadline")]
    Deadline(#[source] Box<Self>),
    /// Another failure: Nexus is unreachable or not ready, or the connection broke.
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
