//! The marker of a cluster: one ConfigMap in the namespace of the pod.

use std::{collections::BTreeMap, fmt, time::Duration};

use hyper_util::{client::legacy, rt::TokioExecutor};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{ObjectMeta, PostParams},
    client::{ClientBuilder, ConfigExt},
};
use spike_mtls::bounded_connector;
use tokio::time::timeout;
use tower::{BoxError, ServiceBuilder};

use super::{COMPLETED, Completion, RETRY, claimant::Claim, printable_ascii};
use crate::{
    console::progress,
    retry::{GaveUp, Retry},
};

#[cfg(test)]
mod tests;

/// How long a call may take, from the connection to the end of the answer.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The largest answer, in bytes: twice what a ConfigMap may hold.
const MAX_ANSWER: usize = 2 << 20;

/// The keys of a claim, beside a `bootstrap-completed` that says `false`.
const CLAIM: &str = "claim";
const CLAIMED_BY: &str = "claimed-by-pod";

/// The namespace if the service account names none; upstream's.
const DEFAULT_NAMESPACE: &str = "spike";

/// The ConfigMap and its client.
pub(crate) struct ConfigMapMarker {
    api: Api<ConfigMap>,
    namespace: String,
    name: String,
    retry: Retry,
}

/// The content of the ConfigMap, with the version at which it may be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// There is no ConfigMap.
    Nothing,
    /// The work is not done, and no run has a claim.
    Unclaimed(Option<String>),
    /// A run has a claim.
    Claimed(Claim, Option<String>),
    /// The work is done.
    Done(Completion),
}

/// Why the ConfigMap cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigMapError {
    /// The pod has no address of the API server, or no credentials for it. Upstream treats that as "done".
    #[error("this pod has no usable service account (is automountServiceAccountToken off?)")]
    NoServiceAccount(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API server did not say what is in it.
    #[error("cannot read {place}: {reason}")]
    Read {
        /// Which one.
        place: String,
        /// What it said instead.
        reason: GaveUp,
    },
    /// It can be neither created nor replaced.
    #[error("cannot write {place}: {reason}")]
    Claim {
        /// Which one.
        place: String,
        /// What the API server said.
        reason: GaveUp,
    },
    /// It can be neither created nor updated.
    #[error("cannot create {place} ({create}) nor update it ({update})")]
    Write {
        /// Which one.
        place: String,
        /// What the API server said to the one.
        create: String,
        /// And to the other.
        update: String,
    },
}

impl ConfigMapMarker {
    /// The ConfigMap `name` in the namespace of this pod, reached as its service account.
    ///
    /// # Errors
    /// [`ConfigMapError::NoServiceAccount`].
    pub(super) fn in_cluster(name: &str) -> Result<Self, ConfigMapError> {
        let config =
            Config::incluster().map_err(|error| ConfigMapError::NoServiceAccount(error.into()))?;
        Self::at(&config, name, RETRY)
    }

    fn at(config: &Config, name: &str, retry: Retry) -> Result<Self, ConfigMapError> {
        let namespace = match config.default_namespace.trim() {
            "" => DEFAULT_NAMESPACE.to_owned(),
            namespace => namespace.to_owned(),
        };
        let client = client(config, &namespace)
            .map_err(|error| ConfigMapError::NoServiceAccount(error.into()))?;
        let api = Api::namespaced(client, &namespace);
        Ok(Self { api, namespace, name: name.to_owned(), retry })
    }

    pub(super) async fn read(&self) -> Result<Option<Completion>, ConfigMapError> {
        Ok(match self.content().await? {
            Content::Done(completion) => Some(completion),
            Content::Nothing | Content::Unclaimed(_) | Content::Claimed(..) => None,
        })
    }

