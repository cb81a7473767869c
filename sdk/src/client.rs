//! The client: one identity, one Nexus, and a deadline for every call. Its calls are in `calls`.

use std::{sync::Arc, time::Duration};

/// # Examples
/// ```
/// use spike_sdk::{Environment, Settings};
///
/// let environment = Environment::from_pairs([("SPIKE_NEXUS_API_URL", "https://nexus:8553")]);
/// assert!(Settings::load(&environment).is_ok());
/// ```
#[doc(inline)]
pub use spike_config::Environment;
use spike_config::Problem;
/// # Examples
/// ```no_run
/// use spike_sdk::{Client, Environment, Settings};
///
/// # async fn example() -> Result<(), spike_sdk::Error> {
/// let (settings, problems) = Settings::load(&Environment::of_process())?;
/// for problem in &problems {
///     eprintln!("{problem}");
/// }
/// let spike = Client::connect_with(&settings).await?;
/// # Ok(())
/// # }
/// ```
#[doc(inline)]
pub use spike_mtls::settings::WorkloadSettings as Settings;
use spike_wire::Call;
use tracing::{Instrument, field::Empty};

use crate::{
    Builder, Error, Retry, SvidSource,
    builder::connected,
    retry::{CallKind, Deadline, until},
    server::Server,
};

/// The default time limit of a call with all its tries.
const DEADLINE: Duration = Duration::from_secs(30);

/// A client of SPIKE. Clones share its connections.
///
/// # Examples
/// ```no_run
/// # async fn example() -> Result<(), spike_sdk::Error> {
/// let spike = spike_sdk::Client::connect().await?;
/// for path in spike.list("tenants/acme/").await? {
///     println!("{path}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    server: Server,
    deadline: Duration,
    retry: Retry,
    notices: Arc<[Problem]>,
}

impl Client {
    /// A client for settings from code, the environment, or both.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> Result<(), spike_sdk::Error> {
    /// let spike = spike_sdk::Client::builder().nexus_url("https://nexus.spike.svc:8553").connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub const fn builder() -> Builder {
        Builder::new()
    }

    /// Connects with the settings of the environment. Waits for the workload's identity, but not for Nexus: the first
    /// call connects to it. As [`Builder::connect`] without anything set in code.
    ///
    /// Problems of the environment that are not fatal are logged through `tracing`, and [`Self::notices`] returns them.
    ///
    /// Cancel safety: dropping the future ends what it began.
    ///
    /// # Errors
    /// [`Error::Configuration`] with all problems, or [`Error::Identity`] if no SVID arrives within
    /// `SPIKE_SPIFFE_SOURCE_TIMEOUT`.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> Result<(), spike_sdk::Error> {
    /// let spike = spike_sdk::Client::connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect() -> Result<Self, Error> {
        Self::builder().connect().await
    }

    /// As [`Self::connect`], with these settings. Their problems are with whoever loaded them.
    ///
    /// Cancel safety: as [`Self::connect`].
    ///
    /// # Errors
    /// [`Error::Identity`], as [`Self::connect`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(settings: spike_sdk::Settings) -> Result<(), spike_sdk::Error> {
    /// let spike = spike_sdk::Client::connect_with(&settings).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_with(settings: &Settings) -> Result<Self, Error> {
        let identity = &settings.identity;
        let source = SvidSource::follow(&identity.endpoint, identity.source_timeout).await?;
        let retry = Retry::default().with_max_tries(settings.max_tries);
        Ok(connected(settings, source)?.with_deadline(settings.deadline).with_retry(retry))
    }

    pub(crate) fn of(server: Server) -> Self {
        let notices = Arc::from([]);
        Self { server, deadline: DEADLINE, retry: Retry::default(), notices }
    }

    pub(crate) fn with_notices(mut self, notices: Vec<Problem>) -> Self {
        self.notices = notices.into();
        self
    }

    /// The same client with another time limit for each call, including all its tries. The default is 30 s.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let spike = spike.with_deadline(std::time::Duration::from_secs(5));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same client with another policy of retries.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let once = spike.with_retry(spike_sdk::Retry::none());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The problems of the settings that did not keep the client from working: a default that is used in place of a bad
    /// value, a name that is no setting.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(spike: &spike_sdk::Client) {
    /// for notice in spike.notices() {
    ///     eprintln!("{notice}");
    /// }
    /// # }
    /// ```
    pub fn notices(&self) -> &[Problem] {
        &self.notices
    }

    /// The identity with which this client calls, to share it with another client. `None` for a fake.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(spike: &spike_sdk::Client) {
    /// let id = spike.svid_source().map(spike_sdk::SvidSource::spiffe_id);
    /// # }
    /// ```
    pub fn svid_source(&self) -> Option<&SvidSource> {
        self.server.source()
    }

    /// The end of a call that begins now.
    pub(crate) fn end(&self) -> Deadline {
        Deadline::from_now(self.deadline)
    }

    /// A call about `subject` (a path or a name, never a value), with all its tries.
    pub(crate) async fn call<C: Call>(
        &self,
        subject: &str,
        request: &C::Request,
    ) -> Result<C::Reply, Error> {
        self.call_until::<C>(self.end(), subject, request).await
    }

    /// As [`Self::call`], with a deadline that several calls share.
    pub(crate) async fn call_until<C: Call>(
        &self,
        deadline: Deadline,
        subject: &str,
        request: &C::Request,
    ) -> Result<C::Reply, Error> {
        let operation = C::OPERATION;
        let kind = if operation.changes() { CallKind::Write } else { CallKind::Read };
        let span = tracing::debug_span!(
            "spike",
            operation = operation.label(),
            subject,
            request_id = Empty,
            tries = Empty
        );
        let one_try = |tries| async move {
            let ended = self.server.call::<C>(request).await;
            let span = tracing::Span::current();
            span.record("tries", tries);
            if let Some(id) = &ended.request_id {
                span.record("request_id", id.as_str());
            }
            ended.outcome.map_err(|error| Error::of_call(error, ended.retry_after))
        };
        async move {
            let result = until(&self.retry, deadline, kind, one_try).await;
            match &result {
                Ok(_) => tracing::debug!("done"),
                Err(error) => tracing::debug!(reason = %error, "failed"),
            }
            result
        }
        .instrument(span)
        .await
    }
}
