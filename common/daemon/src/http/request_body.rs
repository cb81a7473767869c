//! Reading a request's body within its limits and budgets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use spike_mtls::{
    Peer,
    budget::{Over, Taken},
    clock,
};
use tokio_util::task::TaskTracker;

use super::{
    allowance::{Allowance, BYTES_PER_DENIAL},
    answer::AnswerMemory,
    block::Block,
};

/// Bounds on a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Its largest length.
    pub bytes: usize,
    /// How long it may take to arrive.
    pub time: Duration,
}

/// Why the body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the limit.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in force.
        limit: usize,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The connection broke, the peer reset the stream, or its identity ended before the body had arrived.
    #[error("the body could not be read")]
    Broken,
    /// The bodies and answers in memory leave no space for it.
    #[error("no memory for the body: {0}")]
    Over(#[source] Over),
    /// Its sender was denied so often that no large body is read for it.
    #[error("denied too often: no body above {ALWAYS_READ} bytes is read for now")]
    SenderDenied {
        /// When it may be sent again.
        after: Duration,
    },
    /// The daemon ends before the body has arrived.
    #[error("the body had not arrived when the daemon began to end")]
    Ending,
}

/// A body in memory. Dropping this returns its memory to the budget.
#[derive(Debug)]
pub struct BodyBytes {
    bytes: Bytes,
    taken: Option<Taken>,
}

impl BodyBytes {
    /// Whether it is above [`SMALL_BODY`]: too large to be parsed on a thread that serves requests.
    pub fn is_large(&self) -> bool {
        self.bytes.len() > SMALL_BODY
    }

    /// Frees the bytes and keeps what they have taken from the budget, for what was made of them.
    pub fn freed(self) -> Option<Taken> {
        self.taken
    }
}

impl std::ops::Deref for BodyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body up to this length, in bytes, is small: it is read from everybody, takes nothing from the budget, because the number of
/// requests bounds how many there are, and is parsed by the thread that serves it. That takes half a millisecond at most.
pub const SMALL_BODY: usize = 16 * 1024;

/// A body up to this length, in bytes, is read even if its peer was denied too often, so that permitted requests still
/// work.
const ALWAYS_READ: usize = 1024;

/// How many bytes of a discarded body are still read. A sender that finds the connection closed while it writes may
/// never see the answer.
const MAX_DISCARDED: usize = 16 * 1024 * 1024;

/// How long discarding may take.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// How long a slowed-down peer holds a discard slot at least.
const MIN_SLOT_TIME: Duration = Duration::from_secs(1);

/// The body of a request, not read yet.
#[derive(Debug)]
pub struct RequestBody {
    body: Body,
    allowance: Arc<Allowance>,
    peer: Peer,
    /// How many bytes were read.
    read: AtomicUsize,
    /// It did not arrive in time.
    is_late: bool,
    /// Its connection broke, the peer reset the stream, or its identity ended.
    is_broken: bool,
    /// How many bytes were counted with a denial. `None`: the request was not denied.
    counted: Option<usize>,
}

impl RequestBody {
    /// The body of a request by this peer with this allowance.
    pub(super) const fn new(body: Body, allowance: Arc<Allowance>, peer: Peer) -> Self {
        let read = AtomicUsize::new(0);
        Self { body, allowance, peer, read, is_late: false, is_broken: false, counted: None }
    }

    /// The budget for the answer.
    pub fn answer_memory(&self) -> AnswerMemory {
        AnswerMemory::new(Arc::clone(&self.allowance))
    }

