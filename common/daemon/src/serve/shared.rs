//! State shared by all connections of one listener.

use std::sync::Arc;

use spike_mtls::{PeerRule, budget::Budget, svid::SvidSource};
use tokio_rustls::TlsAcceptor;

use super::{
    app::{App, Refused},
    limits::Limits,
    metrics::{ConnectionMetrics, Reason},
    roster::Roster,
};

/// State shared by all connections of one listener.
pub(super) struct Shared {
    pub(super) acceptor: TlsAcceptor,
    pub(super) app: App,
    pub(super) limits: Limits,
    pub(super) metrics: ConnectionMetrics,
    pub(super) roster: Arc<Roster>,
    /// See [`HELD_BYTES`](super::held_bytes::HELD_BYTES).
    pub(super) held: Budget,
    pub(super) source: SvidSource,
    pub(super) rule: PeerRule,
}

impl Shared {
    /// Counts a refusal and reports it. `false`: the peer was refused too often, and the connection must end.
    pub(super) fn refuse(&self, counted: Reason, refused: &Refused<'_>) -> bool {
        self.metrics.refuse(counted);
        self.app.refused(refused)
    }
}
