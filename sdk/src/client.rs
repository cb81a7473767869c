//! The client: one identity, one Nexus, a deadline for every call.

use std::{sync::Arc, time::Duration};

use spike_config::Environment;
pub use spike_mtls::settings::WorkloadSettings as Settings;
use spike_mtls::{client::NexusClient, svid::SvidSource};
use spike_wire::{
    SecretGetRequest, SecretListRequest, SecretPutRequest, SecretText, SecretValues,
    SecretVersionsRequest,
};
use tokio::time::Instant;

use crate::{
    Error, Secret, Watch,
    retry::{Kind, until},
};

/// How long a call may take with all its tries, unless the client says otherwise.
const DEADLINE: Duration = Duration::from_secs(30);
/// Names per page of a listing.
const PAGE: i64 = 1000;

/// A connection to SPIKE. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    nexus: NexusClient,
    deadline: Duration,
}

impl Client {
    /// Connects with the settings of the environment. Returns when the workload has its identity; Nexus is first
    /// contacted by the first call.
    ///
    /// # Errors
    /// [`Error::Configuration`] with every problem at once, [`Error::Identity`] where no SVID came within
    /// `SPIKE_SPIFFE_SOURCE_TIMEOUT`.
    pub async fn connect() -> Result<Self, Error> {
        let (settings, _harmless) = Settings::load(&Environment::of_process())?;
        Self::connect_with(&settings).await
    }

    /// Connects with these settings.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_with(settings: &Settings) -> Result<Self, Error> {
        let endpoint = settings.identity.endpoint.as_str();
        let source = SvidSource::follow(endpoint);
        source.first(endpoint, settings.identity.source_timeout).await?;
        let roots = Arc::clone(&settings.identity.trust_roots);
        let nexus = NexusClient::new(&source, roots, &settings.api_url, settings.client.timeouts)
            .map_err(|error| Error::Tls(error.to_string()))?;
        Ok(Self { nexus, deadline: DEADLINE })
    }

    /// The same client with another deadline for each call, all its tries included.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The current version of a secret.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], or what kept the call from being done.
    pub async fn get(&self, path: &str) -> Result<Secret, Error> {
        self.get_version(path, 0).await
    }

    /// One version of a secret; 0 is the current one.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_version(&self, path: &str, version: i64) -> Result<Secret, Error> {
        let request = SecretGetRequest { path: path.to_owned(), version };
        let answer = until(self.end(), Kind::Read, || self.nexus.get_secret(&request)).await?;
        Ok(Secret::new(answer.data.unwrap_or_default()))
    }

    /// Adds a version with these values, all of them: nothing is merged with the version before.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`], or what kept the call from being done. After a broken connection the version
    /// may have been added all the same.
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
        until(self.end(), Kind::Write, || self.nexus.put_secret(&request)).await
    }

    /// Hides versions of a secret; none named means the current one. They can be shown again.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such path, [`Error::Denied`], or what kept the call from being done.
    pub async fn delete(&self, path: &str, versions: &[i64]) -> Result<(), Error> {
        let request = SecretVersionsRequest { path: path.to_owned(), versions: versions.to_vec() };
        until(self.end(), Kind::Write, || self.nexus.delete_secret(&request)).await
    }

    /// The names under `prefix` that this workload may see, in the order of their bytes; `""` asks for all.
    ///
    /// # Errors
    /// [`Error::Denied`], or what kept the call from being done.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let deadline = self.end();
        let mut names = Vec::new();
        let mut request =
            SecretListRequest { prefix: prefix.to_owned(), after: String::new(), limit: PAGE };
        loop {
            let page = until(deadline, Kind::Read, || self.nexus.list_secrets(&request)).await?;
            names.extend(page.keys);
            match page.next {
                Some(next) => request.after = next,
                None => return Ok(names),
            }
        }
    }

    /// Follows a secret: asks every so often whether there is a new version. See [`Watch::next`].
    pub fn watch(&self, path: &str, every: Duration) -> Watch {
        Watch::new(self.clone(), path.to_owned(), every)
    }

    pub(crate) async fn current_version(&self, path: &str) -> Result<i64, Error> {
        let request = SecretGetRequest { path: path.to_owned(), version: 0 };
        let answer = until(self.end(), Kind::Read, || self.nexus.secret_metadata(&request)).await?;
        Ok(answer.metadata.current_version)
    }

    fn end(&self) -> Instant {
        Instant::now() + self.deadline
    }
}
