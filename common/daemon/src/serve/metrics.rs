//! Metrics of connections and refusals.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Why a connection or a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    TooMany,
    TooManyOfOneId,
    HandshakeTimeout,
    HandshakeFailed,
    PlainHttp,
    Malformed,
    HeadTimeout,
    RefusedRequest,
    Cut,
}

impl Reason {
    const ALL: [Self; 9] = [
        Self::TooMany,
        Self::TooManyOfOneId,
        Self::HandshakeTimeout,
        Self::HandshakeFailed,
        Self::PlainHttp,
        Self::Malformed,
        Self::HeadTimeout,
        Self::RefusedRequest,
        Self::Cut,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::TooManyOfOneId => "too_many_of_one_id",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::PlainHttp => "plain_http",
            Self::Malformed => "malformed",
            Self::HeadTimeout => "head_timeout",
            Self::RefusedRequest => "refused_request",
            Self::Cut => "cut",
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
    /// Adds the metrics to `registry`. Every reason is there from the start: Prometheus does not see the first increase of a
    /// counter that begins with it.
    pub fn register(&self, registry: &mut Registry) {
        for reason in Reason::ALL {
            drop(self.of(reason));
        }
        registry.register("connections_open", "Connections that are open now", self.open.clone());
        registry.register(
            "tls_handshakes",
            "TLS handshakes that ended with a verified peer",
            self.handshakes.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections that were refused or ended for what the peer did, and requests that no handler saw, by reason",
            self.refused.clone(),
        );
    }

    pub(super) fn refuse(&self, reason: Reason) {
        self.of(reason).inc();
    }

    fn of(&self, reason: Reason) -> impl std::ops::Deref<Target = Counter> {
        self.refused.get_or_create(&ReasonLabel { reason: reason.label() })
    }
}
