//! The telemetry listener: plain HTTP. It changes nothing but the level of the log.

use std::{io, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::{Extension, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use spike_mtls::clock;
use tokio::{task::AbortHandle, time::MissedTickBehavior};

use super::{Exposition, Status, Telemetry, listener, log_level};
use crate::{log_level::LogLevel, net};

/// How often every health check runs.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// A running telemetry listener; dropping it ends it.
#[derive(Debug)]
pub struct TelemetryServer {
    address: SocketAddr,
    tasks: [AbortHandle; 2],
}

/// Binds and serves at once: `/livez` must answer before anything else works. Must be called on a tokio runtime.
///
/// # Errors
/// The operating system's, if the address cannot be bound.
pub fn bind(
    telemetry: &Telemetry,
    addresses: &[SocketAddr],
    level: &LogLevel,
) -> io::Result<TelemetryServer> {
    let socket = net::listen(addresses)?;
    let address = socket.local_addr()?;
    let app = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route(
            log_level::TARGET,
            get(log_level::log_level).put(log_level::log_level).post(log_level::log_level),
        )
        .layer(Extension(level.clone()))
        .with_state(telemetry.clone());
    let serve = tokio::spawn(listener::serve((socket, address), app));
    let asked = telemetry.clone();
    let ask = tokio::spawn(async move {
        let mut every = tokio::time::interval(ASK_INTERVAL);
        every.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            every.tick().await;
            asked.health().fresh().await;
            asked.health().ask(clock::now());
        }
    });
    Ok(TelemetryServer { address, tasks: [serve.abort_handle(), ask.abort_handle()] })
}

impl TelemetryServer {
    /// The bound address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TelemetryServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn readyz(State(telemetry): State<Telemetry>) -> Response {
    telemetry.health().fresh().await;
    let reasons = telemetry.health().not_ready(clock::now());
    if reasons.is_empty() {
        return "ok\n".into_response();
    }
    let reasons: serde_json::Map<_, _> =
        reasons.into_iter().map(|(name, reason)| (name.to_owned(), reason.into())).collect();
    let body = Json(json!({ "status": "not ready", "reasons": reasons }));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

async fn healthz(State(telemetry): State<Telemetry>) -> Response {
    telemetry.health().fresh().await;
    let report = telemetry.health().report(clock::now());
    let code = match report.status {
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Failing => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut body = json!({
        "status": report.status,
        "program": telemetry.program(),
        "version": crate::VERSION,
        "checks": report.checks,
    });
    if let Some(body) = body.as_object_mut() {
        body.extend(report.facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)));
    }
    (code, Json(body)).into_response()
}

async fn metrics(State(telemetry): State<Telemetry>, headers: HeaderMap) -> Response {
    let format = Exposition::accepted_by(&headers);
    match telemetry.metrics().await {
        Some(page) => {
            ([(header::CONTENT_TYPE, format.media_type())], page.text(format)).into_response()
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
