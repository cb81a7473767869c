//! A SPIFFE Workload API for the processes of one user on one machine.
//!
//! Owns the Unix socket, the decision which process has which SPIFFE ID, and the rotation of SVIDs. [`crate::ca`] makes keys
//! and certificates. All calls of the standard are served: streams of X.509-SVIDs and bundles, JWT-SVIDs, JWT bundles, and the
//! validation of tokens. Node attestation, selectors and an administrator's interface are left to SPIRE.
//!
//! `generated.rs` is made from `workload.proto`, the standard's own file (spiffe/go-spiffe,
//! `proto/spiffe/workload/workload.proto`, as the crate `spiffe` 0.19.0 ships it), by `protox` 0.9 and
//! `tonic-prost-build` 0.14 with `build_client(false)` and `bytes(".")`, and checked in, so that a build needs no
//! `protoc`. To change it, run the same in a crate of its own.

mod attest;
#[rustfmt::skip]
#[expect(
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    clippy::doc_markdown,
    clippy::default_trait_access,
    clippy::too_many_lines,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
mod generated;
mod procfs;
mod registry;
mod serve;
mod service;
mod socket;
mod state;
#[cfg(test)]
mod tests;
mod updates;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use spiffe::TrustDomain;
use spike_config::EndpointSocket;
use tokio::sync::Mutex;

pub(crate) use attest::serves;
pub use registry::{RegisterError, Registration, Registry};

use crate::ca::{Ca, TrustBundle};
use serve::Session;
use state::State;

/// The shortest lifetime of an SVID: certificates count in whole seconds.
pub const MIN_SVID_TTL: Duration = Duration::from_secs(1);

/// The configuration of a Workload API.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. A missing directory is made with mode 0700; the socket has 0600.
    pub socket: PathBuf,
    /// The authority that makes the SVIDs.
    pub ca: Arc<Ca>,
    /// The lifetime of X.509-SVIDs and JWT-SVIDs, at least [`MIN_SVID_TTL`]. A new X.509-SVID is sent after half of it.
    pub svid_ttl: Duration,
}

/// Why a call to the Workload API failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket cannot be made.
    #[error("{}: cannot listen", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another server is listening there.
    #[error("{}: another server is listening there", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something other than a socket is at the path. It is not removed.
    #[error("{}: exists and is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The lifetime is too short.
    #[error("{0:?}: an SVID lasts at least one second")]
    Lifetime(Duration),
    /// The trust domain is our own, not a foreign one.
    #[error("{0}: a trust domain does not federate with itself")]
    OwnTrustDomain(TrustDomain),
}

/// Starts Workload APIs.
#[derive(Debug)]
pub struct WorkloadApi;

impl WorkloadApi {
    /// Listens on the socket before it returns, and serves until the result is dropped. Must be called on a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`Error`] if the socket cannot be made or the lifetime is too short. The socket file of a server that has ended is
    /// replaced; that of a running server is an error.
    pub async fn start(config: Config) -> Result<Running, Error> {
        if config.svid_ttl < MIN_SVID_TTL {
            return Err(Error::Lifetime(config.svid_ttl));
        }
        // Clients accept absolute paths only.
        let socket = std::path::absolute(&config.socket)
            .map_err(|source| Error::Bind { path: config.socket.clone(), source })?;
        let running = Running {
            socket,
            state: Arc::new(State::new(config.ca, config.svid_ttl)),
            session: Mutex::new(None),
        };
        running.resume().await?;
        Ok(running)
    }
}

/// A running Workload API. Dropping it ends every connection and removes the socket.
#[derive(Debug)]
pub struct Running {
    socket: PathBuf,
    state: Arc<State>,
    /// `None` while paused.
    session: Mutex<Option<Session>>,
}

impl Running {
    /// The socket, as an absolute path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The value of `SPIFFE_ENDPOINT_SOCKET`.
    pub fn endpoint(&self) -> String {
        EndpointSocket::of_unix_path(&self.socket)
    }

    /// The authority that makes the SVIDs.
    pub fn ca(&self) -> &Ca {
        &self.state.ca
    }

    /// The authority, shared.
    pub fn shared_ca(&self) -> Arc<Ca> {
        Arc::clone(&self.state.ca)
    }

    /// The registry, in which processes get SPIFFE IDs explicitly.
    pub fn registry(&self) -> &Registry {
        &self.state.registry
    }

    /// Sends a new X.509-SVID on every open stream now.
    pub fn rotate(&self) {
        self.state.rotate();
    }

    /// Makes every workload trust a foreign trust domain, or replaces its bundle.
    ///
    /// # Errors
    /// [`Error::OwnTrustDomain`].
    pub fn federate(&self, bundle: TrustBundle) -> Result<(), Error> {
        if bundle.trust_domain == *self.ca().trust_domain() {
            return Err(Error::OwnTrustDomain(bundle.trust_domain));
        }
        self.state.federate(&bundle);
        Ok(())
    }

    /// Ends the trust in a foreign trust domain. False if there was none.
    pub fn unfederate(&self, trust_domain: &TrustDomain) -> bool {
        self.state.unfederate(trust_domain)
    }

    /// Makes every workload also trust these X.509 authorities of our own trust domain (DER, one after the other), as during
    /// the replacement of an authority. Each call replaces the authorities of the last call.
    pub fn trust_also(&self, authorities: &[u8]) {
        self.state.trust_also(authorities);
    }

    /// Whether X.509-SVIDs are only for processes whose executable this process can see. A SPIRE agent with selectors of paths
    /// (`unix:path`) behaves so: as root it sees every process, otherwise those of its user that are dumpable.
    pub fn attest_executables(&self, required: bool) {
        self.state.attest_executables(required);
    }

    /// Whether a process whose executable we may not see is told that its attestation failed, as SPIRE does from 1.15 on. Before
    /// that, it is told that it has no identity.
    pub fn fail_attestation(&self, fails: bool) {
        self.state.fail_attestation(fails);
    }

    /// From the next X.509-SVID on, issues them as if the clock were so many seconds ahead; behind, if negative. Those that were
    /// sent before stay in use until they are renewed.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.state.set_clock_ahead(seconds);
    }

    /// Sends `der` as the X.509 bundle of a foreign trust domain `name`, both unchecked, for tests of clients.
    pub fn send_unsound_bundle(&self, name: &str, der: &[u8]) {
        self.state.send_unsound_bundle(name, der);
    }

    /// Acts like an agent that was stopped: ends connections and removes the socket. Registrations are kept.
    pub async fn pause(&self) {
        if let Some(session) = self.session.lock().await.take() {
            session.stop().await;
        }
    }

    /// Serves again after [`Running::pause`]; otherwise does nothing.
    ///
    /// # Errors
    /// [`Error`] if the socket cannot be made.
    pub async fn resume(&self) -> Result<(), Error> {
        let mut session = self.session.lock().await;
        if session.is_none() {
            let (listener, file) = socket::bind(&self.socket).await?;
            *session = Some(Session::start(listener, file, Arc::clone(&self.state)));
        }
        Ok(())
    }

    /// Ends every connection, removes the socket, and returns when all tasks have ended.
    pub async fn shutdown(self) {
        self.pause().await;
    }
}