    /// Reads the whole body. Its memory is taken from the budget first.
    ///
    /// Before anything is taken from the budget, `may_be_large` is asked, so that whoever may do nothing costs nothing.
    ///
    /// # Errors
    /// [`BodyError`], and the error of `may_be_large`. The unread rest stays, to be discarded.
    pub async fn read<E: From<BodyError>>(
        &mut self,
        limits: BodyLimits,
        may_be_large: impl FnOnce() -> Result<(), E> + Send,
    ) -> Result<BodyBytes, E> {
        let read = self.read_in_time(limits, may_be_large).await;
        match &read {
            // No more data arrives.
            Err(Unread::Body(BodyError::Broken)) => {
                self.is_broken = true;
                self.body = Body::empty();
            }
            Err(Unread::Body(BodyError::TooSlow)) => self.is_late = true,
            Ok(_) | Err(_) => {}
        }
        read.map_err(|unread| match unread {
            Unread::Body(error) => error.into(),
            Unread::Unwanted(error) => error,
        })
    }

    async fn read_in_time<E>(
        &mut self,
        limits: BodyLimits,
        may_be_large: impl FnOnce() -> Result<(), E> + Send,
    ) -> Result<BodyBytes, Unread<E>> {
        let Self { body, allowance, peer, read, .. } = self;
        let read = &*read;
        let memory = BodyMemory::new(allowance, may_be_large);
        let mut whole = std::pin::pin!(read_whole(body, memory, read, limits.bytes));
        // Most bodies arrive with their heads, and need no timer.
        if let Poll::Ready(whole) = futures_util::poll!(whole.as_mut()) {
            return whole;
        }
        // Boxed, so that requests that need no timer are small.
        let whole = Box::pin(async {
            tokio::select! {
                whole = tokio::time::timeout(limits.time, whole) => {
                    whole.unwrap_or(Err(BodyError::TooSlow.into()))
                }
                () = allowance.ending.reached(read) => Err(BodyError::Ending.into()),
            }
        })
        .await?;
        // The head may have been sent while the peer was trusted, and the body for long after.
        if peer.check(clock::now()).is_err() {
            return Err(BodyError::Broken.into());
        }
        Ok(whole)
    }

    /// Whether it could not be read to its end, because its connection broke, its stream was reset, or its sender's identity
    /// ended.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Counts a denial of the request, and the bytes that are read for nothing.
    ///
    /// # Errors
    /// The time until the peer may be denied again, if it is over its limit.
    pub(super) fn deny(&mut self) -> Result<(), Duration> {
        let wasted = self.wasted();
        self.allowance.count_denial(wasted)?;
        self.counted = Some(wasted);
        Ok(())
    }

    /// How many bytes are read for nothing if the request is denied: those that were read, and those that
    /// [`Self::discard`] will read, as far as their number is known.
    fn wasted(&self) -> usize {
        // A late body usually never arrives.
        let read = self.read.load(Relaxed);
        if self.is_late {
            return read;
        }
        let left = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        read.saturating_add(left.min(MAX_DISCARDED))
    }

    /// Reads and drops the rest of the body while the answer is sent: a client that writes its whole request before it
    /// reads would miss the answer otherwise. For a denied request, bytes that the denial did not count are counted as
    /// they arrive, and discarding stops at the peer's limit.
    ///
    /// A slowed-down peer holds a `slot` until the end, and for at least [`MIN_SLOT_TIME`]. That bounds how much is
    /// read for nothing.
    pub(super) fn discard(self, tasks: &TaskTracker, slot: Option<Taken>) {
        if self.body.is_end_stream() {
            return;
        }
        let slot = slot.map(Arc::new);
        if let Some(for_a_moment) = slot.clone() {
            tokio::spawn(async move {
                tokio::time::sleep(MIN_SLOT_TIME).await;
                drop(for_a_moment);
            });
        }
        tasks.spawn(async move {
            let Self { body, allowance, read, mut counted, .. } = self;
            let mut rest = Limited::new(body, MAX_DISCARDED);
            let discarded = async {
                while let Some(Ok(frame)) = rest.frame().await {
                    let more = frame.data_ref().map_or(0, Bytes::len);
                    let so_far = read.fetch_add(more, Relaxed) + more;
                    if let Some(counted) = &mut counted
                        && !is_counted(so_far, counted, &allowance)
                    {
                        return;
                    }
                }
            };
            tokio::select! {
                _ = tokio::time::timeout(DISCARD_TIME, discarded) => {}
                () = allowance.ending.reached(&read) => {}
            }
            drop(slot);
        });
    }
}

