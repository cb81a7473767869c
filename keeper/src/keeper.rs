//! What a Keeper does, and which peers may request it.

use std::sync::Arc;

use prometheus_client::{
    metrics::{counter::Counter, gauge::ConstGauge},
    registry::Registry,
};
use spike_daemon::{http::Frame, random_name};
use spike_domain::{Role, TrustRootsByRole};
use spike_mtls::{Peer, clock};
use spike_wire::{KeeperOperation, KeeperStatusResponse, Rule, Shard};

use crate::{
    error::Error,
    slot::{Change, Replacement, Slot},
};

/// The service. One for each process, shared by all requests.
#[derive(Debug)]
pub struct Keeper {
    roots: Arc<TrustRootsByRole>,
    slot: Slot,
    replaced: Counter,
    /// The name of this process, by which its peers notice that two addresses lead to it.
    process: String,
    frame: Arc<Frame>,
}

impl Keeper {
    /// A Keeper without a share, which recognizes Nexus and Bootstrap by these trust roots.
    pub fn new(roots: Arc<TrustRootsByRole>, frame: Arc<Frame>) -> Self {
        let (slot, replaced, process) = (Slot::default(), Counter::default(), random_name());
        Self { roots, slot, replaced, process, frame }
    }

    /// Stores a share (K1). Nexus, which has checked its key, may replace another share. Bootstrap may only fill an
    /// empty slot, or repeat the same share.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::InvalidShare`], [`Error::HoldsAnother`]; the held share does not change.
    pub fn contribute(&self, peer: &Peer, shard: &Shard) -> Result<(), Error> {
        let role = self.authorize(KeeperOperation::Contribute, peer)?;
        let by = peer.id();
        let replacement =
            if role == Role::Nexus { Replacement::Allowed } else { Replacement::Forbidden };
        match self.slot.put(shard, replacement)? {
            Change::Same => {
                tracing::debug!(by, "the held share was contributed again");
            }
            Change::Filled => tracing::info!(by, "took a share"),
            Change::Replaced => {
                self.replaced.inc();
                tracing::warn!(
                    by,
                    "Nexus replaced the share: the old one was of another key or another split"
                );
            }
        }
        Ok(())
    }

    /// Returns the share (K2). Only Nexus may request it.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NoShare`].
    pub fn share(&self, peer: &Peer) -> Result<Shard, Error> {
        self.authorize(KeeperOperation::Shard, peer)?;
        self.slot.get().ok_or(Error::NoShare)
    }

    /// Whether there is a share, for those who may contribute one.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub fn status(&self, peer: &Peer) -> Result<KeeperStatusResponse, Error> {
        self.authorize(KeeperOperation::Status, peer)?;
        Ok(KeeperStatusResponse {
            filled: Some(self.slot.is_filled()),
            version: Some(spike_daemon::VERSION.to_owned()),
            started: Some(clock::rfc3339(self.frame.started())),
            process: Some(self.process.clone()),
        })
    }

    /// Whether the Keeper holds a share.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.slot.is_filled() {
            Ok(())
        } else {
            Err("no share yet: waiting for Bootstrap or Nexus".to_owned())
        }
    }

    /// Wipes the share.
    pub fn wipe(&self) {
        self.slot.clear();
    }

    /// Adds the metrics of this Keeper to `registry`.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        self.frame.register(registry);
        registry.register(
            "share_replacements",
            "Times the held share was replaced by a different one",
            self.replaced.clone(),
        );
        registry.register_collector(Box::new(SharePresent(Arc::clone(self))));
    }

    /// The frame of its requests.
    pub const fn frame(&self) -> &Arc<Frame> {
        &self.frame
    }

    /// The trust roots of each role.
    pub(crate) const fn roots(&self) -> &Arc<TrustRootsByRole> {
        &self.roots
    }

    /// The role that permits `peer` the operation.
    pub(crate) fn authorize(&self, operation: KeeperOperation, peer: &Peer) -> Result<Role, Error> {
        let rule = operation.rule();
        let found = match rule {
            Rule::Roles(roles) => roles.iter().find(|role| self.roots.hold(**role, peer.id())),
            // A Keeper has no policies.
            Rule::OnThePath(_) | Rule::OnSystemPath(..) | Rule::Names(..) | Rule::Cipher(..) => {
                None
            }
        };
        found.copied().ok_or_else(|| Error::Denied(rule.only()))
    }
}

/// Whether there is a share, collected on each scrape.
#[derive(Debug)]
struct SharePresent(Arc<Keeper>);

impl prometheus_client::collector::Collector for SharePresent {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        use prometheus_client::{encoding::EncodeMetric, metrics::MetricType};
        let gauge = ConstGauge::new(i64::from(self.0.slot.is_filled()));
        let help = "1 when this Keeper holds a share";
        gauge.encode(encoder.encode_descriptor("share_present", help, None, MetricType::Gauge)?)
    }
}
