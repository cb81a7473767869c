//! What became of lines that were written together.

use super::Failure;

/// The result of writing a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchResult {
    /// The number of bytes that were written.
    pub(super) taken: usize,
    /// What failed after them.
    pub(super) failure: Option<Failure>,
}

impl BatchResult {
    pub(super) const fn failed(failure: Failure) -> Self {
        Self { taken: 0, failure: Some(failure) }
    }

    /// The result of the line that ends at `end`.
    pub(super) fn line(self, end: usize) -> Result<(), Failure> {
        match self.failure {
            Some(failure) if end > self.taken => Err(failure),
            Some(_) | None => Ok(()),
        }
    }
}
