//! A SPIFFE Workload API for the processes of one user on one machine.
//!
//! Owns the Unix socket, the decision which process has which SPIFFE ID, and the rotation of SVIDs. Keys and
//! certificates are made in [`crate::ca`]. All calls of the standard are served: X.509-SVIDs and bundles as
//! streams, JWT-SVIDs, JWT bundles, and the validation of tokens. What a production agent has beyond that (node
//! attestation, selectors, an administrator's interface) is left to SPIRE.
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

/// What a Workload API needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. A missing directory is made with mode 0700; the socket has 0600.
    pub socket: PathBuf,
    /// Whose SVIDs to hand out.
    pub ca: Arc<Ca>,
    /// How long X.509-SVIDs and JWT-SVIDs last, at least [`MIN_SVID_TTL`]. A fresh X.509-SVID is pushed after half of it.
    pub svid_ttl: Duration,
}

/// Why the Workload API does not do as it was told.
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
    /// The path is taken by something that we will not remove.
    #[error("{}: exists and is not a socket", path.display())]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// Too short.
    #[error("{0:?}: an SVID lasts at least one second")]
    Lifetime(Duration),
    /// One's own trust domain is not a foreign one.
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
    /// [`Error`] when the socket cannot be had or the lifetime is too short. The socket file of a server that has ended
    /// is replaced; that of a living one is an error.
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

/// A Workload API at work. Dropping it ends every connection and removes the socket.
#[derive(Debug)]
pub struct Running {
    socket: PathBuf,
    state: Arc<State>,
    /// Nothing while paused.
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

    /// The authority whose SVIDs are handed out.
    pub fn ca(&self) -> &Ca {
        &self.state.ca
    }

    /// The authority, to be kept.
    pub fn shared_ca(&self) -> Arc<Ca> {
        Arc::clone(&self.state.ca)
    }

    /// Where processes are given SPIFFE IDs explicitly.
    pub fn registry(&self) -> &Registry {
        &self.state.registry
    }

    /// Pushes a fresh X.509-SVID on every open stream now.
    pub fn rotate(&self) {
        self.state.rotate();
    }

    /// Makes every workload trust a foreign trust domain, or replaces what it trusts it with.
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

    /// Makes every workload trust these X.509 authorities of our own trust domain too (DER, one after the other), in place of
    /// those of the last call: as while an authority is replaced by another. None are left after a call with none.
    pub fn trust_also(&self, authorities: &[u8]) {
        self.state.trust_also(authorities);
    }

    /// Whether X.509-SVIDs are only for processes whose executable we may see: how a SPIRE agent attests that looks at
    /// paths (`unix:path`). It sees every process if it is root, and otherwise those of its user that do not hide.
    pub fn attest_executables(&self, required: bool) {
        self.state.attest_executables(required);
    }

    /// Sends `der` as the X.509 bundle of a foreign trust domain called `name`, whatever the two are: for tests of clients.
    pub fn send_unsound_bundle(&self, name: &str, der: &[u8]) {
        self.state.send_unsound_bundle(name, der);
    }

    /// Goes away like an agent that has been stopped: connections end, the socket is gone. Registrations are kept.
    pub async fn pause(&self) {
        if let Some(session) = self.session.lock().await.take() {
            session.stop().await;
        }
    }

    /// Comes back after [`Running::pause`]; nothing happens if it was not away.
    ///
    /// # Errors
    /// [`Error`] when the socket cannot be had.
    pub async fn resume(&self) -> Result<(), Error> {
        let mut session = self.session.lock().await;
        if session.is_none() {
            let (listener, file) = socket::bind(&self.socket).await?;
            *session = Some(Session::start(listener, file, Arc::clone(&self.state)));
        }
        Ok(())
    }

    /// Ends every connection, removes the socket, and returns when nothing of it runs any more.
    pub async fn shutdown(self) {
        self.pause().await;
    }
}
