//! Errors: a case for each thing that a workload may handle differently.

mod classify;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

/// # Examples
/// ```
/// use spike_sdk::{Client, Environment, Error};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let wrong = Environment::from_pairs([("SPIKE_NEXUS_API_URL", "http://nexus")]);
/// let Err(Error::Configuration(error)) = Client::builder().environment(wrong).connect().await else { panic!() };
/// assert_eq!(error.problems()[0].variable, "SPIKE_NEXUS_API_URL");
/// # })
/// ```
#[doc(inline)]
pub use spike_config::ConfigError;
/// # Examples
/// See [`ConfigError`] and [`Client::notices`](crate::Client::notices).
#[doc(inline)]
pub use spike_config::{Outcome, Problem};
/// # Examples
/// ```no_run
/// # async fn example() {
/// match spike_sdk::Client::connect().await {
///     Err(spike_sdk::Error::Identity(error)) => println!("no identity: {error}"),
///     other => drop(other),
/// }
/// # }
/// ```
#[doc(inline)]
pub use spike_mtls::svid::SvidError;

/// Why a call, or the connection of a client, failed.
///
/// [`Error::is_temporary`] says whether the same call may succeed later; the client has tried it again already, as its
/// [`Retry`](crate::Retry) says. More cases may come in a later version.
///
/// # Examples
/// ```no_run
/// use spike_sdk::Error;
///
/// # async fn example(spike: &spike_sdk::Client) -> Result<(), Error> {
/// match spike.get("tenants/acme/db").await {
///     Ok(secret) => println!("it has {} values", secret.names().count()),
///     Err(Error::NotFound) => println!("there is no such secret"),
///     Err(Error::Denied { request_id, .. }) => println!("denied: ask an operator about {request_id:?}"),
///     Err(error) if error.is_temporary() => println!("later, perhaps: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are not valid. Lists every problem.
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
    #[non_exhaustive]
    Denied {
        /// The id of the request in the audit log.
        request_id: Option<String>,
    },
    /// The secret, version or policy does not exist, or is deleted; or there is nothing to undelete.
    #[error("no such secret, version or policy")]
    NotFound,
    /// There is a policy of that name, and the call was to make a new one.
    #[error("there is one of that name already")]
    AlreadyExists,
    /// Nexus refused the request: it has an invalid path, name or pattern, or a ciphertext that does not open.
    #[error("refused as invalid: {}", Reason(reason))]
    #[non_exhaustive]
    Invalid {
        /// The explanation.
        reason: Option<String>,
    },
    /// The request or the answer is larger than its limit.
    #[error("too large: {}", Reason(reason))]
    #[non_exhaustive]
    TooLarge {
        /// Which limit it is.
        reason: Option<String>,
    },
    /// Nexus has too much to do, for this workload or for all, or is about to end. Nothing was done. The client waits
    /// as long as Nexus asks for before it tries again.
    #[error("SPIKE Nexus is busy: {}", Reason(reason))]
    #[non_exhaustive]
    Busy {
        /// The explanation.
        reason: Option<String>,
        /// After which time to try again, if Nexus says.
        retry_after: Option<Duration>,
    },
    /// Nexus has no root key, or cannot open its store. Nothing was done. An operator may have to act.
    #[error("SPIKE Nexus is not ready: {}", Reason(reason))]
    #[non_exhaustive]
    Sealed {
        /// The explanation.
        reason: Option<String>,
    },
    /// There is no connection to Nexus. The request was not sent.
    #[error("SPIKE Nexus cannot be reached: {reason}")]
    #[non_exhaustive]
    Unreachable {
        /// The address that was tried, and what happened.
        reason: String,
    },
    /// The request was sent, and no answer came. A write may or may not have been done.
    #[error("no answer from SPIKE Nexus: {reason}")]
    #[non_exhaustive]
    Unanswered {
        /// What happened.
        reason: String,
    },
    /// Whoever answers at the address is not Nexus: another SPIFFE ID, another trust domain, or a certificate that does
    /// not verify. Nothing was sent to it. Trying again does not help.
    #[error("another than SPIKE Nexus answers: {reason}")]
    #[non_exhaustive]
    WrongServer {
        /// The SPIFFE ID in the certificate of the other end, if there is one. It may not be proved.
        id: Option<String>,
        /// Why it was refused.
        reason: String,
    },
    /// Nexus does not accept the SVID of this process: it is of a trust domain whose bundle Nexus does not hold, or has
    /// expired. Nothing was done. Trying again does not help.
    #[error("SPIKE Nexus does not accept the identity of this process: {reason}")]
    #[non_exhaustive]
    IdentityRefused {
        /// What the other end said.
        reason: String,
    },
    /// Nexus failed. A write may or may not have been done.
    #[error("SPIKE Nexus failed with status {status} (request {}): {}", request_id.as_deref().unwrap_or("unknown"), Reason(reason))]
    #[non_exhaustive]
    Server {
        /// The HTTP status.
        status: u16,
        /// The explanation.
        reason: Option<String>,
        /// The id of the request in the audit log and in the log of Nexus.
        request_id: Option<String>,
    },
    /// The answer has another form than expected.
    #[error("the answer of SPIKE Nexus cannot be used: {reason}")]
    #[non_exhaustive]
    BadAnswer {
        /// What is wrong with it.
        reason: String,
    },
    /// The time limit of the client passed.
    #[error("not done within {limit:?}, in {}{}", Tries(*tries), Last(last, *was_under_way))]
    #[non_exhaustive]
    Deadline {
        /// The time limit.
        limit: Duration,
        /// How many times the call was tried.
        tries: u32,
        /// Whether a try was under way when the time ended. Then a write may have been done.
        was_under_way: bool,
        /// Why the last try that ended failed; `None` if none ended.
        #[source]
        last: Option<Box<Self>>,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody acting on this workload, its policy or its settings.
    ///
    /// # Examples
    /// ```
    /// use spike_sdk::Error;
    ///
    /// assert!(!Error::NotFound.is_temporary());
    /// ```
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Identity(_)
            | Self::Busy { .. }
            | Self::Sealed { .. }
            | Self::Unreachable { .. }
            | Self::Unanswered { .. }
            | Self::Server { .. }
            | Self::Deadline { .. } => true,
            Self::Configuration(_)
            | Self::Tls(_)
            | Self::Denied { .. }
            | Self::NotFound
            | Self::AlreadyExists
            | Self::Invalid { .. }
            | Self::TooLarge { .. }
            | Self::WrongServer { .. }
            | Self::IdentityRefused { .. }
            | Self::BadAnswer { .. } => false,
        }
    }

    /// Whether a write that failed with this may have been done all the same. Read before you write again.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) {
    /// if let Err(error) = spike.put("tenants/acme/db", [("pass", "s3cret")]).await {
    ///     if error.may_have_been_done() {
    ///         println!("read it again before the next put: {error}");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn may_have_been_done(&self) -> bool {
        match self {
            Self::Unanswered { .. } | Self::Server { .. } | Self::BadAnswer { .. } => true,
            Self::Deadline { was_under_way, last, .. } => {
                *was_under_way || last.as_ref().is_some_and(|last| last.may_have_been_done())
            }
            Self::Configuration(_)
            | Self::Identity(_)
            | Self::Tls(_)
            | Self::Denied { .. }
            | Self::NotFound
            | Self::AlreadyExists
            | Self::Invalid { .. }
            | Self::TooLarge { .. }
            | Self::Busy { .. }
            | Self::Sealed { .. }
            | Self::Unreachable { .. }
            | Self::WrongServer { .. }
            | Self::IdentityRefused { .. } => false,
        }
    }

    /// The id of the request in the audit log of Nexus, if the error has one.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(error: &spike_sdk::Error) {
    /// println!("{error}; an operator can look for {:?}", error.request_id());
    /// # }
    /// ```
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Denied { request_id } | Self::Server { request_id, .. } => request_id.as_deref(),
            Self::Deadline { last, .. } => last.as_deref().and_then(Self::request_id),
            Self::Configuration(_)
            | Self::Identity(_)
            | Self::Tls(_)
            | Self::NotFound
            | Self::AlreadyExists
            | Self::Invalid { .. }
            | Self::TooLarge { .. }
            | Self::Busy { .. }
            | Self::Sealed { .. }
            | Self::Unreachable { .. }
            | Self::Unanswered { .. }
            | Self::WrongServer { .. }
            | Self::IdentityRefused { .. }
            | Self::BadAnswer { .. } => None,
        }
    }
}

/// An explanation from the network: escaped, so that it cannot forge lines of a log.
struct Reason<'a>(&'a Option<String>);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(reason) => write!(f, "{}", reason.escape_debug()),
            None => f.write_str("no reason given"),
        }
    }
}

struct Tries(u32);

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 try"),
            tries => write!(f, "{tries} tries"),
        }
    }
}

/// What kept a call until its deadline.
struct Last<'a>(&'a Option<Box<Error>>, bool);

impl fmt::Display for Last<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(last), false) => write!(f, ": {last}"),
            (Some(last), true) => {
                write!(f, ", the last of which had no answer yet; before: {last}")
            }
            (None, _) => f.write_str(", which had no answer yet"),
        }
    }
}
