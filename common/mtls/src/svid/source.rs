//! The handle on the newest identity. The task that fetches it is in [`super::follow`].

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::watch, task::AbortHandle};

use super::{Material, SvidStatus, Visibility, follow::follow, shared::Shared};
use crate::{clock, timings::Timings};

/// After so many tries in a row, a socket that may not be opened is no agent's that has just made it and is about to open it to all.
const FORBIDDEN_FOR_GOOD: u32 = 3;

/// A handle on this process's identity; clones share it. Dropping the last clone ends the task.
#[derive(Clone)]
pub struct SvidSource {
    shared: Arc<Shared>,
    /// Dropping the last clone ends the task that follows the agent.
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
#[non_exhaustive]
pub enum SvidError {
    /// No usable SVID arrived in time.
    #[error("no X.509-SVID from the SPIFFE Workload API at {endpoint} within {waited:?}: {reason}")]
    Timeout {
        /// The Workload API address that was tried.
        endpoint: String,
        /// How long it was tried.
        waited: Duration,
        /// The last failure.
        reason: String,
    },
    /// The user of this process may not open the socket.
    #[error("no X.509-SVID from the SPIFFE Workload API at {endpoint}: {reason}")]
    Forbidden {
        /// The Workload API address that was tried.
        endpoint: String,
        /// This user, and the file with its mode and owner.
        reason: String,
    },
}

impl SvidSource {
    /// Follows the Workload API at `endpoint` (`unix:///path` or `tcp://ip:port`). Returns at once.
    ///
    /// [`spike_config`] has checked the address. An invalid one looks in [`Self::status`] like an absent agent.
    pub fn follow(endpoint: &str) -> Self {
        Self::follow_as(endpoint, Visibility::Untouched)
    }

    /// As [`Self::follow`], for a process that hides from others of its user: see [`Visibility`].
    pub fn follow_as(endpoint: &str, visibility: Visibility) -> Self {
        let status = SvidStatus { disconnected_since: Some(clock::now()), ..SvidStatus::default() };
        let shared = Arc::new(Shared::new(status));
        let task = tokio::spawn(follow(endpoint.to_owned(), visibility, Arc::clone(&shared)));
        Self { shared, _task: Arc::new(Some(AbortOnDrop(task.abort_handle()))) }
    }

    /// An identity that never changes, for tools and tests that have a certificate.
    pub fn fixed(material: Material) -> Self {
        let status = SvidStatus { connected_since: Some(clock::now()), ..SvidStatus::default() };
        let shared = Arc::new(Shared::new(status));
        shared.adopt(material, clock::now());
        Self { shared, _task: Arc::new(None) }
    }

    /// Waits for the first valid SVID, at most for `limit`. It ends early where this user may not open the socket, which does not
    /// change by itself.
    ///
    /// # Errors
    /// [`SvidError`] with the last failure. The source keeps trying.
    pub async fn first(&self, endpoint: &str, limit: Duration) -> Result<Arc<Material>, SvidError> {
        let mut status = self.shared.status.subscribe();
        let forbidden = status.wait_for(|status| status.forbidden >= FORBIDDEN_FOR_GOOD);
        tokio::select! {
            arrived = self.first_within(endpoint, limit) => arrived,
            // It fails only without a sender, which this source holds.
            Ok(_) = forbidden => Err(SvidError::Forbidden {
                endpoint: endpoint.to_owned(),
                reason: self.last_reason(),
            }),
        }
    }

    /// As [`Self::first`], for a daemon, which waits whatever the failure is, and may call this again.
    ///
    /// # Errors
    /// [`SvidError::Timeout`] with the last failure. The source keeps trying.
    pub async fn first_within(
        &self,
        endpoint: &str,
        limit: Duration,
    ) -> Result<Arc<Material>, SvidError> {
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
                reason: self.last_reason(),
            }),
        }
    }

    fn last_reason(&self) -> String {
        match self.status().last_error {
            Some((_, reason)) => reason,
            None => "the agent does not answer".to_owned(),
        }
    }

    /// The newest identity, if there ever was one. It may have expired: see [`SvidStatus::usable`].
    pub fn current(&self) -> Option<Arc<Material>> {
        self.shared.material.load_full()
    }

    /// A number that grows with each update, so that an open connection notices cheaply that the trust bundles may have
    /// changed. It is 0 before the first.
    ///
    /// Read it before [`Self::current`]: the material is then at least as new as the number.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// The state of the identity and of the Workload API.
    pub fn status(&self) -> SvidStatus {
        self.shared.status.borrow().clone()
    }

    /// How long it took from the beginning of a try until its first update was in use.
    pub fn fetches(&self) -> &Timings {
        &self.shared.fetches
    }

    /// How long it took from the arrival of an update until new handshakes used it.
    pub fn updates(&self) -> &Timings {
        &self.shared.updates
    }

    /// A receiver of every change of the status.
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
