//! How a client is put together: settings from code and from the environment, by one set of rules.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use spike_config::{ConfigError, Environment, Problem, Process, table};
use spike_mtls::client::NexusClient;

use crate::{Client, Error, Retry, Settings, SvidSource, notices, server::Server};

/// Builds a [`Client`]. What is set here overrides the environment.
///
/// The rules are those of `docs/configuration.md`, wherever a setting comes from. A setting in code that breaks its rule
/// is an error. So is one in the environment, if it is about an address or about trust. Any other problem of the
/// environment, such as an unknown name that begins with `SPIKE_`, is logged at the level WARN through `tracing`, and
/// [`Client::notices`] returns it.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// use spike_sdk::{Client, Retry};
///
/// # async fn example() -> Result<(), spike_sdk::Error> {
/// let spike = Client::builder()
///     .nexus_url("https://nexus.spike.svc:8553")
///     .trust_roots("example.org")
///     .workload_api("unix:///run/spire/agent-sockets/agent.sock")
///     .deadline(Duration::from_secs(5))
///     .retry(Retry::default().with_max_tries(3))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    environment: Option<Environment>,
    code: BTreeMap<String, String>,
    source: Option<SvidSource>,
    deadline: Option<Duration>,
    retry: Option<Retry>,
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
}

impl Builder {
    pub(crate) const fn new() -> Self {
        Self { environment: None, code: BTreeMap::new(), source: None, deadline: None, retry: None }
    }

    /// Reads this environment instead of the one of the process. `Environment::default()` is an empty one.
    ///
    /// # Examples
    /// ```
    /// use spike_sdk::{Client, Environment};
    ///
    /// let only_in_code = Client::builder().environment(Environment::default());
    /// ```
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// The URL of Nexus; `SPIKE_NEXUS_API_URL`.
    ///
    /// # Examples
    /// ```
    /// let builder = spike_sdk::Client::builder().nexus_url("https://nexus.spike.svc:8553");
    /// ```
    pub fn nexus_url(self, url: &str) -> Self {
        self.setting(table::SPIKE_NEXUS_API_URL.name, url)
    }

    /// The trust roots of Nexus, separated by commas: whose Nexus this client trusts; `SPIKE_TRUST_ROOT_NEXUS`.
    ///
    /// # Examples
    /// ```
    /// let builder = spike_sdk::Client::builder().trust_roots("example.org");
    /// ```
    pub fn trust_roots(self, roots: &str) -> Self {
        self.setting(table::SPIKE_TRUST_ROOT_NEXUS.name, roots)
    }

    /// The address of the SPIFFE Workload API; `SPIFFE_ENDPOINT_SOCKET`. Without effect on a client that gets a source of
    /// its SVID.
    ///
    /// # Examples
    /// ```
    /// let builder = spike_sdk::Client::builder().workload_api("unix:///run/spire/agent.sock");
    /// ```
    pub fn workload_api(self, address: &str) -> Self {
        self.setting(table::SPIFFE_ENDPOINT_SOCKET.name, address)
    }

    /// A setting by the name of its environment variable, for those without a method here.
    ///
    /// # Examples
    /// ```
    /// let builder = spike_sdk::Client::builder().setting("SPIKE_HTTP_CLIENT_DIALER_TIMEOUT", "2s");
    /// ```
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.code.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The identity of this process from a source that exists already, so that several clients share it.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(source: &spike_sdk::SvidSource) -> Result<(), spike_sdk::Error> {
    /// let spike = spike_sdk::Client::builder().svid_source(source).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn svid_source(mut self, source: &SvidSource) -> Self {
        self.source = Some(source.clone());
        self
    }

    /// How long a call may take with all its tries; `SPIKE_SDK_DEADLINE`. The default is 30 s.
    ///
    /// # Examples
    /// ```
    /// let builder = spike_sdk::Client::builder().deadline(std::time::Duration::from_secs(5));
    /// ```
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// When a call is tried again; `SPIKE_SDK_MAX_TRIES` sets the number of tries.
    ///
    /// # Examples
    /// ```
    /// use spike_sdk::{Client, Retry};
    ///
    /// let builder = Client::builder().retry(Retry::none());
    /// ```
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Connects. Waits for the identity of the workload, but not for Nexus: the first call connects to it.
    ///
    /// Cancel safety: dropping the future ends what it began; a source that was passed in is not affected.
    ///
    /// # Errors
    /// [`Error::Configuration`] with all problems, or [`Error::Identity`] if no SVID arrives within
    /// `SPIKE_SPIFFE_SOURCE_TIMEOUT`.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> Result<(), spike_sdk::Error> {
    /// let spike = spike_sdk::Client::builder().connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(self) -> Result<Client, Error> {
        let (settings, notices) = self.settings()?;
        notices::log(&notices);
        let source = if let Some(source) = self.source {
            source
        } else {
            let identity = &settings.identity;
            SvidSource::follow(&identity.endpoint, identity.source_timeout).await?
        };
        let retry = Retry::default().with_max_tries(settings.max_tries);
        let client = connected(&settings, source)?
            .with_deadline(self.deadline.unwrap_or(settings.deadline))
            .with_retry(self.retry.unwrap_or(retry))
            .with_notices(notices);
        Ok(client)
    }

    /// The settings, by the rules of the table, and the problems of the environment that are not fatal.
    fn settings(&self) -> Result<(Settings, Vec<Problem>), ConfigError> {
        let mut code = self.code.clone();
        if let Some(source) = &self.source {
            let endpoint = table::SPIFFE_ENDPOINT_SOCKET.name.to_owned();
            code.insert(endpoint, source.workload_api().to_owned());
        }
        let environment = self.environment.clone().unwrap_or_else(Environment::of_process);
        let loaded = Settings::load(&environment.with(code.iter()));
        let mut problems = match &loaded {
            Ok((_, notices)) => notices.clone(),
            Err(error) => error.problems().to_vec(),
        };
        // In the environment, an empty text counts as unset. In code, somebody has written it.
        let empty = code.iter().filter(|(_, value)| value.is_empty());
        let is_empty =
            |(name, _): (&String, _)| Problem::fatal(name, Some(""), "an empty text is no value");
        problems.splice(0..0, empty.map(is_empty));
        // The environment keeps those of other processes, and drops those that are nobody's.
        let is_read = |name: &str| match table::find(name) {
            Some(known) => known.readers.contains(&Process::Workload),
            None => name.starts_with("SPIKE_"),
        };
        let foreign = code.keys().filter(|name| !is_read(name));
        problems.extend(foreign.map(|name| Problem::fatal(name, None, "not a setting of the SDK")));
        let is_wrong =
            |problem: &Problem| problem.is_fatal() || code.contains_key(&problem.variable);
        match loaded {
            Ok((settings, _)) if !problems.iter().any(is_wrong) => Ok((settings, problems)),
            _ => Err(ConfigError::new(problems)),
        }
    }
}

/// A client for these settings, with the defaults of everything else.
pub(crate) fn connected(settings: &Settings, source: SvidSource) -> Result<Client, Error> {
    let roots = Arc::clone(&settings.identity.trust_roots);
    let timeouts = settings.client.timeouts;
    let nexus = NexusClient::new(source.inner(), roots, &settings.api_url, timeouts)
        .map_err(|error| Error::Tls(error.to_string()))?;
    Ok(Client::of(Server::of(nexus, source)))
}

#[cfg(test)]
mod tests;
