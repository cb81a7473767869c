//! The marker of a cluster: one ConfigMap in the namespace of the pod.

use std::{fmt, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{ObjectMeta, PostParams},
};

use super::Completion;

#[cfg(test)]
mod tests;

/// How long the API server may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The namespace where the service account names none; upstream's.
const DEFAULT_NAMESPACE: &str = "spike";

/// The ConfigMap and the way to it.
pub(crate) struct ConfigMapMarker {
    api: Api<ConfigMap>,
    namespace: String,
    name: String,
}

/// Why the ConfigMap is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigMapError {
    /// The pod cannot know where the API server is, or prove itself to it. Upstream takes that for "done".
    #[error("this pod has no usable service account (is automountServiceAccountToken off?)")]
    NoServiceAccount(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API server did not say what is in it.
    #[error("cannot read {place}: {reason}")]
    Read {
        /// Which one.
        place: String,
        /// What it said instead.
        reason: String,
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
        Self::at(config, name)
    }

    fn at(mut config: Config, name: &str) -> Result<Self, ConfigMapError> {
        config.read_timeout = Some(READ_TIMEOUT);
        let namespace = match config.default_namespace.trim() {
            "" => DEFAULT_NAMESPACE.to_owned(),
            namespace => namespace.to_owned(),
        };
        let client = Client::try_from(config)
            .map_err(|error| ConfigMapError::NoServiceAccount(error.into()))?;
        Ok(Self { api: Api::namespaced(client, &namespace), namespace, name: name.to_owned() })
    }

    pub(super) async fn read(&self) -> Result<Option<Completion>, ConfigMapError> {
        match self.api.get(&self.name).await {
            Ok(map) => {
                let data = map.data.unwrap_or_default();
                Ok(Completion::from_pairs(|key| data.get(key).map(String::as_str)))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => {
                Err(ConfigMapError::Read { place: self.to_string(), reason: words(&error) })
            }
        }
    }

    /// Creates it, or replaces what is there, as upstream does.
    pub(super) async fn write(&self, completion: &Completion) -> Result<(), ConfigMapError> {
        let pairs = completion.pairs().into_iter();
        let map = ConfigMap {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            data: Some(pairs.map(|(key, value)| (key.to_owned(), value)).collect()),
            ..ConfigMap::default()
        };
        let parameters = PostParams::default();
        let Err(create) = self.api.create(&parameters, &map).await else { return Ok(()) };
        let Err(update) = self.api.replace(&self.name, &parameters, &map).await else {
            return Ok(());
        };
        Err(ConfigMapError::Write {
            place: self.to_string(),
            create: words(&create),
            update: words(&update),
        })
    }
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

/// Just the answer of an API server that looked and found nothing: a proxy's 404 is none.
fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 && status.reason == "NotFound")
}

fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!("{} {}: {}", status.code, status.reason, status.message)
        }
        other => spike_common::daemon::chain(other),
    }
}
