//! Connections of the telemetry listener: few, short, and one request each.
//!
//! Everybody who can reach the port can connect, without an identity. So connections have short time limits, and a new
//! one is always accepted: if all slots are taken, another one is evicted. A new connection has a moment for its request, and
//! then a shorter one to take its answer: a real probe sends its request at once, and its answer is sent at once. Others
//! wait in the backlog meanwhile.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tower::ServiceExt;

use super::log_level::{self, Ends};
use crate::message_limit::MessageLimit;

/// The most open connections.
const MAX_CONNECTIONS: usize = 64;

/// From the connection to the end of the request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// From the connection to the end of the answer.
const WHOLE_LIMIT: Duration = Duration::from_secs(15);

/// How long a connection is not evicted that is served and has sent no request yet.
const REQUEST_AGE: Duration = Duration::from_millis(50);

/// How long a connection is not evicted whose request has arrived and whose answer is not made yet. One waits for a disk for a second
/// at most.
const MAKING_AGE: Duration = Duration::from_secs(2);

/// How long a connection is not evicted whose answer is made. A small answer is sent as soon as it is made; what is
/// left after that is a large one that nobody reads.
const ANSWER_AGE: Duration = Duration::from_millis(5);

/// The largest head, in bytes; a larger one is answered 431.
const MAX_HEAD: usize = 8 * 1024;

/// The pause after a failed accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `app` without end.
pub(super) async fn serve((socket, listener): (TcpListener, SocketAddr), app: Router) {
    let mut connections = Connections::default();
    let mut failures = MessageLimit::default();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(_) = connections.tasks.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.take(stream, Ends { listener, peer }, app.clone()).await;
            }
            Err(error) => {
                if let Some(suppressed) = failures.admit(&error.to_string(), Instant::now()) {
                    tracing::warn!(reason = %error, suppressed, "cannot accept a connection for health and metrics");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The open connections, oldest first. Dropping this ends them.
#[derive(Default)]
struct Connections {
    open: VecDeque<OpenConnection>,
    tasks: JoinSet<()>,
}

struct OpenConnection {
    task: AbortHandle,
    accepted: Instant,
    times: Arc<Times>,
}

/// How far a connection has come, and when.
#[derive(Default)]
struct Times {
    /// It was first served. Until then a busy machine keeps it waiting, not its peer.
    served: OnceLock<Instant>,
    /// Its request arrived.
    requested: OnceLock<Instant>,
    /// Its answer was made.
    answered: OnceLock<Instant>,
}

impl OpenConnection {
    /// When it may be evicted.
    fn may_end_at(&self) -> Instant {
        let Times { served, requested, answered } = &*self.times;
        let ages =
            [(answered, ANSWER_AGE), (requested, MAKING_AGE), (served, REQUEST_AGE)].into_iter();
        let mut latest = ages.filter_map(|(came, age)| Some(*came.get()? + age));
        latest.next().unwrap_or(self.accepted + HEAD_LIMIT)
    }
}

impl Connections {
    /// Serves a connection. If another one must be evicted, it waits until that is closed, so that there are never more
    /// descriptors than slots.
    async fn take(&mut self, stream: TcpStream, ends: Ends, app: Router) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|connection| !connection.task.is_finished());
        while self.tasks.len() >= MAX_CONNECTIONS {
            match next_eviction(&self.open, Instant::now()) {
                Eviction::Now(which) => {
                    if let Some(connection) = self.open.remove(which) {
                        connection.task.abort();
                    }
                    self.tasks.join_next().await;
                }
                Eviction::NotBefore(time) => tokio::select! {
                    _ = self.tasks.join_next() => {}
                    () = tokio::time::sleep_until(time.into()) => {}
                },
            }
            self.open.retain(|connection| !connection.task.is_finished());
        }
        let times = Arc::<Times>::default();
        let serve = connection((stream, ends), app, Arc::clone(&times));
        let begun = Arc::clone(&times);
        let task = self.tasks.spawn(async move {
            begun.served.get_or_init(Instant::now);
            serve.await;
        });
        self.open.push_back(OpenConnection { task, accepted: Instant::now(), times });
    }
}

/// Which connection can be evicted, or when one can.
#[derive(Debug, PartialEq, Eq)]
enum Eviction {
    Now(usize),
    NotBefore(Instant),
}

