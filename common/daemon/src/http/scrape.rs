//! `/metrics` on the port of the API, for the SPIFFE IDs that a setting names: not every platform allows a plain port.
//!
//! For everybody else there is no such route.

use std::sync::Arc;

use axum::http::{HeaderMap, Method, StatusCode};
use spike_domain::CoveredIds;

use super::{Exchange, Names, Reply};
use crate::telemetry::{Exposition, Telemetry};

/// The target.
const TARGET: &str = "/metrics";

/// The names of a request for metrics.
pub(super) const NAMES: Names =
    Names { label: "metrics", component: "RouteMetrics", action: "read", changes: false };

/// Who may read the metrics over mTLS, and where they are.
#[derive(Clone, Debug)]
pub struct Scrapers {
    ids: Arc<CoveredIds>,
    telemetry: Telemetry,
}

impl Scrapers {
    /// These SPIFFE IDs may read these metrics.
    pub const fn new(ids: Arc<CoveredIds>, telemetry: Telemetry) -> Self {
        Self { ids, telemetry }
    }

    /// Whether a peer is one of them. It is asked for once for each connection.
    pub(super) fn include(&self, id: &str) -> bool {
        self.ids.cover(id)
    }

    /// The answer to a request of one of them, with these headers.
    pub(super) async fn answer(&self, headers: &HeaderMap) -> Reply {
        let format = Exposition::accepted_by(headers);
        match self.telemetry.metrics().await {
            Some(page) => Reply::metrics(format, page.text(format)),
            None => Reply::plain_error(StatusCode::INTERNAL_SERVER_ERROR, "no metrics"),
        }
    }
}

/// Whether a request is one for the metrics, if its peer may read them.
pub(super) fn is_for_metrics(exchange: &Exchange) -> bool {
    exchange.head().method == Method::GET && exchange.path() == Some(TARGET)
}
