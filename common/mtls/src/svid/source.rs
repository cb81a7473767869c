//! The handle through which everybody reads the newest identity. The task that fetches it is in [`super::follow`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use time::OffsetDateTime;
use tokio::{sync::watch, task::AbortHandle};

use super::{Material, SvidStatus, Visibility, follow::follow};
use crate::clock;

/// A handle on this process's identity; clones share it. The following task ends when the last clone is dropped.
#[derive(Clone)]
pub struct SvidSource {
    shared: Arc<Shared>,
    /// Dropped with the last clone, and with it the task that follows the agent.
    _task: Arc<Option<AbortOnDrop>>,
}

/// What the handles and the following task share.
pub(super) struct Shared {
    material: ArcSwapOption<Material>,
    generation: AtomicU64,
    status: watch::Sender<SvidStatus>,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum SvidError {
    /// No usable SVID arrived in time.
    #[error("no X.509-SVID from the SPIFFE Workload API at {endpoint} within {waited:?}: {reason}")]
    Timeout {
        /// The Workload API address that was tried.
        endpoint: String,
        /// How long it was tried.
        waited: Duration,
        /// What went wrong last.
        reason: String,
    },
}

impl SvidSource {
    /// Begins to follow the Workload API at `endpoint` (`unix:///path` or `tcp://ip:port`) and returns at once.
    ///
    /// The address has been checked by [`spike_config`]; a bad one shows up in [`Self::status`] like an absent agent.
    pub fn follow(endpoint: &str) -> Self {
        Self::follow_as(endpoint, Visibility::Untouched)
    }

    /// As [`Self::follow`], for a process that hides itself from others of its user: see [`Visibility`].
    pub fn follow_as(endpoint: &str, visibility: Visibility) -> Self {
        let shared = Arc::new(Shared {
            material: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            status: watch::Sender::new(SvidStatus {
                disconnected_since: Some(clock::now()),
                ..SvidStatus::default()
            }),
        });
        let task = tokio::spawn(follow(endpoint.to_owned(), visibility, Arc::clone(&shared)));
        Self { shared, _task: Arc::new(Some(AbortOnDrop(task.abort_handle()))) }
    }

    /// An identity that never changes: for tools and tests that hold a certificate in their hands.
    pub fn fixed(material: Material) -> Self {
        let status = SvidStatus { connected_since: Some(clock::now()), ..SvidStatus::default() };
        let shared = Arc::new(Shared {
            material: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            status: watch::Sender::new(status),
        });
        shared.adopt(material, clock::now());
        Self { shared, _task: Arc::new(None) }
    }

    /// Waits for the first usable SVID, `limit` at the most, and says what went wrong if none came.
    ///
    /// # Errors
    /// [`SvidError::Timeout`] with the last reason. The source goes on trying: a daemon may call this again.
    pub async fn first(&self, endpoint: &str, limit: Duration) -> Result<Arc<Material>, SvidError> {
        let mut status = self.shared.status.subscribe();
        let arrived = async {
            loop {
                if let Some(material) = self.current() {
                    return material;
                }
                if status.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(limit, arrived).await {
            Ok(material) => Ok(material),
            Err(_) => Err(SvidError::Timeout {
                endpoint: endpoint.to_owned(),
                waited: limit,
                reason: match self.status().last_error {
                    Some((_, reason)) => reason,
                    None => "the agent does not answer".to_owned(),
                },
            }),
        }
    }

    /// The newest identity, if there was ever one. It may have expired: [`SvidStatus::usable`] tells.
    pub fn current(&self) -> Option<Arc<Material>> {
        self.shared.material.load_full()
    }

    /// A number that grows with each adopted material, so that an open connection can notice cheaply that the trust
    /// bundles may have changed. It is 0 before the first.
    ///
    /// Read it before [`Self::current`]: the material read afterwards is then at least as new as the number says.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// How the identity and the Workload API are doing.
    pub fn status(&self) -> SvidStatus {
        self.shared.status.borrow().clone()
    }

    /// A receiver that wakes up whenever the status changes.
    pub fn subscribe(&self) -> watch::Receiver<SvidStatus> {
        self.shared.status.subscribe()
    }
}

impl fmt::Debug for SvidSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidSource")
            .field("status", &*self.shared.status.borrow())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn current(&self) -> Option<Arc<Material>> {
        self.material.load_full()
    }

    /// Whether a failure now is the first after a time in which all was well.
    pub(super) fn was_well(&self) -> bool {
        let status = self.status.borrow();
        status.connected_since.is_some() || status.failures == 0
    }

    pub(super) fn adopt(&self, material: Material, now: OffsetDateTime) {
        let before = self.material.load_full();
        self.status.send_modify(|status| {
            if let Some(before) = &before {
                status.rotations += u64::from(!same_certificate(before, &material));
                status.bundle_updates += u64::from(!before.same_bundles(&material));
            }
            status.id = Some(material.id().to_string());
            status.not_before = Some(material.not_before());
            status.not_after = Some(material.not_after());
            status.offered = material.offered();
            status.bundle_faults = material.bundle_faults().to_vec();
            status.last_update = Some(now);
            status.connected_since.get_or_insert(now);
            status.disconnected_since = None;
            // Inside, so that whoever is woken by the new status finds the new material.
            self.material.store(Some(Arc::new(material)));
            // After the store: whoever sees the new number finds the new material.
            self.generation.fetch_add(1, Ordering::Release);
        });
    }

    pub(super) fn lost(&self, reason: &str, now: OffsetDateTime) {
        self.status.send_modify(|status| {
            status.connected_since = None;
            status.disconnected_since.get_or_insert(now);
            status.failures += 1;
            status.last_error = Some((now, reason.to_owned()));
        });
    }
}

fn same_certificate(one: &Material, other: &Material) -> bool {
    one.certified_key().cert.first() == other.certified_key().cert.first()
}
