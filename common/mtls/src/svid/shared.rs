//! State shared by the handles of an SVID source and the task that follows the Workload API.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::{FetchFailure, Material, SvidStatus};
use crate::timings::Timings;

/// Who has decided against this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// The agent, which answered.
    Agent,
    /// The mode of the socket, or of a directory above it.
    Socket,
}

/// State shared by the handles and the task.
pub(super) struct Shared {
    pub(super) material: ArcSwapOption<Material>,
    pub(super) generation: AtomicU64,
    pub(super) status: watch::Sender<SvidStatus>,
    /// From the beginning of a try to its first update in use.
    pub(super) fetches: Timings,
    /// From the arrival of an update until it is in use.
    pub(super) updates: Timings,
}

impl Shared {
    pub(super) fn new(status: SvidStatus) -> Self {
        Self {
            material: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            status: watch::Sender::new(status),
            fetches: Timings::default(),
            updates: Timings::default(),
        }
    }

    pub(super) fn current(&self) -> Option<Arc<Material>> {
        self.material.load_full()
    }

    /// Whether a failure now is the first after a success.
    pub(super) fn is_first_failure(&self) -> bool {
        let status = self.status.borrow();
        status.connected_since.is_some() || status.failures.total() == 0
    }

    pub(super) fn adopt(&self, material: Material, now: OffsetDateTime) {
        let before = self.material.load_full();
        self.status.send_modify(|status| {
            if let Some(before) = &before {
                status.rotations += u64::from(!same_certificate(before, &material));
                status.bundle_updates += u64::from(!before.same_bundles(&material));
            }
            if before.as_ref().is_none_or(|before| !same_certificate(before, &material)) {
                status.received = Some(now);
            }
            status.id = Some(material.id().to_string());
            status.not_before = Some(material.not_before());
            status.not_after = Some(material.not_after());
            status.offered = material.offered();
            status.bundle_faults = material.bundle_faults().to_vec();
            status.last_update = Some(now);
            status.updates += 1;
            status.pause = None;
            status.connected_since.get_or_insert(now);
            status.disconnected_since = None;
            // Inside, so that a receiver of the new status finds the new material.
            self.material.store(Some(Arc::new(material)));
            // After the store, so that a reader of the new number finds the new material.
            self.generation.fetch_add(1, Ordering::Release);
        });
    }

    /// `pause`: how long the next try waits.
    pub(super) fn record_failure(
        &self,
        (failure, reason): (FetchFailure, &str),
        denial: Option<Denial>,
        pause: Duration,
        now: OffsetDateTime,
    ) {
        self.status.send_modify(|status| {
            status.connected_since = None;
            status.disconnected_since.get_or_insert(now);
            status.failures.add(failure);
            status.pause = Some(pause);
            status.last_error = Some((now, reason.to_owned()));
            status.refused = denial == Some(Denial::Agent);
            status.forbidden =
                if denial == Some(Denial::Socket) { status.forbidden + 1 } else { 0 };
        });
    }
}

fn same_certificate(one: &Material, other: &Material) -> bool {
    one.certified_key().cert.first() == other.certified_key().cert.first()
}
