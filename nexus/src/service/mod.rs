//! What Nexus does, in domain words: the layer between a granted request and the store.
//!
//! Each operation has its own request type, takes the [`Grant`](crate::access::Grant) of that request by value, and answers in
//! types of the domain, the keys and the store. Left to the dialects in `serve`: how requests and answers are written.

pub mod bootstrap;
pub mod cipher;
pub mod lists;
pub mod long_work;
pub mod operator;
pub mod policies;
pub mod questions;
mod reads;
pub mod secrets;
mod threads;
pub mod trust_domains;

use std::sync::Arc;

use prometheus_client::{metrics::counter::Counter, registry::Registry};
use spike_daemon::{http::Frame, telemetry::HealthView};

use crate::{
    access::{Access, DecisionMetrics, Needs, Operation, Principal},
    error::Error,
    keys::{KeySource, seal::Seal},
    store::{Home, Looks},
};
use long_work::{Deadline, Lane, LongWork, Place};
use trust_domains::HeldTrustDomains;

/// The service. One per process, shared by every request.
#[derive(Debug)]
pub struct Nexus {
    access: Access,
    seal: Arc<Seal>,
    key_source: KeySource,
    unused_data: Option<Home>,
    looks: Looks,
    max_ciphertext: usize,
    frame: Arc<Frame>,
    health: HealthView,
    trust_domains: HeldTrustDomains,
    long_work: LongWork,
    /// Encryptions under the root key itself, since the start.
    root_key_encryptions: Counter,
}

/// The parts of the service.
#[derive(Debug)]
pub struct Parts {
    /// Who may do what.
    pub access: Access,
    /// Whether the root key is here.
    pub seal: Arc<Seal>,
    /// Where the root key comes from.
    pub key_source: KeySource,
    /// Where a database of another backend may be, which this one does not open.
    pub unused_data: Option<Home>,
    /// The longest ciphertext of the cipher and of Bootstrap's proof, in bytes, the tag included.
    pub max_ciphertext: usize,
    /// The frame of requests: limits, budgets, audit and counts.
    pub frame: Arc<Frame>,
    /// The health checks of this process.
    pub health: HealthView,
    /// The trust domains whose peers can connect.
    pub trust_domains: HeldTrustDomains,
}

impl Nexus {
    /// A service of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            access,
            seal,
            key_source,
            unused_data,
            max_ciphertext,
            frame,
            health,
            trust_domains,
        } = parts;
        let long_work = LongWork::default();
        let root_key_encryptions = Counter::default();
        Self {
            access,
            seal,
            key_source,
            unused_data,
            looks: Looks::default(),
            max_ciphertext,
            frame,
            health,
            trust_domains,
            long_work,
            root_key_encryptions,
        }
    }

    /// Adds the metrics of requests, of decisions and of the use of the root key.
    pub fn register(&self, registry: &mut Registry) {
        self.frame.register(registry);
        let decisions = DecisionMetrics(Arc::clone(self.access.decisions()));
        registry.register_collector(Box::new(decisions));
        registry.register(
            "root_key_encryptions",
            "Encryptions of the cipher under the root key itself, since this process started",
            self.root_key_encryptions.clone(),
        );
    }

    /// Who may do what. Dialects ask it for the grant of each request.
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// The frame that every request goes through.
    pub const fn frame(&self) -> &Arc<Frame> {
        &self.frame
    }

    /// The longest ciphertext of the cipher, in bytes. It bounds the bodies of its routes.
    pub const fn max_ciphertext(&self) -> usize {
        self.max_ciphertext
    }

    /// Runs work of a request that takes long: see [`LongWork::run_and_hold`].
    ///
    /// # Errors
    /// [`Error::Busy`], and the error of `work`.
    pub async fn run_long<T: Send + 'static>(
        &self,
        lane: Lane,
        caller: &Principal,
        instead: &'static str,
        work: impl FnOnce(Deadline) -> Result<T, Error> + Send + 'static,
    ) -> Result<(T, Place), Error> {
        self.long_work.run_and_hold(lane, caller, instead, work).await
    }

    /// Whether the root key is here.
    ///
    /// # Errors
    /// [`Error::NotReady`] or [`Error::StoreUnopened`], with the reason.
    pub fn ready(&self) -> Result<(), Error> {
        self.seal.ready()
    }

    /// Checks whether `operation` can be carried out now and on this backend, whoever asks.
    ///
    /// # Errors
    /// In upstream's order (wire-api 3.2): [`Error::NotReady`] or [`Error::StoreUnopened`] if the operation needs the root key;
    /// [`Error::NoSuchRoute`] if the backend does not have it; [`Error::Unrecordable`] for a change that cannot be logged.
    pub fn admits(&self, operation: Operation) -> Result<(), Error> {
        // A key without data waits for Bootstrap's proof.
        let is_awaited = operation == Operation::BootstrapVerify && self.key_source.awaits_proof();
        if operation.needs() != Needs::Nothing && !is_awaited {
            self.seal.ready()?;
        }
        if operation.needs() == Needs::Store && !self.key_source.has_store() {
            return Err(Error::NoSuchRoute);
        }
        if operation.changes() {
            self.frame.audit().accepts_changes().map_err(Error::Unrecordable)?;
        }
        Ok(())
    }
}
