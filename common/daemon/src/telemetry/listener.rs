//! Connections of the telemetry listener: few, short, and one request each.
//!
//! Everybody who can reach the port can connect, without any identity. So a connection has no time to waste, and a new one
//! always gets in: when all places are taken, the oldest connection whose request has not come yet gives way, or the oldest
//! of all. None gives way in its first moment: an honest probe sends its request at once and is answered at once, and whoever
//! comes meanwhile waits with the operating system.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tower::ServiceExt;

use crate::once::MessageLimit;

/// How many connections are open at the same time.
const CONNECTIONS: usize = 64;

/// From the connection to the end of the request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// From the connection to the end of the answer.
const WHOLE_LIMIT: Duration = Duration::from_secs(15);

/// For so long no connection gives way to another.
const GRACE: Duration = Duration::from_millis(50);

/// The largest head that is read, in bytes; more is answered 431.
const MAX_HEAD: usize = 8 * 1024;

/// The pause after a failed accept, which is most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `app` for ever.
pub(super) async fn serve(socket: TcpListener, app: Router) {
    let mut places = Places::default();
    let mut failures = MessageLimit::default();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(_) = places.tasks.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => places.take(stream, app.clone()).await,
            Err(error) => {
                if let Some(suppressed) = failures.admit(&error.to_string(), Instant::now()) {
                    tracing::warn!(reason = %error, suppressed, "cannot accept a connection for health and metrics");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The open connections, the oldest first. Dropping it ends them.
#[derive(Default)]
struct Places {
    open: VecDeque<Place>,
    tasks: JoinSet<()>,
}

struct Place {
    task: AbortHandle,
    since: Instant,
    requested: Arc<AtomicBool>,
}

impl Places {
    /// Gives the connection a place. Where another one gives way it waits until that is closed, so that there are never
    /// more descriptors than places.
    async fn take(&mut self, stream: TcpStream, app: Router) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|place| !place.task.is_finished());
        while self.tasks.len() >= CONNECTIONS {
            match gives_way(&self.open, Instant::now()) {
                Way::Now(which) => {
                    if let Some(place) = self.open.remove(which) {
                        place.task.abort();
                    }
                    self.tasks.join_next().await;
                }
                Way::NotBefore(time) => tokio::select! {
                    _ = self.tasks.join_next() => {}
                    () = tokio::time::sleep_until(time.into()) => {}
                },
            }
            self.open.retain(|place| !place.task.is_finished());
        }
        let requested = Arc::new(AtomicBool::new(false));
        let task = self.tasks.spawn(connection(stream, app, Arc::clone(&requested)));
        self.open.push_back(Place { task, since: Instant::now(), requested });
    }
}

/// Which place becomes free for another connection, and when.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Now(usize),
    NotBefore(Instant),
}

fn gives_way(open: &VecDeque<Place>, now: Instant) -> Way {
    let may = |place: &Place| now.saturating_duration_since(place.since) >= GRACE;
    let waits = |place: &Place| !place.requested.load(Ordering::Relaxed);
    if let Some(which) = open.iter().position(|place| may(place) && waits(place)) {
        return Way::Now(which);
    }
    match open.front() {
        Some(oldest) if !may(oldest) => Way::NotBefore(oldest.since + GRACE),
        Some(_) | None => Way::Now(0),
    }
}

async fn connection(stream: TcpStream, app: Router, requested: Arc<AtomicBool>) {
    let service = service_fn(|request: Request<Incoming>| {
        requested.store(true, Ordering::Relaxed);
        answer(app.clone(), request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD)
        // One request for each connection, so that none is ever idle. Probes and scrapers come too rarely to gain from more.
        .keep_alive(false)
        // Whoever closes its sending side after the request gets the answer all the same.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(WHOLE_LIMIT, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(reason = %error, "a telemetry connection broke"),
        Err(_) => tracing::debug!("a telemetry connection took too long"),
    }
}

async fn answer(app: Router, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    // No answer depends on a body, and none is read.
    app.oneshot(request.map(|_| Body::empty())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these gives way, or after how long one does. Each is so many milliseconds old, and its request has come or not.
    fn way(places: &[(u64, bool)]) -> Result<usize, Duration> {
        let mut tasks = JoinSet::new();
        let opened = Instant::now();
        let now = opened + Duration::from_secs(1);
        let open = places.iter().map(|(age, requested)| Place {
            task: tasks.spawn(std::future::pending::<()>()),
            since: opened + Duration::from_millis(1000 - age),
            requested: Arc::new(AtomicBool::new(*requested)),
        });
        match gives_way(&open.collect(), now) {
            Way::Now(which) => Ok(which),
            Way::NotBefore(time) => Err(time - now),
        }
    }

    #[tokio::test]
    async fn a_probe_that_has_just_come_does_not_give_way_to_the_next_of_a_flood() {
        assert_eq!(way(&[(900, true), (800, true), (0, false)]), Ok(0));
        assert_eq!(way(&[(900, true), (800, false), (0, false)]), Ok(1));
        assert_eq!(way(&[(49, true), (40, false), (0, false)]), Err(Duration::from_millis(1)));
        assert_eq!(way(&[]), Ok(0));
    }
}
