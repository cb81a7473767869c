//! The budgets of one peer, and its count of denials.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use spike_mtls::budget::Account;

use super::body_end::BodyEnd;
use crate::limit::DenialLimit;

/// This many bytes of a discarded body count as one more denial.
pub(super) const BYTES_PER_DENIAL: usize = 16 * 1024;

/// The budgets of one peer. One for each connection.
#[derive(Debug)]
pub(super) struct Allowance {
    pub(super) in_flight: Account,
    pub(super) memory: Account,
    pub(super) delayed: Account,
    /// HTTP/2: answers with a body to refused requests.
    pub(super) refusals: Account,
    /// Bodies that are discarded although the peer is being slowed down.
    pub(super) discards: Account,
    /// `None`: the peer may be denied without limit.
    pub(super) denials: Option<Denials>,
    /// Until when its bodies are waited for.
    pub(super) ending: Arc<BodyEnd>,
}

/// The denials of one SPIFFE ID.
#[derive(Debug)]
pub(super) struct Denials {
    pub(super) limit: Arc<DenialLimit>,
    pub(super) id: Arc<str>,
}

impl Allowance {
    /// Counts a denial of a request of which `read` bytes were read for nothing.
    ///
    /// # Errors
    /// The time until the peer may be denied again, if it is over its limit.
    pub(super) fn count_denial(&self, read: usize) -> Result<(), Duration> {
        let Some(Denials { limit, id }) = &self.denials else { return Ok(()) };
        let cost = u32::try_from(read / BYTES_PER_DENIAL).unwrap_or(u32::MAX).saturating_add(1);
        limit.count(id, Instant::now(), cost)
    }

    /// The time until the peer may be denied again, if it is over its limit.
    pub(super) fn denial_wait(&self) -> Option<Duration> {
        let Denials { limit, id } = self.denials.as_ref()?;
        limit.wait(id, Instant::now())
    }
}
