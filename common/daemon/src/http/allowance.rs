//! What one peer may hold of the budgets, and what becomes of it where it is denied too often.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use spike_mtls::budget::Account;
use tokio_util::sync::CancellationToken;

use crate::limit::DenialLimit;

/// How many bytes of a body that was read in vain weigh as much as one denial.
pub(super) const BYTES_PER_DENIAL: usize = 16 * 1024;

/// What one peer may hold of the budgets. One for each connection.
#[derive(Debug)]
pub(super) struct Allowance {
    pub(super) in_flight: Account,
    pub(super) memory: Account,
    pub(super) held_back: Account,
    /// Bodies that are read and thrown away although the peer has to wait.
    pub(super) turns: Account,
    /// `None`: it may be denied as often as it likes.
    pub(super) denials: Option<Denials>,
    /// No body is waited for any more.
    pub(super) ending: Arc<CancellationToken>,
}

/// How often one SPIFFE ID was denied of late.
#[derive(Debug)]
pub(super) struct Denials {
    pub(super) limit: Arc<DenialLimit>,
    pub(super) id: Arc<str>,
}

impl Allowance {
    /// Counts a denial of a request of which `read` bytes were read in vain.
    ///
    /// # Errors
    /// The time after which the peer may be denied again, where it is over its limit.
    pub(super) fn denied(&self, read: usize) -> Result<(), Duration> {
        let Some(Denials { limit, id }) = &self.denials else { return Ok(()) };
        let cost = u32::try_from(read / BYTES_PER_DENIAL).unwrap_or(u32::MAX).saturating_add(1);
        limit.count(id, Instant::now(), cost)
    }

    /// The time after which the peer may be denied again, where it is over its limit.
    pub(super) fn over_denials(&self) -> Option<Duration> {
        let Denials { limit, id } = self.denials.as_ref()?;
        limit.wait(id, Instant::now())
    }
}
