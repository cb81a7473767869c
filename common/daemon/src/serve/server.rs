//! The listener: accepts, bounds, counts and drains connections. [`super::connection`] serves each of them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use spike_mtls::{PeerRule, budget::Budget, clock, server_config, svid::SvidSource};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, MissedTickBehavior, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    app::App,
    connection::Connection,
    limits::{Limits, TimeLimits},
    metrics::ConnectionMetrics,
    roster::{Roster, TrackedConnection},
    serving_threads::ServingThreads,
    shared::Shared,
};
use crate::{message_limit::MessageLimit, net};

/// How often the limits and identities of connections are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long connections may take to close after the listener has stopped and their requests are done.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// A bound socket that does not accept yet, so that a daemon has its port before it is ready.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds the first of `addresses` that works: `[::]` (which takes IPv4 too) comes before `0.0.0.0`.
    ///
    /// # Errors
    /// The error of the last address, if none could be bound.
    #[expect(clippy::unused_async, reason = "it registers with the runtime that its caller is on")]
    pub async fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let socket = net::listen(addresses)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The bound address, with the real port even if port 0 was requested.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `app` to the peers that `rule` admits.
    ///
    /// # Errors
    /// If the TLS library cannot be configured at all, or the system gives no threads.
    pub fn serve(
        self,
        source: &SvidSource,
        rule: PeerRule,
        limits: Limits,
        metrics: ConnectionMetrics,
        app: App,
    ) -> io::Result<Serving> {
        let limits = limits.fitted();
        let config = server_config(source, rule.clone()).map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let roster =
            Arc::new(Roster::new(Budget::new(limits.connection_budget()), limits.handshakes()));
        let shared = Arc::new(Shared {
            acceptor,
            app,
            limits,
            metrics,
            roster: Arc::clone(&roster),
            source: source.clone(),
            rule,
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let threads = Arc::new(ServingThreads::start()?);
        let connections = (tasks.clone(), Arc::clone(&threads));
        tasks.spawn(accept(self.socket, shared, stop.clone(), connections));
        tokio::spawn(check_regularly(
            Arc::clone(&roster),
            limits.times(),
            stop.clone(),
            tasks.clone(),
        ));
        Ok(Serving { stop, tasks, roster, threads })
    }
}

/// A running listener. Dropping this drops the requests that still run.
#[derive(Debug)]
pub struct Serving {
    stop: CancellationToken,
    tasks: TaskTracker,
    roster: Arc<Roster>,
    threads: Arc<ServingThreads>,
}

impl Serving {
    /// A health check: whether every thread that serves runs.
    pub fn watch(&self) -> impl Fn() -> Result<(), String> + Send + Sync + use<> {
        let threads = Arc::downgrade(&self.threads);
        move || threads.upgrade().map_or(Ok(()), |threads| threads.check())
    }

    /// Accepts no more connections, and notifies the peers of open ones. They may still send requests.
    pub fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.roster.stop();
    }

    /// Whether no connection is open.
    pub fn is_quiet(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Refuses new requests. Running ones continue.
    pub fn end(&self) {
        self.roster.end_all();
    }

    /// Closes every connection. Peers have a moment to read their waiting answers, and cannot extend it. Running
    /// requests may continue until `deadline`; returns whether none was cut, and all have ended.
    pub async fn close(&self, deadline: Instant) -> bool {
        self.end();
        let closed = async |limit: Instant| timeout_at(limit, self.tasks.wait()).await.is_ok();
        if closed(Instant::now() + CLOSE_GRACE).await {
            return true;
        }
        self.roster.cut(false);
        let finished = closed(deadline.max(Instant::now() + CLOSE_GRACE)).await;
        self.roster.cut(true);
        // A thread that a disk holds does not end its connections.
        closed(Instant::now() + CLOSE_GRACE).await && finished
    }

    /// Stops accepting, lets running requests finish within `bound`, and closes every connection. Returns whether all
    /// finished.
    pub async fn drain(self, bound: Duration) -> bool {
        let deadline = Instant::now() + bound;
        self.stop();
        self.close(deadline).await
    }
}

async fn accept(
    socket: TcpListener,
    shared: Arc<Shared>,
    stop: CancellationToken,
    (tasks, threads): (TaskTracker, Arc<ServingThreads>),
) {
    let mut once = MessageLimit::default();
    loop {
        let (waiting, accepted) = tokio::select! {
            () = stop.cancelled() => return,
            next = async { (threads.place().await, socket.accept().await) } => next,
        };
        // Without the scheduler of this thread: the one that serves it has its own.
        match accepted.and_then(|(stream, address)| Ok((stream.into_std()?, address))) {
            Ok((stream, address)) => {
                let (entry, shared) = (shared.roster.add(), Arc::clone(&shared));
                threads.spawn((&tasks, waiting), serve_connection(stream, address, entry, shared));
            }
            // Most likely out of file descriptors: wait for some to be freed instead of spinning.
            Err(error) => {
                let reason = error.to_string();
                if let Some(suppressed) = once.admit(&reason, std::time::Instant::now()) {
                    tracing::warn!(reason, suppressed, "cannot accept a connection");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve_connection(
    stream: std::net::TcpStream,
    address: SocketAddr,
    entry: Arc<TrackedConnection>,
    shared: Arc<Shared>,
) {
    shared.metrics.open.inc();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(reason = %error, "cannot set TCP_NODELAY");
    }
    match TcpStream::from_std(stream) {
        Ok(stream) => {
            let connection = Connection::new(Arc::clone(&shared), Arc::clone(&entry), address);
            connection.run(stream).await;
        }
        Err(error) => tracing::warn!(reason = %error, "cannot serve a connection"),
    }
    shared.roster.remove(&entry);
    shared.metrics.open.dec();
}

async fn check_regularly(
    roster: Arc<Roster>,
    times: TimeLimits,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    let mut every = tokio::time::interval(CHECK_INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !(stop.is_cancelled() && connections.is_empty()) {
        every.tick().await;
        roster.check_all(&times, clock::now()).await;
    }
}
