//! The lines of one place that wait to be written.

use super::batch::{Batch, Spare};

/// The lines of one place.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) batch: Batch,
    /// For the next one.
    pub(super) spare: Spare,
}

impl Open {
    /// Whether the line may join the batch, within a bound in bytes. The first always may.
    pub(super) const fn has_room(&self, line: &[u8], bound: usize) -> bool {
        self.batch.opened.is_none() || self.batch.bytes.len() + line.len() <= bound
    }
}
