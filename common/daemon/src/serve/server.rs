//! The listener: accepts, bounds, counts and drains connections. [`super::connection`] serves each of them.

use std::{
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::FutureExt;
use prometheus_client::metrics::gauge::Gauge;
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
    held_bytes::HELD_BYTES,
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

/// How often it is looked, after that, whose requests have ended.
const CLOSE_INTERVAL: Duration = Duration::from_millis(100);

/// How long accepting waits after an error, or after a bug, instead of spinning.
const PAUSE: Duration = Duration::from_millis(50);

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
            held: Budget::fair(HELD_BYTES),
            source: source.clone(),
            rule,
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let threads = Arc::new(ServingThreads::start()?);
        let connections = (tasks.clone(), Arc::clone(&threads));
        let rounds = <[Rounds; 2]>::default();
        let [accepting, checking] = rounds.clone();
        tasks.spawn(accept(self.socket, shared, stop.clone(), connections, accepting));
        let checked = (Arc::clone(&roster), limits.times());
        tokio::spawn(check_regularly(checked, stop.clone(), tasks.clone(), checking));
        Ok(Serving { stop, rounds, tasks, roster, threads })
    }
}

/// A running listener. Dropping this drops the requests that still run.
#[derive(Debug)]
pub struct Serving {
    stop: CancellationToken,
    /// Of accepting connections, and of checking them.
    rounds: [Rounds; 2],
    tasks: TaskTracker,
    roster: Arc<Roster>,
    threads: Arc<ServingThreads>,
}

