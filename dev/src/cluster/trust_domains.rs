//! The trust domains of a cluster: its own, and foreign ones that federate with it.
//!
//! A foreign trust domain has an authority and a Workload API of its own, which are kept in `DIR/domains/NAME`. It has no daemons:
//! its processes are workloads that use the Nexus of the cluster. [`crate::workload_api`] sends the bundles.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use spiffe::TrustDomain;
use spike_mtls::clock;
use tokio::sync::Mutex;

use super::short_paths;
use crate::{
    ca::{Ca, CaError},
    temporary::TemporaryDir,
    workload_api::{self, WorkloadApi},
};

/// The directory of the foreign trust domains in the state directory.
const DOMAINS: &str = "domains";

/// Why a trust domain cannot federate, or cannot stop.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// The trust domain is that of the cluster, or its Workload API does not start.
    #[error(transparent)]
    WorkloadApi(#[from] workload_api::Error),
    /// Its authority cannot be made or read.
    #[error("{0} has no certificate authority")]
    Ca(TrustDomain, #[source] CaError),
    /// There is no place for its socket.
    #[error("there is no place for the socket of {0}")]
    Socket(TrustDomain, #[source] io::Error),
    /// There is no federation to end.
    #[error("{0} is not federated")]
    NotFederated(TrustDomain),
}

/// The trust domains of one cluster, each with its Workload API.
#[derive(Debug)]
pub struct TrustDomains {
    own: workload_api::Running,
    /// A trust domain stays here after its federation has ended, and its workloads keep their identity.
    foreign: Mutex<BTreeMap<TrustDomain, Foreign>>,
    dir: PathBuf,
    svid_ttl: Duration,
}

#[derive(Debug)]
struct Foreign {
    api: Arc<workload_api::Running>,
    /// The directory of its socket, if the path in the state directory is too long.
    _short: Option<TemporaryDir>,
}

/// A Workload API that is borrowed from the cluster, or shared.
#[derive(Debug)]
pub(crate) enum Api<'a> {
    Own(&'a workload_api::Running),
    Foreign(Arc<workload_api::Running>),
}

impl std::ops::Deref for Api<'_> {
    type Target = workload_api::Running;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Own(api) => api,
            Self::Foreign(api) => api,
        }
    }
}

impl TrustDomains {
    pub(super) fn new(own: workload_api::Running, state_dir: &Path, svid_ttl: Duration) -> Self {
        Self { own, foreign: Mutex::default(), dir: state_dir.join(DOMAINS), svid_ttl }
    }

    /// The Workload API of the cluster's own trust domain.
    pub const fn own(&self) -> &workload_api::Running {
        &self.own
    }

    /// How long an X.509-SVID lasts, in every trust domain.
    pub(crate) const fn svid_ttl(&self) -> Duration {
        self.svid_ttl
    }

