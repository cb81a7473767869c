//! The X.509-SVID of this process, for one client or several.

use std::{fmt, time::Duration, time::SystemTime};

use spike_config::{ConfigError, EndpointSocket, Environment, Problem, table};
use spike_mtls::svid::SvidSource as Inner;

use crate::{Error, Settings};

/// The identity of this process, as the SPIFFE Workload API hands it out and renews it. Clones share one stream to the
/// agent, and so do all clients that are built from it. Dropping the last clone ends the stream.
///
/// A client makes one of its own if it gets none. Make it yourself for several clients in one process, or to watch when
/// the SVID ends.
///
/// # Examples
/// ```no_run
/// use spike_sdk::{Client, SvidSource};
///
/// # async fn example() -> Result<(), spike_sdk::Error> {
/// let source = SvidSource::from_environment().await?;
/// let here = Client::builder().svid_source(&source).connect().await?;
/// let there = Client::builder().svid_source(&source).nexus_url("https://nexus.far:8553").connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SvidSource {
    inner: Inner,
    endpoint: String,
}

impl SvidSource {
    /// Follows the Workload API that `SPIFFE_ENDPOINT_SOCKET` names, and waits for the first SVID as long as
    /// `SPIKE_SPIFFE_SOURCE_TIMEOUT` says.
    ///
    /// Cancel safety: dropping the future ends the stream to the agent. Nothing else has happened.
    ///
    /// # Errors
    /// [`Error::Configuration`], or [`Error::Identity`] if no SVID arrives in time.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> Result<(), spike_sdk::Error> {
    /// let source = spike_sdk::SvidSource::from_environment().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn from_environment() -> Result<Self, Error> {
        let (settings, notices) = Settings::load(&Environment::of_process())?;
        crate::notices::log(&notices);
        Self::follow(&settings.identity.endpoint, settings.identity.source_timeout).await
    }

    /// Follows the Workload API at this address (`unix:///path` or `tcp://ip:port`), and waits for the first SVID, at
    /// most for `limit`.
    ///
    /// Cancel safety: as [`Self::from_environment`].
    ///
    /// # Errors
    /// As [`Self::from_environment`].
    ///
    /// # Examples
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example() -> Result<(), spike_sdk::Error> {
    /// let source = spike_sdk::SvidSource::connect("unix:///run/spire/agent.sock", Duration::from_secs(10)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(workload_api: &str, limit: Duration) -> Result<Self, Error> {
        let endpoint: EndpointSocket = workload_api.parse().map_err(|error| {
            let name = table::SPIFFE_ENDPOINT_SOCKET.name;
            ConfigError::new(vec![Problem::fatal(name, Some(workload_api), format!("{error}"))])
        })?;
        Self::follow(&endpoint, limit).await
    }

    pub(crate) async fn follow(endpoint: &EndpointSocket, limit: Duration) -> Result<Self, Error> {
        let inner = Inner::follow(endpoint.as_str());
        inner.first(endpoint.as_str(), limit).await?;
        Ok(Self { inner, endpoint: endpoint.to_string() })
    }

    pub(crate) const fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The address of the Workload API.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(source: &spike_sdk::SvidSource) {
    /// println!("the agent is at {}", source.workload_api());
    /// # }
    /// ```
    pub fn workload_api(&self) -> &str {
        &self.endpoint
    }

    /// The SPIFFE ID of this process, which policies name.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(source: &spike_sdk::SvidSource) {
    /// println!("policies know this process as {}", source.spiffe_id());
    /// # }
    /// ```
    pub fn spiffe_id(&self) -> String {
        self.inner.current().map(|material| material.id().to_string()).unwrap_or_default()
    }

    /// When the newest SVID ends. If this lies in the past, the agent has not renewed it, and Nexus refuses it.
    ///
    /// # Examples
    /// ```no_run
    /// use std::time::SystemTime;
    ///
    /// # fn example(source: &spike_sdk::SvidSource) {
    /// let is_healthy = source.expires_at().is_some_and(|end| end > SystemTime::UNIX_EPOCH);
    /// # }
    /// ```
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.inner.current().map(|material| material.not_after().into())
    }

    /// How many times a newer SVID has replaced another.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(source: &spike_sdk::SvidSource) {
    /// println!("{} rotations", source.rotations());
    /// # }
    /// ```
    pub fn rotations(&self) -> u64 {
        self.inner.status().rotations
    }
}

impl fmt::Debug for SvidSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidSource")
            .field("workload_api", &self.endpoint)
            .field("spiffe_id", &self.spiffe_id())
            .finish_non_exhaustive()
    }
}