impl Serving {
    /// A health check: whether every thread that serves runs, and connections are accepted and checked.
    pub fn watch(&self) -> impl Fn() -> Result<(), String> + Send + Sync + use<> {
        let threads = Arc::downgrade(&self.threads);
        let rounds = self.rounds.clone();
        move || {
            rounds.iter().try_for_each(Rounds::check)?;
            threads.upgrade().map_or(Ok(()), |threads| threads.check())
        }
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

    /// Reads nothing more of any peer: no request begins any more, whatever its peer makes of being asked to leave.
    pub fn stop_reading(&self) {
        self.roster.stop_reading();
    }

    /// Closes every connection. Peers that take their answers, however slowly, may do so until `deadline`, and cannot extend it; others have
    /// a moment. Running requests may continue until `deadline`, too; returns whether none was cut, and all have ended.
    pub async fn close(&self, deadline: Instant) -> bool {
        self.end();
        let closed = async |limit: Instant| timeout_at(limit, self.tasks.wait()).await.is_ok();
        if closed(Instant::now() + CLOSE_GRACE).await {
            return true;
        }
        self.stop_reading();
        self.roster.cut_ended(Duration::ZERO);
        let last = deadline.max(Instant::now() + CLOSE_GRACE);
        let finished = loop {
            if closed(last.min(Instant::now() + CLOSE_INTERVAL)).await {
                break true;
            }
            if Instant::now() >= last {
                break false;
            }
            // A peer that is not read cannot tell that it has got its answer.
            self.roster.cut_ended(CLOSE_GRACE);
        };
        self.roster.cut_all();
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

/// Work of the listener that is done in rounds. A panic ends its round only, and fails the check until a round goes well.
#[derive(Clone, Debug, Default)]
struct Rounds {
    is_broken: Arc<AtomicBool>,
}

impl Rounds {
    async fn run(&self, round: impl Future<Output = ()>) {
        let is_broken = AssertUnwindSafe(round).catch_unwind().await.is_err();
        self.is_broken.store(is_broken, Relaxed);
        if is_broken {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.is_broken.load(Relaxed) {
            return Err("what accepts and bounds connections ended in a bug the last time: the log has the place. Report it; if this stays, \
                        restart"
                .to_owned());
        }
        Ok(())
    }
}

async fn accept(
    socket: TcpListener,
    shared: Arc<Shared>,
    stop: CancellationToken,
    connections: (TaskTracker, Arc<ServingThreads>),
    rounds: Rounds,
) {
    let mut once = MessageLimit::default();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            () = rounds.run(accept_one(&socket, &shared, &connections, &mut once)) => {}
        }
    }
}

async fn accept_one(
    socket: &TcpListener,
    shared: &Arc<Shared>,
    (tasks, threads): &(TaskTracker, Arc<ServingThreads>),
    once: &mut MessageLimit,
) {
    let (waiting, accepted) = (threads.place().await, socket.accept().await);
    // Without the scheduler of this thread: the one that serves it has its own.
    match accepted.and_then(|(stream, address)| Ok((stream.into_std()?, address))) {
        Ok((stream, address)) => {
            let (entry, shared) = (shared.roster.add(), Arc::clone(shared));
            threads.spawn((tasks, waiting), serve_connection(stream, address, entry, shared));
        }
        // Most likely out of file descriptors: wait for some to be freed.
        Err(error) => {
            let reason = error.to_string();
            if let Some(suppressed) = once.admit(&reason, std::time::Instant::now()) {
                tracing::warn!(reason, suppressed, "cannot accept a connection");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn serve_connection(
    stream: std::net::TcpStream,
    address: SocketAddr,
    entry: Arc<TrackedConnection>,
    shared: Arc<Shared>,
) {
    let _open = OpenConnection::new(&shared, &entry);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(reason = %error, "cannot set TCP_NODELAY");
    }
    match TcpStream::from_std(stream) {
        Ok(stream) => {
            Connection::new(Arc::clone(&shared), Arc::clone(&entry), address).run(stream).await;
        }
        Err(error) => tracing::warn!(reason = %error, "cannot serve a connection"),
    }
}

/// A connection that counts as open, and has its place in the roster. Dropping this ends both, whatever has ended the connection: a
/// panic too, or the end of its thread.
struct OpenConnection {
    roster: Arc<Roster>,
    entry: Arc<TrackedConnection>,
    open: Gauge,
}

impl OpenConnection {
    fn new(shared: &Shared, entry: &Arc<TrackedConnection>) -> Self {
        Self::of(&shared.roster, entry, &shared.metrics.open)
    }

    fn of(roster: &Arc<Roster>, entry: &Arc<TrackedConnection>, open: &Gauge) -> Self {
        open.inc();
        Self { roster: Arc::clone(roster), entry: Arc::clone(entry), open: open.clone() }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.roster.remove(&self.entry);
        self.open.dec();
    }
}

async fn check_regularly(
    (roster, times): (Arc<Roster>, TimeLimits),
    stop: CancellationToken,
    connections: TaskTracker,
    rounds: Rounds,
) {
    let mut every = tokio::time::interval(CHECK_INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !(stop.is_cancelled() && connections.is_empty()) {
        every.tick().await;
        rounds.run(roster.check_all(&times, clock::now())).await;
    }
}

#[cfg(test)]
mod tests {
    use spike_mtls::budget::Bounds;

    use super::*;

    /// The connection counted as open for ever, and kept its place.
    #[tokio::test]
    async fn a_connection_that_panics_or_is_dropped_with_its_thread_counts_no_more() {
        let roster = Arc::new(Roster::new(Budget::new(Bounds::NONE), 2));
        let (entry, open) = (roster.add(), Gauge::default());
        let connection = OpenConnection::of(&roster, &entry, &open);
        assert_eq!((open.get(), Arc::strong_count(&entry)), (1, 3));
        let panics = async move {
            let _connection = connection;
            tokio::task::yield_now().await;
            panic!("a bug");
        };
        tokio::spawn(panics).await.unwrap_err();
        assert_eq!((open.get(), Arc::strong_count(&entry)), (0, 1));
        let connection = OpenConnection::of(&roster, &entry, &open);
        let dropped = async move {
            std::future::pending::<()>().await;
            drop(connection);
        };
        drop(dropped);
        assert_eq!((open.get(), Arc::strong_count(&entry)), (0, 1));
    }

    /// The task ended: no connection was accepted any more, and no check failed.
    #[tokio::test]
    async fn a_round_of_the_listener_that_panics_fails_the_check_until_the_next_one_goes_well() {
        for broken in 0..2 {
            let serving = Serving {
                stop: CancellationToken::new(),
                rounds: <[Rounds; 2]>::default(),
                tasks: TaskTracker::new(),
                roster: Arc::new(Roster::new(Budget::new(Bounds::NONE), 2)),
                threads: Arc::new(ServingThreads::start().unwrap()),
            };
            let check = serving.watch();
            serving.rounds[broken].run(async { panic!("a bug") }).await;
            assert!(check().unwrap_err().contains("ended in a bug"));
            serving.rounds[1 - broken].run(async {}).await;
            assert!(check().is_err(), "that is another one");
            serving.rounds[broken].run(async {}).await;
            assert_eq!(check(), Ok(()));
        }
    }
}
