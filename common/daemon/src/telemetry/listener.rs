//! Connections of the telemetry listener: few, short, and one request each.
//!
//! Everybody who can reach the port can connect, without any identity. So a connection has no time to waste, and a new one
//! always gets in: when all places are taken, the oldest connection whose request has not come yet gives way, or the oldest
//! of all. An honest probe sends its request at once and is answered at once.

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

use crate::once::OncePerChange;

/// How many connections are open at the same time.
const CONNECTIONS: usize = 64;

/// From the connection to the end of the request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// From the connection to the end of the answer.
const WHOLE_LIMIT: Duration = Duration::from_secs(15);

/// The largest head that is read, in bytes; more is answered 431.
const MAX_HEAD: usize = 8 * 1024;

/// The pause after a failed accept, which is most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `app` for ever.
pub(super) async fn serve(socket: TcpListener, app: Router) {
    let mut places = Places::default();
    let mut failures = OncePerChange::default();
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
    requested: Arc<AtomicBool>,
}

impl Places {
    /// Gives the connection a place. Where another one gives way it waits until that is closed, so that there are never
    /// more descriptors than places.
    async fn take(&mut self, stream: TcpStream, app: Router) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|place| !place.task.is_finished());
        while self.tasks.len() >= CONNECTIONS {
            let waits = |place: &Place| !place.requested.load(Ordering::Relaxed);
            let oldest = self.open.iter().position(waits).unwrap_or(0);
            if let Some(place) = self.open.remove(oldest) {
                place.task.abort();
            }
            self.tasks.join_next().await;
        }
        let requested = Arc::new(AtomicBool::new(false));
        let task = self.tasks.spawn(connection(stream, app, Arc::clone(&requested)));
        self.open.push_back(Place { task, requested });
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
