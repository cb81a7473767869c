//! The state that all connections share: the authority, the registrations, and the trusted foreign trust domains.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prost::bytes::Bytes;
use spiffe::{SpiffeId, TrustDomain};
use spike_mtls::clock::now;
use tokio::sync::watch;
use tonic::Status;

use super::generated::{
    JwtBundlesResponse, Jwtsvid, X509BundlesResponse, X509svid, X509svidResponse,
};
use super::registry::Registry;
use crate::ca::{Ca, CaError, Claims, JwtError, TrustBundle, jwks, verify_jwt};

/// Counters of changes that concern every caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Requested rotations.
    pub(super) rotations: u64,
    /// Changes of the bundles.
    pub(super) bundles: u64,
}

/// The servers whose SVIDs also have the DNS name of this machine, so that clients without SPIFFE (`curl --cacert`) can verify
/// them. The option `-dns` of a registration entry does the same in SPIRE.
const SERVERS: [&str; 2] = ["/spike/nexus", "/spike/keeper"];

#[derive(Debug)]
pub(super) struct State {
    pub(super) ca: Arc<Ca>,
    pub(super) svid_ttl: Duration,
    pub(super) registry: Registry,
    pub(super) changes: watch::Sender<Changes>,
    federated: Mutex<BTreeMap<TrustDomain, TrustBundle>>,
    /// Further authorities of our own trust domain, DER, one after the other.
    further: Mutex<Vec<u8>>,
    /// Unchecked X.509 bundles, by the name under which they are sent.
    unsound: Mutex<BTreeMap<String, Bytes>>,
    attest_executables: AtomicBool,
    fail_attestation: AtomicBool,
    /// How far the clock of the issuer is ahead, in seconds.
    clock_ahead: AtomicI64,
}

impl State {
    pub(super) fn new(ca: Arc<Ca>, svid_ttl: Duration) -> Self {
        let (changes, _) = watch::channel(Changes::default());
        let registry = Registry::new(ca.trust_domain().clone());
        let (federated, further, unsound) = (Mutex::default(), Mutex::default(), Mutex::default());
        let attest_executables = AtomicBool::new(false);
        let fail_attestation = AtomicBool::new(false);
        let clock_ahead = AtomicI64::new(0);
        Self {
            ca,
            svid_ttl,
            registry,
            changes,
            federated,
            further,
            unsound,
            attest_executables,
            fail_attestation,
            clock_ahead,
        }
    }

    pub(super) fn rotate(&self) {
        self.changes.send_modify(|changes| changes.rotations += 1);
    }

    pub(super) fn federate(&self, bundle: &TrustBundle) {
        let replaced = self.federated().insert(bundle.trust_domain.clone(), bundle.clone());
        if replaced.as_ref() != Some(bundle) {
            self.changes.send_modify(|changes| changes.bundles += 1);
        }
    }

    pub(super) fn trust_also(&self, authorities: &[u8]) {
        *self.further.lock().unwrap_or_else(PoisonError::into_inner) = authorities.to_vec();
        self.changes.send_modify(|changes| changes.bundles += 1);
    }

    pub(super) fn unfederate(&self, trust_domain: &TrustDomain) -> bool {
        let removed = self.federated().remove(trust_domain).is_some();
        if removed {
            self.changes.send_modify(|changes| changes.bundles += 1);
        }
        removed
    }

    pub(super) fn attest_executables(&self, required: bool) {
        self.attest_executables.store(required, Ordering::Relaxed);
    }

    pub(super) fn fail_attestation(&self, fails: bool) {
        self.fail_attestation.store(fails, Ordering::Relaxed);
    }

    pub(super) fn fails_attestation(&self) -> bool {
        self.fail_attestation.load(Ordering::Relaxed)
    }

    pub(super) fn attests_executables(&self) -> bool {
        self.attest_executables.load(Ordering::Relaxed)
    }

