//! Reading a request's body within its limits and budgets.

use std::{sync::Arc, task::Poll, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use spike_mtls::budget::{Over, Taken};
use tokio_util::task::TaskTracker;

use super::{
    allowance::{Allowance, BYTES_PER_DENIAL},
    block::Block,
};

/// Bounds on a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The most bytes of it.
    pub bytes: usize,
    /// How long it may take to arrive.
    pub time: Duration,
}

/// Why there is no whole body.
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
    /// The connection broke, or the peer reset the stream, while it arrived.
    #[error("the body could not be read")]
    Broken,
    /// Bodies and answers that are in memory already leave no room for it.
    #[error("no memory for the body: {0}")]
    Over(#[source] Over),
    /// Its sender was denied so often of late that nothing large is read for it.
    #[error("denied too often: no body above {MODEST} bytes is read for the moment")]
    Unwanted {
        /// When it may be sent again.
        after: Duration,
    },
    /// The daemon ends, and the body has not arrived.
    #[error("the body had not arrived when the daemon began to end")]
    Ending,
}

/// A body in memory. The budget that it takes is given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    bytes: Bytes,
    _taken: Option<Taken>,
}

impl std::ops::Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body up to this length, in bytes, takes nothing from the budget: the number of requests bounds how many there are.
const SMALL: usize = 16 * 1024;

/// A body up to this length, in bytes, is read even of a peer that was denied too often: what it may do it still may.
const MODEST: usize = 1024;

/// How much of a body that nobody wants is still read, and thrown away, in bytes. A sender that finds the connection closed
/// while it writes may never see the answer.
const DRAINED: usize = 16 * 1024 * 1024;

/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// How long the turn of a peer is taken that has to wait, at the least.
const TURN: Duration = Duration::from_secs(1);

/// The body of a request that has not been read.
#[derive(Debug)]
pub struct Arriving {
    body: Body,
    allowance: Arc<Allowance>,
    /// How many bytes of it were read.
    read: usize,
    /// It did not come in time.
    is_late: bool,
    /// How many bytes of it were counted with a denial. `None`: the request was not denied.
    counted: Option<usize>,
}

impl Arriving {
    /// A body that the peer with this allowance sends.
    pub(super) const fn new(body: Body, allowance: Arc<Allowance>) -> Self {
        Self { body, allowance, read: 0, is_late: false, counted: None }
    }

    /// Reads the whole body. Its memory is taken from the budget first.
    ///
    /// # Errors
    /// [`BodyError`]. What was not read of it stays, to be thrown away.
    pub async fn read(&mut self, limits: BodyLimits) -> Result<Held, BodyError> {
        let read = self.read_in_time(limits).await;
        match &read {
            // Nothing more comes.
            Err(BodyError::Broken) => self.body = Body::empty(),
            Err(BodyError::TooSlow) => self.is_late = true,
            Ok(_) | Err(_) => {}
        }
        read
    }

    async fn read_in_time(&mut self, limits: BodyLimits) -> Result<Held, BodyError> {
        let allowance = Arc::clone(&self.allowance);
        let mut read = std::pin::pin!(self.read_whole(limits.bytes));
        // Most bodies come with their heads: no timer then.
        if let Poll::Ready(read) = futures_util::poll!(read.as_mut()) {
            return read;
        }
        tokio::select! {
            read = tokio::time::timeout(limits.time, read) => read.unwrap_or(Err(BodyError::TooSlow)),
            () = allowance.ending.cancelled() => Err(BodyError::Ending),
        }
    }

