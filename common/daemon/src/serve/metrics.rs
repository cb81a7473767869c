//! Metrics of connections and refusals.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use spike_mtls::HandshakeFault;

/// Why a handshake, a connection or a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    Handshake(HandshakeFault),
    HandshakeTimeout,
    TooMany,
    TooManyOfOneId,
    PlainHttp,
    Malformed,
    HeadTimeout,
    RefusedRequest,
    Cut,
}

impl Reason {
    /// Those of connections and requests.
    const OF_CONNECTIONS: [Self; 7] = [
        Self::TooMany,
        Self::TooManyOfOneId,
        Self::PlainHttp,
        Self::Malformed,
        Self::HeadTimeout,
        Self::RefusedRequest,
        Self::Cut,
    ];

    /// Those of handshakes.
    fn of_handshakes() -> impl Iterator<Item = Self> {
        HandshakeFault::ALL.into_iter().map(Self::Handshake).chain([Self::HandshakeTimeout])
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Handshake(fault) => fault.label(),
            Self::HandshakeTimeout => "timeout",
            Self::TooMany => "too_many",
            Self::TooManyOfOneId => "too_many_of_one_id",
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
    handshakes_refused: Family<ReasonLabel, Counter>,
    refused: Family<ReasonLabel, Counter>,
}

impl ConnectionMetrics {
    /// Adds the metrics to `registry`. Every reason is there from the start: Prometheus does not see the first increase of a
    /// counter that begins with it.
    pub fn register(&self, registry: &mut Registry) {
        for reason in Reason::OF_CONNECTIONS.into_iter().chain(Reason::of_handshakes()) {
            drop(self.of(reason));
        }
        registry.register("connections_open", "Connections that are open now", self.open.clone());
        registry.register(
            "tls_handshakes",
            "TLS handshakes that ended with a verified peer",
            self.handshakes.clone(),
        );
        registry.register(
            "tls_handshakes_refused",
            "TLS handshakes that ended without a verified peer, by reason",
            self.handshakes_refused.clone(),
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
        let family = match reason {
            Reason::Handshake(_) | Reason::HandshakeTimeout => &self.handshakes_refused,
            Reason::TooMany
            | Reason::TooManyOfOneId
            | Reason::PlainHttp
            | Reason::Malformed
            | Reason::HeadTimeout
            | Reason::RefusedRequest
            | Reason::Cut => &self.refused,
        };
        family.get_or_create(&ReasonLabel { reason: reason.label() })
    }
}