    pub(super) fn set_clock_ahead(&self, seconds: i64) {
        self.clock_ahead.store(seconds, Ordering::Relaxed);
    }

    fn clock_ahead(&self) -> time::Duration {
        time::Duration::seconds(self.clock_ahead.load(Ordering::Relaxed))
    }

    pub(super) fn send_unsound_bundle(&self, name: &str, der: &[u8]) {
        self.unsound().insert(name.to_owned(), Bytes::copy_from_slice(der));
        self.changes.send_modify(|changes| changes.bundles += 1);
    }

    /// A new X.509-SVID with its key and bundles.
    pub(super) fn x509_svid(&self, id: &SpiffeId) -> Result<X509svidResponse, Status> {
        let names = if SERVERS.contains(&id.path()) { &["localhost"][..] } else { &[] };
        let svid = self.ca.issue_with_names(id, names, self.svid_ttl, now() + self.clock_ahead());
        let svid = svid.map_err(|error| internal(&error))?;
        let mut federated_bundles = self.x509_authorities();
        let own = federated_bundles.remove(&self.ca.trust_domain().id_string());
        federated_bundles.extend(self.unsound().clone());
        let svid = X509svid {
            spiffe_id: id.to_string(),
            x509_svid: Bytes::copy_from_slice(svid.certificate_der()),
            x509_svid_key: Bytes::copy_from_slice(svid.expose_key_der()),
            bundle: own.unwrap_or_default(),
            hint: String::new(),
        };
        Ok(X509svidResponse { svids: vec![svid], crl: Vec::new(), federated_bundles })
    }

    pub(super) fn x509_bundles(&self) -> X509BundlesResponse {
        X509BundlesResponse { crl: Vec::new(), bundles: self.x509_authorities() }
    }

    pub(super) fn jwt_bundles(&self) -> JwtBundlesResponse {
        let bundles = self.bundles().into_iter().map(|bundle| {
            (bundle.trust_domain.id_string(), Bytes::from(jwks(&bundle.jwt_authorities)))
        });
        JwtBundlesResponse { bundles: bundles.collect() }
    }

    pub(super) fn jwt_svid(&self, id: &SpiffeId, audience: &[String]) -> Result<Jwtsvid, Status> {
        let svid = self
            .ca
            .issue_jwt(id, audience, self.svid_ttl, now())
            .map_err(|error| internal(&error))?;
        Ok(Jwtsvid { spiffe_id: id.to_string(), svid, hint: String::new() })
    }

    /// Verifies a token of our trust domain or a federated one.
    pub(super) fn verify_jwt(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<(SpiffeId, Claims), JwtError> {
        verify_jwt(token, audience, now(), |subject| {
            let bundles = self.bundles().into_iter();
            bundles
                .filter(|bundle| subject.is_member_of(&bundle.trust_domain))
                .flat_map(|bundle| bundle.jwt_authorities)
                .collect()
        })
    }

    /// The X.509 bundle of every trusted trust domain, ours included, by its SPIFFE ID.
    fn x509_authorities(&self) -> HashMap<String, Bytes> {
        let bundles = self.bundles().into_iter();
        bundles
            .map(|bundle| (bundle.trust_domain.id_string(), Bytes::from(bundle.x509_authorities)))
            .collect()
    }

    fn bundles(&self) -> Vec<TrustBundle> {
        let mut own = self.ca.bundle();
        let further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        own.x509_authorities.extend_from_slice(&further);
        drop(further);
        let federated = self.federated();
        std::iter::once(own).chain(federated.values().cloned()).collect()
    }

    fn unsound(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.unsound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No code panics while it holds the lock, and the map would still be valid.
    fn federated(&self) -> MutexGuard<'_, BTreeMap<TrustDomain, TrustBundle>> {
        self.federated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn internal(error: &CaError) -> Status {
    tracing::error!(error = error as &dyn std::error::Error, "cannot issue an SVID");
    Status::internal("cannot issue an SVID")
}
