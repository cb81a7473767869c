//! The listener: accepts, bounds, counts and drains connections. One connection's life is in [`super::connection`].

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{app::App, connection::Connection, peer::PeerRule, tls};
use crate::{net, svid::SvidSource};

/// Bounds on everything that a peer controls. All are per listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From accept to the end of the TLS handshake, and from the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Duration,
    /// Open connections in all.
    pub connections: usize,
    /// Open connections of one SPIFFE ID.
    pub connections_per_id: usize,
}

/// The largest request head that is read, in bytes; more is answered 431.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// A bound socket that does not accept yet, so that a daemon can claim its port before it is ready to serve.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds the first of `addresses` that can be bound: `[::]` (which takes IPv4 too) comes before `0.0.0.0`.
    ///
    /// # Errors
    /// The error of the last address, where none could be bound.
    #[expect(clippy::unused_async, reason = "it registers with the runtime that its caller is on")]
    pub async fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let socket = net::listen(addresses)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The bound address: the port is a real one, also where port 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to serve `app` to the peers that `rule` admits.
    ///
    /// # Errors
    /// Only where the TLS library cannot be configured at all.
    pub fn serve(
        self,
        source: &SvidSource,
        rule: PeerRule,
        limits: Limits,
        metrics: ConnectionMetrics,
        app: App,
    ) -> Result<Serving, rustls::Error> {
        let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(source, rule)?));
        let serving = Serving { stop: CancellationToken::new(), tasks: TaskTracker::new() };
        let shared = Arc::new(Shared {
            acceptor,
            app,
            limits,
            metrics,
            stop: serving.stop.clone(),
            per_id: Mutex::default(),
        });
        let permits = Arc::new(Semaphore::new(limits.connections));
        serving.tasks.spawn(accept(self.socket, shared, permits, serving.tasks.clone()));
        Ok(serving)
    }
}

/// A running listener.
#[derive(Debug)]
pub struct Serving {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Serving {
    /// Stops accepting, lets requests in flight finish for `bound` at the most, and closes every connection.
    /// Tells whether everything finished by itself.
    pub async fn drain(self, bound: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(bound, self.tasks.wait()).await.is_ok()
    }
}

/// What every connection of one listener shares.
pub(super) struct Shared {
    pub(super) acceptor: TlsAcceptor,
    pub(super) app: App,
    pub(super) limits: Limits,
    pub(super) metrics: ConnectionMetrics,
    pub(super) stop: CancellationToken,
    per_id: Mutex<HashMap<Arc<str>, usize>>,
}

impl Shared {
    /// Counts a connection of `id`; `None` when it is one too many. The count ends when the guard is dropped.
    pub(super) fn count(self: &Arc<Self>, id: Arc<str>) -> Option<Counted> {
        let mut counts = self.per_id.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(Arc::clone(&id)).or_insert(0);
        if *count >= self.limits.connections_per_id {
            return None;
        }
        *count += 1;
        Some(Counted { shared: Arc::clone(self), id })
    }
}

/// One counted connection.
pub(super) struct Counted {
    shared: Arc<Shared>,
    id: Arc<str>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.shared.per_id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.id);
            }
        }
    }
}

async fn accept(
    socket: TcpListener,
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&permits).try_acquire_owned() {
                Ok(permit) => {
                    tasks.spawn(one(stream, Arc::clone(&shared), permit));
                }
                // No answer is possible before the handshake, and a handshake is what there is no room for.
                Err(_) => shared.metrics.refuse(Reason::TooMany),
            },
            // Out of file descriptors, most likely: wait for some to come back instead of spinning.
            Err(error) => {
                tracing::warn!(reason = %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn one(stream: TcpStream, shared: Arc<Shared>, permit: OwnedSemaphorePermit) {
    shared.metrics.open.inc();
    let metrics = shared.metrics.clone();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(reason = %error, "cannot set TCP_NODELAY");
    }
    Connection::new(shared).run(stream).await;
    metrics.open.dec();
    drop(permit);
}

/// Why a connection did not come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    TooMany,
    TooManyOfOneId,
    HandshakeTimeout,
    HandshakeFailed,
    PlainHttp,
}

impl Reason {
    const fn label(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::TooManyOfOneId => "too_many_of_one_id",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::PlainHttp => "plain_http",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Counts of connections, for `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    pub(super) open: Gauge,
    pub(super) handshakes: Counter,
    refused: Family<ReasonLabel, Counter>,
}

impl ConnectionMetrics {
    /// Makes the counts visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("connections_open", "Connections that are open now", self.open.clone());
        registry.register(
            "tls_handshakes",
            "TLS handshakes that ended with a verified peer",
            self.handshakes.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections that were ended before the first request, by reason",
            self.refused.clone(),
        );
    }

    pub(super) fn refuse(&self, reason: Reason) {
        self.refused.get_or_create(&ReasonLabel { reason: reason.label() }).inc();
    }
}
