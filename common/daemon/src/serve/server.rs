//! The listener: accepts, bounds, counts and drains connections. One connection's life is in [`super::connection`].

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use spike_mtls::{PeerRule, budget::Budget, clock, server_config, svid::SvidSource};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, MissedTickBehavior, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    activity::TimeLimits,
    app::App,
    connection::Connection,
    limits::Limits,
    metrics::ConnectionMetrics,
    roster::{Entry, Roster},
    shared::Shared,
};
use crate::{net, once::MessageLimit};

/// How often connections are held against their limits and their peers' identities.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long connections may take to close by themselves once the listener has stopped and their requests are done.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

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
        let limits = limits.fitted();
        let acceptor = TlsAcceptor::from(Arc::new(server_config(source, rule.clone())?));
        let roster = Arc::new(Roster::new(Budget::new(limits.places()), limits.handshakes()));
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
        tasks.spawn(accept(self.socket, shared, stop.clone(), tasks.clone()));
        tokio::spawn(look(Arc::clone(&roster), limits.times(), stop.clone(), tasks.clone()));
        Ok(Serving { stop, tasks, roster })
    }
}

/// A running listener.
#[derive(Debug)]
pub struct Serving {
    stop: CancellationToken,
    tasks: TaskTracker,
    roster: Arc<Roster>,
}

impl Serving {
    /// Accepts no more connections, and lets the peers of those that are open know. They may still send requests.
    pub fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.roster.stop();
    }

    /// Whether no connection is open.
    pub fn is_quiet(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Takes no more requests. Those that are there go on.
    pub fn end(&self) {
        self.roster.end_all();
    }

    /// Closes every connection. Peers have a moment to take the answers that are there for them; what they do or leave undone
    /// cannot make it longer. A request that is being carried out is waited for until `deadline`; tells whether none was cut.
    pub async fn close(self, deadline: Instant) -> bool {
        self.end();
        let closed = async |limit: Instant| timeout_at(limit, self.tasks.wait()).await.is_ok();
        if closed(Instant::now() + CLOSE_GRACE).await {
            return true;
        }
        self.roster.cut(false);
        let finished = closed(deadline.max(Instant::now() + CLOSE_GRACE)).await;
        self.roster.cut(true);
        self.tasks.wait().await;
        finished
    }

    /// Stops accepting, lets requests in flight finish for `bound` at the most, and closes every connection. Tells whether
    /// they all finished.
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
    tasks: TaskTracker,
) {
    let mut once = MessageLimit::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let entry = shared.roster.arrive();
                tasks.spawn(one(stream, address, entry, Arc::clone(&shared)));
            }
            // Out of file descriptors, most likely: wait for some to come back instead of spinning.
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

async fn one(stream: TcpStream, address: SocketAddr, entry: Arc<Entry>, shared: Arc<Shared>) {
    shared.metrics.open.inc();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(reason = %error, "cannot set TCP_NODELAY");
    }
    Connection::new(Arc::clone(&shared), Arc::clone(&entry), address).run(stream).await;
    shared.roster.leave(&entry);
    shared.metrics.open.dec();
}

async fn look(
    roster: Arc<Roster>,
    times: TimeLimits,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    let mut every = tokio::time::interval(LOOK_INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !(stop.is_cancelled() && connections.is_empty()) {
        every.tick().await;
        roster.look(&times, clock::now()).await;
    }
}