    /// Its content.
    pub(super) async fn content(&self) -> Result<Content, ConfigMapError> {
        let got = self.with_retries(async || match within(self.api.get(&self.name)).await {
            Ok(map) => Ok(Some(map)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        });
        let failed = |reason| ConfigMapError::Read { place: self.to_string(), reason };
        Ok(got.await.map_err(failed)?.map_or(Content::Nothing, kept))
    }

    /// Creates it with this claim, or with none, or replaces its version `over`. `false` if another run was faster.
    pub(super) async fn put(
        &self,
        claim: Option<&Claim>,
        over: Option<&str>,
    ) -> Result<bool, ConfigMapError> {
        let mut pairs = vec![(COMPLETED, "false".to_owned())];
        if let Some(Claim { id, by }) = claim {
            pairs.push((CLAIM, id.clone()));
            pairs.push((CLAIMED_BY, by.clone().unwrap_or_default()));
        }
        let (map, parameters) = (self.map(pairs, over), PostParams::default());
        let put = self.with_retries(async || {
            let put = match over {
                None => within(self.api.create(&parameters, &map)).await,
                Some(_) => within(self.api.replace(&self.name, &parameters, &map)).await,
            };
            match put {
                Ok(_) => Ok(true),
                // It has another version by now; or it is gone, when it was to be replaced.
                Err(error) if is_conflict(&error) || is_not_found(&error) => Ok(false),
                Err(error) => Err(error),
            }
        });
        put.await.map_err(|reason| ConfigMapError::Claim { place: self.to_string(), reason })
    }

    /// Creates it, or replaces what is there, as upstream does.
    pub(super) async fn write(&self, completion: &Completion) -> Result<(), ConfigMapError> {
        let map = self.map(completion.pairs(), None);
        let parameters = PostParams::default();
        let Err(create) = within(self.api.create(&parameters, &map)).await else { return Ok(()) };
        let update = within(self.api.replace(&self.name, &parameters, &map)).await;
        let Err(update) = update else { return Ok(()) };
        Err(ConfigMapError::Write {
            place: self.to_string(),
            create: words(&create),
            update: words(&update),
        })
    }

    fn map(
        &self,
        pairs: impl IntoIterator<Item = (&'static str, String)>,
        over: Option<&str>,
    ) -> ConfigMap {
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            resource_version: over.map(str::to_owned),
            ..ObjectMeta::default()
        };
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
        ConfigMap { metadata, data: Some(pairs.collect()), ..ConfigMap::default() }
    }

    /// Retries what may be temporary: an API server that is busy, broken or away. Reports each failed attempt.
    async fn with_retries<T>(
        &self,
        call: impl AsyncFn() -> Result<T, kube::Error>,
    ) -> Result<T, GaveUp> {
        let tried = self.retry.keep_trying(async |attempt| match call().await {
            Ok(done) => Ok(Ok(done)),
            Err(error) if may_pass(&error) => {
                let reason = words(&error);
                tracing::warn!(place = %self, attempt, reason, "a call to the API server failed");
                progress(format_args!("{self}, attempt {attempt}: {reason}"));
                Err(reason)
            }
            Err(error) => Ok(Err(GaveUp { attempts: attempt, reason: words(&error) })),
        });
        tried.await?
    }
}

/// The client of `kube` without what has no bound: it reads any number of heads of interim answers, and a body of any length. It does
/// not try again by itself either, which it would for minutes without a message.
fn client(config: &Config, namespace: &str) -> Result<Client, kube::Error> {
    let connector = bounded_connector(MAX_ANSWER, CALL_LIMIT);
    let http = legacy::Client::builder(TokioExecutor::new())
        // Each connection has the bound of one answer.
        .pool_max_idle_per_host(0)
        .build(config.rustls_https_connector_with_connector(connector)?);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, namespace).build())
}

/// Limits the time of a call.
async fn within<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let silent = || format!("the API server has not answered within {CALL_LIMIT:?}");
    timeout(CALL_LIMIT, call).await.unwrap_or_else(|_| Err(kube::Error::Service(silent().into())))
}

fn kept(map: ConfigMap) -> Content {
    let (data, version) = (map.data.unwrap_or_default(), map.metadata.resource_version);
    let get = |key: &str| data.get(key).map(String::as_str);
    if let Some(completion) = Completion::from_pairs(get) {
        return Content::Done(completion);
    }
    match claim(&data) {
        Some(claim) => Content::Claimed(claim, version),
        None => Content::Unclaimed(version),
    }
}

fn claim(data: &BTreeMap<String, String>) -> Option<Claim> {
    let text = |key| data.get(key).map(String::as_str).and_then(printable_ascii);
    Some(Claim { id: text(CLAIM)?, by: text(CLAIMED_BY) })
}

impl fmt::Display for ConfigMapMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigMap {}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for ConfigMapMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigMapMarker({self})")
    }
}

/// Whether the API server itself says that there is no such ConfigMap. The 404 of a proxy does not count.
fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 && status.reason == "NotFound")
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Whether the same call may succeed later. A missing permission stays missing.
fn may_pass(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500..=599),
        _ => true,
    }
}

fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!("{} {}: {}", status.code, status.reason, status.message)
        }
        other => spike_daemon::process::chain(other),
    }
}