    /// The Workload API of a trust domain; `None` if there is none of this name.
    pub(crate) async fn of(&self, domain: &TrustDomain) -> Option<Api<'_>> {
        if domain == self.own.ca().trust_domain() {
            return Some(Api::Own(&self.own));
        }
        let foreign = self.foreign.lock().await;
        foreign.get(domain).map(|foreign| Api::Foreign(Arc::clone(&foreign.api)))
    }

    /// Federates `domain` with the cluster's own trust domain: the workloads of each get the bundle of the other. Starts the
    /// authority and the Workload API of `domain` if they do not run, and returns that Workload API. Nothing changes if the two
    /// are federated already.
    ///
    /// # Errors
    /// [`FederationError`].
    pub async fn federate(
        &self,
        domain: &TrustDomain,
    ) -> Result<Arc<workload_api::Running>, FederationError> {
        let own = self.own.ca();
        if domain == own.trust_domain() {
            return Err(workload_api::Error::OwnTrustDomain(domain.clone()).into());
        }
        let mut foreign = self.foreign.lock().await;
        let api = if let Some(foreign) = foreign.get(domain) {
            Arc::clone(&foreign.api)
        } else {
            let started = self.start(domain).await?;
            let api = Arc::clone(&started.api);
            foreign.insert(domain.clone(), started);
            api
        };
        api.federate(own.bundle())?;
        self.own.federate(api.ca().bundle())?;
        Ok(api)
    }

    /// Ends the federation on both sides. The foreign Workload API runs on.
    ///
    /// # Errors
    /// [`FederationError::NotFederated`].
    pub async fn end_federation(&self, domain: &TrustDomain) -> Result<(), FederationError> {
        let foreign = self.foreign.lock().await;
        if !self.own.unfederate(domain) {
            return Err(FederationError::NotFederated(domain.clone()));
        }
        if let Some(foreign) = foreign.get(domain) {
            foreign.api.unfederate(self.own.ca().trust_domain());
        }
        Ok(())
    }

    async fn start(&self, domain: &TrustDomain) -> Result<Foreign, FederationError> {
        let dir = self.dir.join(domain.as_ref());
        let ca = Ca::load_or_new(&dir.join("ca"), domain.clone(), clock::now())
            .map_err(|source| FederationError::Ca(domain.clone(), source))?;
        let (socket, short) = short_paths::socket_in(&dir)
            .map_err(|source| FederationError::Socket(domain.clone(), source))?;
        let config = workload_api::Config { socket, ca: Arc::new(ca), svid_ttl: self.svid_ttl };
        let api = Arc::new(WorkloadApi::start(config).await?);
        Ok(Foreign { api, _short: short })
    }

    /// Ends every connection to every Workload API, and removes the sockets.
    pub(super) async fn stop(&self) {
        for foreign in self.foreign.lock().await.values() {
            foreign.api.pause().await;
        }
        self.own.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str) -> TrustDomain {
        TrustDomain::new(name).unwrap()
    }

    async fn domains(dir: &Path) -> TrustDomains {
        let ca = Ca::new(domain("spike.ist"), clock::now()).unwrap();
        let svid_ttl = Duration::from_mins(1);
        let socket = dir.join("own.sock");
        let config = workload_api::Config { socket, ca: Arc::new(ca), svid_ttl };
        TrustDomains::new(WorkloadApi::start(config).await.unwrap(), dir, svid_ttl)
    }

    #[tokio::test]
    async fn a_trust_domain_keeps_its_authority_and_its_socket_from_one_federation_to_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let domains = domains(dir.path()).await;
        let partner = domain("partner.org");
        assert!(domains.of(&partner).await.is_none());
        let first = domains.federate(&partner).await.unwrap();
        domains.end_federation(&partner).await.unwrap();
        let second = domains.federate(&partner).await.unwrap();
        assert_eq!(first.ca().root_der(), second.ca().root_der());
        assert_eq!(first.endpoint(), second.endpoint());
        assert_eq!(domains.of(&partner).await.unwrap().endpoint(), first.endpoint());
        assert_ne!(first.ca().root_der(), domains.own().ca().root_der());
    }

    #[tokio::test]
    async fn a_federation_that_is_not_there_cannot_end_and_none_begins_with_itself() {
        let dir = tempfile::tempdir().unwrap();
        let domains = domains(dir.path()).await;
        let error = domains.end_federation(&domain("partner.org")).await.unwrap_err();
        assert!(matches!(error, FederationError::NotFederated(_)), "{error}");
        let error = domains.federate(&domain("spike.ist")).await.unwrap_err();
        assert!(error.to_string().contains("does not federate with itself"), "{error}");
    }

    #[tokio::test]
    async fn a_long_name_has_its_socket_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let domains = domains(dir.path()).await;
        let long = format!("{}.org", "x".repeat(120));
        let api = domains.federate(&domain(&long)).await.unwrap();
        assert!(api.socket().exists(), "{}", api.endpoint());
        assert!(dir.path().join(DOMAINS).join(&long).join("ca/ca.pem").exists());
    }
}
