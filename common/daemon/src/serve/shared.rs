//! What every connection of one listener shares.

use std::sync::Arc;

use spike_mtls::{PeerRule, svid::SvidSource};
use tokio_rustls::TlsAcceptor;

use super::{
    app::{App, Refused},
    limits::Limits,
    metrics::{ConnectionMetrics, Reason},
    roster::Roster,
};

/// What every connection of one listener shares.
pub(super) struct Shared {
    pub(super) acceptor: TlsAcceptor,
    pub(super) app: App,
    pub(super) limits: Limits,
    pub(super) metrics: ConnectionMetrics,
    pub(super) roster: Arc<Roster>,
    pub(super) source: SvidSource,
    pub(super) rule: PeerRule,
}

impl Shared {
    /// Counts a refusal, and tells whoever writes it down. `false`: the connection must not go on, as its peer was refused too
    /// often.
    pub(super) fn refuse(&self, counted: Reason, refused: &Refused<'_>) -> bool {
        self.metrics.refuse(counted);
        self.app.refused(refused)
    }
}