/// Reads `body`, and counts its bytes in `read`.
async fn read_whole<E, F: FnOnce() -> Result<(), E>>(
    body: &mut Body,
    mut memory: BodyMemory<'_, F>,
    read: &AtomicUsize,
    limit: usize,
) -> Result<BodyBytes, Unread<E>> {
    let too_large = BodyError::TooLarge { limit };
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(too_large.into());
    }
    // The budget is charged for the declared length at once, and for an undeclared one as it grows.
    memory.grow(declared)?;
    let mut whole: Option<Part> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_gone| BodyError::Broken)?.into_data() else { continue };
        let so_far = read.fetch_add(data.len(), Relaxed) + data.len();
        if so_far > limit {
            return Err(too_large.into());
        }
        memory.grow(so_far)?;
        whole = Some(match whole {
            // Kept without a copy, unless it is part of the buffer of a large read.
            None if declared <= SMALL_BODY => Part::One(data),
            None => Part::One(data).joined(&[], declared),
            Some(before) => before.joined(&data, declared),
        });
    }
    let bytes = match whole {
        None => Bytes::new(),
        Some(Part::One(bytes)) => bytes,
        Some(Part::Many(block)) => block.into_bytes(None),
    };
    Ok(BodyBytes { bytes, taken: memory.taken })
}

/// Why a body was not read.
enum Unread<E> {
    Body(BodyError),
    /// Its sender may not send a large one.
    Unwanted(E),
}

impl<E> From<BodyError> for Unread<E> {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

/// Counts the bytes beyond `counted` as further denials. `false`: the peer is over its limit.
fn is_counted(read: usize, counted: &mut usize, allowance: &Allowance) -> bool {
    while read >= counted.saturating_add(BYTES_PER_DENIAL) {
        if allowance.count_denial(0).is_err() {
            return false;
        }
        *counted += BYTES_PER_DENIAL;
    }
    true
}

/// The memory that a body has taken from the budget.
struct BodyMemory<'a, F> {
    allowance: &'a Allowance,
    charged: usize,
    taken: Option<Taken>,
    /// Asked once, when the body is about to become large.
    may_be_large: Option<F>,
}

impl<'a, E, F: FnOnce() -> Result<(), E>> BodyMemory<'a, F> {
    const fn new(allowance: &'a Allowance, may_be_large: F) -> Self {
        let may_be_large = Some(may_be_large);
        Self { allowance, charged: ALWAYS_READ, taken: None, may_be_large }
    }

    fn grow(&mut self, length: usize) -> Result<(), Unread<E>> {
        if length <= self.charged {
            return Ok(());
        }
        if self.charged == ALWAYS_READ {
            if let Some(after) = self.allowance.denial_wait() {
                return Err(BodyError::SenderDenied { after }.into());
            }
            self.charged = SMALL_BODY;
            return self.grow(length);
        }
        if let Some(may_be_large) = self.may_be_large.take() {
            may_be_large().map_err(Unread::Unwanted)?;
        }
        match &mut self.taken {
            None => {
                let memory = &self.allowance.memory;
                self.taken = Some(memory.take(length as u64).map_err(BodyError::Over)?);
            }
            Some(taken) => {
                taken.grow((length - self.charged) as u64).map_err(BodyError::Over)?;
            }
        }
        self.charged = length;
        Ok(())
    }
}

/// The data of a body so far.
enum Part {
    One(Bytes),
    Many(Block),
}

impl Part {
    fn joined(self, more: &[u8], expected: usize) -> Self {
        let mut block = match self {
            Self::One(first) => {
                let mut block = Block::with_capacity(expected.max(first.len() + more.len()));
                block.extend(&first);
                block
            }
            Self::Many(block) => block,
        };
        block.extend(more);
        Self::Many(block)
    }
}

#[cfg(test)]
mod tests;
