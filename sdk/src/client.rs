//! The client: one identity, one Nexus, and a deadline for every call.

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
use spike_mtls::{client::NexusClient, svid::SvidSource};
use spike_wire::{
    SecretGetRequest, SecretListRequest, SecretPutRequest, SecretText, SecretValues,
    SecretVersionsRequest,
};
use tokio::time::Instant;

use crate::{
    Error, Secret,
    retry::{CallKind, until},
};

/// The default time limit of a call with all its tries.
const DEADLINE: Duration = Duration::from_secs(30);
/// Paths in one page of a listing.
const PAGE: i64 = 1000;

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
    nexus: NexusClient,
    deadline: Duration,
}

impl Client {
    /// Connects with the settings of the environment. Waits for the workload's identity, but not for Nexus: the first
    /// call connects to it.
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
        let (settings, _harmless) = Settings::load(&Environment::of_process())?;
        Self::connect_with(&settings).await
    }

    /// As [`Self::connect`], with these settings.
    ///
    /// # Errors
    /// As [`Self::connect`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(settings: spike_sdk::Settings) -> Result<(), spike_sdk::Error> {
    /// let spike = spike_sdk::Client::connect_with(&settings).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_with(settings: &Settings) -> Result<Self, Error> {
        let endpoint = settings.identity.endpoint.as_str();
        let source = SvidSource::follow(endpoint);
        source.first(endpoint, settings.identity.source_timeout).await?;
        let roots = Arc::clone(&settings.identity.trust_roots);
        let nexus = NexusClient::new(&source, roots, &settings.api_url, settings.client.timeouts)
            .map_err(|error| Error::Tls(error.to_string()))?;
        Ok(Self { nexus, deadline: DEADLINE })
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

    /// Reads the current version of a secret.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let secret = spike.get("tenants/acme/db").await?;
    /// let user = secret.expose("user").unwrap_or("postgres");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get(&self, path: &str) -> Result<Secret, Error> {
        self.get_version(path, 0).await
    }

    /// Reads one version of a secret; 0 is the current one.
    ///
    /// # Errors
    /// As [`Self::get`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let first = spike.get_version("tenants/acme/db", 1).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_version(&self, path: &str, version: i64) -> Result<Secret, Error> {
        let request = SecretGetRequest { path: path.to_owned(), version };
        let answer = until(self.end(), CallKind::Read, || self.nexus.get_secret(&request)).await?;
        Ok(Secret::new(answer.data.unwrap_or_default()))
    }

    /// Adds a version with exactly these values. They are not merged with the version before.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`], or another reason why the call failed. If the connection broke, the version
    /// may have been added.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// spike.put("tenants/acme/db", [("user", "acme"), ("pass", "s3cret")]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn put<'a>(
        &self,
        path: &str,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), Error> {
        let mut named = SecretValues::default();
        for (name, value) in values {
            named.insert(name.to_owned(), SecretText::from(value));
        }
        let request = SecretPutRequest { path: path.to_owned(), values: Some(named) };
        until(self.end(), CallKind::Write, || self.nexus.put_secret(&request)).await
    }

    /// Deletes versions of a secret; an empty list means the current one. An operator can undelete them.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the path does not exist, [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// spike.delete("tenants/acme/db", &[1, 2]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete(&self, path: &str, versions: &[i64]) -> Result<(), Error> {
        let request = SecretVersionsRequest { path: path.to_owned(), versions: versions.to_vec() };
        until(self.end(), CallKind::Write, || self.nexus.delete_secret(&request)).await
    }

    /// Lists the paths with this prefix that the workload may list, in the order of their bytes; `""` means all.
    ///
    /// # Errors
    /// [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
    /// let paths = spike.list("tenants/acme/").await?;
    /// assert!(paths.iter().all(|path| path.starts_with("tenants/acme/")));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let deadline = self.end();
        let mut names = Vec::new();
        let mut request =
            SecretListRequest { prefix: prefix.to_owned(), after: String::new(), limit: PAGE };
        loop {
            let page =
                until(deadline, CallKind::Read, || self.nexus.list_secrets(&request)).await?;
            names.extend(page.keys);
            match page.next {
                Some(next) => request.after = next,
                None => return Ok(names),
            }
        }
    }

    pub(crate) async fn current_version(&self, path: &str) -> Result<i64, Error> {
        let request = SecretGetRequest { path: path.to_owned(), version: 0 };
        let answer =
            until(self.end(), CallKind::Read, || self.nexus.secret_metadata(&request)).await?;
        Ok(answer.metadata.current_version)
    }

    fn end(&self) -> Instant {
        Instant::now() + self.deadline
    }
}