/// The connection whose time has been over for longest, or when the first one's will be.
fn next_eviction(open: &VecDeque<OpenConnection>, now: Instant) -> Eviction {
    let first = open.iter().enumerate().min_by_key(|(_, connection)| connection.may_end_at());
    match first {
        Some((_, connection)) if connection.may_end_at() > now => {
            Eviction::NotBefore(connection.may_end_at())
        }
        Some((which, _)) => Eviction::Now(which),
        None => Eviction::Now(0),
    }
}

async fn connection((stream, ends): (TcpStream, Ends), app: Router, times: Arc<Times>) {
    let service = service_fn(|request: Request<Incoming>| {
        times.requested.get_or_init(Instant::now);
        let (answer, times) = (answer(app.clone(), ends, request), Arc::clone(&times));
        async move {
            let answer = answer.await;
            times.answered.get_or_init(Instant::now);
            answer
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD)
        // One request for each connection, so that none is ever idle. Probes and scrapers are too rare to gain from
        // more.
        .keep_alive(false)
        // A client that closes its sending side after the request still gets the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(WHOLE_LIMIT, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(reason = %error, "a telemetry connection broke"),
        Err(_) => tracing::debug!("a telemetry connection took too long"),
    }
}

async fn answer(
    app: Router,
    ends: Ends,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (mut head, body) = request.into_parts();
    let Some(body) = log_level::body_of_change(&head, body).await else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };
    head.extensions.insert(ends);
    app.oneshot(Request::from_parts(head, Body::from(body))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these is evicted, or after how long one is. Each has an age in milliseconds, and that of its answer.
    fn eviction(connections: &[(u64, Option<u64>)]) -> Result<usize, Duration> {
        let mut tasks = JoinSet::new();
        let opened = Instant::now();
        let now = opened + Duration::from_secs(1);
        let ago = |age: u64| opened + Duration::from_millis(1000 - age);
        let open = connections.iter().map(|(age, answered)| OpenConnection {
            task: tasks.spawn(std::future::pending::<()>()),
            accepted: ago(*age),
            times: Arc::new(Times {
                served: ago(*age).into(),
                requested: answered.map(|age| ago(age).into()).unwrap_or_default(),
                answered: answered.map(|age| ago(age).into()).unwrap_or_default(),
            }),
        });
        match next_eviction(&open.collect(), now) {
            Eviction::Now(which) => Ok(which),
            Eviction::NotBefore(time) => Err(time - now),
        }
    }

    #[tokio::test]
    async fn a_probe_that_has_just_come_does_not_give_way_to_the_next_of_a_flood() {
        assert_eq!(eviction(&[(900, Some(900)), (800, None), (0, None)]), Ok(0));
        assert_eq!(eviction(&[(900, Some(700)), (800, None), (0, None)]), Ok(1));
        assert_eq!(eviction(&[(49, None), (40, None)]), Err(Duration::from_millis(1)));
        assert_eq!(eviction(&[]), Ok(0));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_gives_way_before_a_probe_that_has_not_asked_yet() {
        assert_eq!(eviction(&[(40, None), (20, Some(20)), (20, Some(4))]), Ok(1));
        assert_eq!(eviction(&[(4, Some(4)), (40, None)]), Err(Duration::from_millis(1)));
    }

    // On a busy machine, a probe was reset before its request was looked at.
    #[tokio::test]
    async fn a_connection_that_was_not_served_yet_does_not_give_way_for_its_age() {
        let mut tasks = JoinSet::new();
        let now = Instant::now();
        let waiting = OpenConnection {
            task: tasks.spawn(std::future::pending::<()>()),
            accepted: now.checked_sub(Duration::from_millis(900)).unwrap_or(now),
            times: Arc::default(),
        };
        assert!(matches!(next_eviction(&[waiting].into(), now), Eviction::NotBefore(_)));
    }

    // A probe that waited for a disk was reset after five milliseconds.
    #[tokio::test]
    async fn a_connection_whose_answer_is_being_made_gives_way_to_no_other_for_that() {
        let mut tasks = JoinSet::new();
        let now = Instant::now();
        let asked = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        let times = Times { served: asked.into(), requested: asked.into(), ..Times::default() };
        let waiting = OpenConnection {
            task: tasks.spawn(std::future::pending::<()>()),
            accepted: asked,
            times: Arc::new(times),
        };
        assert!(matches!(next_eviction(&[waiting].into(), now), Eviction::NotBefore(_)));
    }
}
