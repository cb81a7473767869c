//! The handle through which everybody reads the newest identity. The task that fetches it is in [`super::follow`].

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::watch, task::AbortHandle};

use super::{Material, SvidStatus, Visibility, follow::follow, shared::Shared};
use crate::clock;

/// A handle on this process's identity; clones share it. The following task ends when the last clone is dropped.
#[derive(Clone)]
pub struct SvidSource {
    shared: Arc<Shared>,
    /// Dropped with the last clone, and with it the task that follows the agent.
    _task: Arc<Option<AbortOnDrop>>,
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
        let status = SvidStatus { disconnected_since: Some(clock::now()), ..SvidStatus::default() };
        let shared = Arc::new(Shared::new(status));
        let task = tokio::spawn(follow(endpoint.to_owned(), visibility, Arc::clone(&shared)));
        Self { shared, _task: Arc::new(Some(AbortOnDrop(task.abort_handle()))) }
    }

    /// An identity that never changes: for tools and tests that hold a certificate in their hands.
    pub fn fixed(material: Material) -> Self {
        let status = SvidStatus { connected_since: Some(clock::now()), ..SvidStatus::default() };
        let shared = Arc::new(Shared::new(status));
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