    async fn read_whole(&mut self, limit: usize) -> Result<Held, BodyError> {
        let Self { body, allowance, read, .. } = self;
        let too_large = BodyError::TooLarge { limit };
        let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if said > limit {
            return Err(too_large);
        }
        // What it says is taken at once; a body that does not say its length is taken as it comes.
        let mut cover = Cover::new(allowance);
        cover.grow(said)?;
        let mut whole: Option<Part> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_gone| BodyError::Broken)?.into_data() else { continue };
            *read += data.len();
            if *read > limit {
                return Err(too_large);
            }
            cover.grow(*read)?;
            whole = Some(match whole {
                // It is kept as it came, unless it is a part of the memory of a large read.
                None if said <= SMALL => Part::One(data),
                None => Part::One(data).joined(&[], said),
                Some(before) => before.joined(&data, said),
            });
        }
        let bytes = match whole {
            None => Bytes::new(),
            Some(Part::One(bytes)) => bytes,
            Some(Part::Many(block)) => block.into_bytes(None),
        };
        Ok(Held { bytes, _taken: cover.taken })
    }

    /// Counts a denial of the request, and with it the bytes that are read in vain.
    ///
    /// # Errors
    /// The time after which the peer may be denied again, where it is over its limit.
    pub(super) fn deny(&mut self) -> Result<(), Duration> {
        let in_vain = self.in_vain();
        self.allowance.denied(in_vain)?;
        self.counted = Some(in_vain);
        Ok(())
    }

    /// How many bytes are read in vain where the request comes to nothing: those that were read, and those that
    /// [`Self::discard`] is about to read, as far as their number is known.
    fn in_vain(&self) -> usize {
        // What comes late most often does not come at all.
        if self.is_late {
            return self.read;
        }
        let left = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        self.read.saturating_add(left.min(DRAINED))
    }

    /// Reads what is left, and throws it away, while the answer goes out: a client that writes its whole request before it reads
    /// would not see the answer otherwise. Of a request that was denied, what was not counted with the denial is counted as it
    /// comes, and the peer's limit is the end of it.
    ///
    /// `turn` is what a peer that has to wait takes for it. It is given back at the end, and not before a moment has passed,
    /// which bounds how much is read in vain.
    pub(super) fn discard(self, tasks: &TaskTracker, turn: Option<Taken>) {
        if self.body.is_end_stream() {
            return;
        }
        let turn = turn.map(Arc::new);
        if let Some(until_then) = turn.clone() {
            tokio::spawn(async move {
                tokio::time::sleep(TURN).await;
                drop(until_then);
            });
        }
        tasks.spawn(async move {
            let Self { body, allowance, mut read, mut counted, .. } = self;
            let mut rest = Limited::new(body, DRAINED);
            let drained = async {
                while let Some(Ok(frame)) = rest.frame().await {
                    read += frame.data_ref().map_or(0, Bytes::len);
                    if let Some(counted) = &mut counted
                        && !is_counted(read, counted, &allowance)
                    {
                        return;
                    }
                }
            };
            tokio::select! {
                _ = tokio::time::timeout(DRAIN_TIME, drained) => {}
                () = allowance.ending.cancelled() => {}
            }
            drop(turn);
        });
    }
}

/// Counts what was read beyond `counted` as further denials. `false`: the peer is over its limit.
fn is_counted(read: usize, counted: &mut usize, allowance: &Allowance) -> bool {
    while read >= counted.saturating_add(BYTES_PER_DENIAL) {
        if allowance.denied(0).is_err() {
            return false;
        }
        *counted += BYTES_PER_DENIAL;
    }
    true
}

/// The memory that a body has taken from the budget so far.
struct Cover<'a> {
    allowance: &'a Allowance,
    covered: usize,
    taken: Option<Taken>,
}

impl<'a> Cover<'a> {
    const fn new(allowance: &'a Allowance) -> Self {
        Self { allowance, covered: MODEST, taken: None }
    }

    fn grow(&mut self, length: usize) -> Result<(), BodyError> {
        if length <= self.covered {
            return Ok(());
        }
        if self.covered == MODEST {
            if let Some(after) = self.allowance.over_denials() {
                return Err(BodyError::Unwanted { after });
            }
            self.covered = SMALL;
            return self.grow(length);
        }
        match &mut self.taken {
            None => {
                let memory = &self.allowance.memory;
                self.taken = Some(memory.take(length as u64).map_err(BodyError::Over)?);
            }
            Some(taken) => {
                taken.grow((length - self.covered) as u64).map_err(BodyError::Over)?;
            }
        }
        self.covered = length;
        Ok(())
    }
}

/// What has come of a body.
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
