//! The bodies of answers, and their memory, which is taken from the budget of the peer before a large one is made.

use std::sync::Arc;

use bytes::Bytes;
use spike_mtls::budget::Taken;

use super::{FrameError, allowance::Allowance, block::Block};

/// An answer up to this length, in bytes, takes nothing from the memory budget: the number of requests bounds how many
/// there are.
const UNBUDGETED: usize = 4 * 1024;

/// The budget for the answers to one peer.
#[derive(Clone, Debug)]
pub struct AnswerMemory(Arc<Allowance>);

impl AnswerMemory {
    pub(super) const fn new(allowance: Arc<Allowance>) -> Self {
        Self(allowance)
    }

    /// Takes the memory for an answer of `length` bytes, before the answer is made.
    ///
    /// # Errors
    /// [`FrameError::Answer`]: there is no memory for it.
    pub fn take(&self, length: usize) -> Result<AnswerRoom, FrameError> {
        let taken = self.0.memory.take(length as u64).map_err(FrameError::Answer)?;
        Ok(AnswerRoom { taken, length })
    }

    /// Takes the memory for a finished answer, and moves a large one to where its memory is returned when it is freed.
    /// This copies it, so large answers should not be kept on a thread that serves requests.
    ///
    /// # Errors
    /// [`FrameError::Answer`]: there is no memory for it.
    pub fn keep(&self, body: Bytes) -> Result<AnswerBytes, FrameError> {
        kept(&self.0, body)
    }
}

/// As [`AnswerMemory::keep`].
pub(super) fn kept(allowance: &Allowance, body: Bytes) -> Result<AnswerBytes, FrameError> {
    if body.len() <= UNBUDGETED {
        return Ok(AnswerBytes { bytes: body, is_kept: true });
    }
    let taken = allowance.memory.take(body.len() as u64).map_err(FrameError::Answer)?;
    let mut block = Block::with_capacity(body.len());
    block.extend(&body);
    Ok(AnswerBytes { bytes: block.into_bytes(Some(taken)), is_kept: true })
}

/// Memory that was taken for an answer that is not made yet.
#[derive(Debug)]
pub struct AnswerRoom {
    taken: Taken,
    length: usize,
}

impl AnswerRoom {
    /// A block for the answer, which turned out to have `length` bytes.
    ///
    /// # Errors
    /// [`FrameError::Answer`]: it is longer than expected, and there is no memory for that.
    pub fn block(mut self, length: usize) -> Result<AnswerBlock, FrameError> {
        let more = length.saturating_sub(self.length);
        self.taken.grow(more as u64).map_err(FrameError::Answer)?;
        Ok(AnswerBlock { block: Block::with_capacity(length), taken: self.taken })
    }
}

/// An answer that is being made.
#[derive(Debug)]
pub struct AnswerBlock {
    block: Block,
    taken: Taken,
}

impl AnswerBlock {
    /// Appends `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.block.extend(bytes);
    }

    /// Appends `length` bytes that `fill` writes in place.
    ///
    /// # Errors
    /// The error of `fill`. The block is of no use then.
    pub fn extend_with<E>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.block.extend_with(length, fill)
    }

    /// The whole answer.
    pub fn finish(self) -> AnswerBytes {
        AnswerBytes { bytes: self.block.into_bytes(Some(self.taken)), is_kept: true }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub struct AnswerBytes {
    pub(super) bytes: Bytes,
    /// Whether its memory was taken from the budget.
    is_kept: bool,
}

impl AnswerBytes {
    /// Without memory from the budget, which the frame takes later.
    pub(super) const fn unkept(bytes: Bytes) -> Self {
        Self { bytes, is_kept: false }
    }

    /// Takes its memory from the budget, if that was not done yet.
    pub(super) fn charged(self, allowance: &Allowance) -> Result<Self, FrameError> {
        if self.is_kept { Ok(self) } else { kept(allowance, self.bytes) }
    }
}

impl From<Bytes> for AnswerBytes {
    fn from(bytes: Bytes) -> Self {
        Self::unkept(bytes)
    }
}
