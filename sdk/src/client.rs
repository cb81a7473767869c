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

#[cfg(feature = "fake")]
use crate::fake::Fake;
use crate::{
    Error, Retry, SvidSource,
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
        match &self.server {
            Server::Nexus(nexus) => Some(nexus.source()),
            #[cfg(feature = "fake")]
            Server::Fake(_) => None,
        }
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

#[cfg(feature = "fake")]
impl Fake {
    /// A client of this Nexus, with the defaults of any other client.
    ///
    /// # Examples
    /// ```
    /// use spike_sdk::{Retry, fake::Fake};
    ///
    /// let never_tries_again = Fake::new().client().with_retry(Retry::none());
    /// ```
    pub fn client(&self) -> Client {
        Client::of(Server::Fake(self.clone()))
    }
}
