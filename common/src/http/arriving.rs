//! Reading a request's body within its limits and budgets.

use std::{sync::Arc, task::Poll, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::block::Block;
use crate::budget::{Account, Over, Taken};

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

/// How much of a body that nobody wants is still read, and thrown away, in bytes. A sender that finds the connection closed
/// while it writes may never see the answer.
const DRAINED: usize = 16 * 1024 * 1024;

/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The body of a request that has not been read.
#[derive(Debug)]
pub struct Arriving {
    body: Body,
    memory: Account,
    ending: Arc<CancellationToken>,
}

impl Arriving {
    /// A body whose bytes come out of `memory`; it is not waited for once `ending` is cancelled.
    pub fn new(body: Body, memory: Account, ending: Arc<CancellationToken>) -> Self {
        Self { body, memory, ending }
    }

    /// Reads the whole body. Its memory is taken from the budget first.
    ///
    /// # Errors
    /// [`BodyError`]. What was not read of it stays, for [`Self::discard`].
    pub async fn read(&mut self, limits: BodyLimits) -> Result<Held, BodyError> {
        let Self { body, memory, ending } = self;
        let mut read = std::pin::pin!(read(body, memory, limits.bytes));
        // Most bodies come with their heads: no timer then.
        if let Poll::Ready(read) = futures_util::poll!(read.as_mut()) {
            return read;
        }
        tokio::select! {
            read = tokio::time::timeout(limits.time, read) => read.unwrap_or(Err(BodyError::TooSlow)),
            () = ending.cancelled() => Err(BodyError::Ending),
        }
    }

    /// Reads what is left, and throws it away, while the answer goes out.
    pub fn discard(self, tasks: &TaskTracker) {
        if self.body.is_end_stream() {
            return;
        }
        tasks.spawn(async move {
            let mut rest = Limited::new(self.body, DRAINED);
            let drained = async { while let Some(Ok(_)) = rest.frame().await {} };
            tokio::select! {
                _ = tokio::time::timeout(DRAIN_TIME, drained) => {}
                () = self.ending.cancelled() => {}
            }
        });
    }
}

async fn read(body: &mut Body, memory: &Account, limit: usize) -> Result<Held, BodyError> {
    let too_large = BodyError::TooLarge { limit };
    let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if said > limit {
        return Err(too_large);
    }
    // What it says is taken at once; a body that does not say its length is taken as it comes.
    let mut taken = None;
    let mut covered = SMALL;
    let mut cover = |length: usize| -> Result<(), BodyError> {
        if length <= covered {
            return Ok(());
        }
        match &mut taken {
            None => taken = Some(memory.take(length as u64).map_err(BodyError::Over)?),
            Some(taken) => taken.grow((length - covered) as u64).map_err(BodyError::Over)?,
        }
        covered = length;
        Ok(())
    };
    cover(said)?;
    let mut whole = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_gone| BodyError::Broken)?.into_data() else { continue };
        let length = whole.as_ref().map_or(0, Part::len) + data.len();
        if length > limit {
            return Err(too_large);
        }
        cover(length)?;
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
    Ok(Held { bytes, _taken: taken })
}

/// What has come of a body.
enum Part {
    One(Bytes),
    Many(Block),
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.len(),
            Self::Many(block) => block.len(),
        }
    }

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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{StreamExt, stream};

    use super::*;
    use crate::budget::{Bounds, Budget, Class};

    const LIMITS: BodyLimits = BodyLimits { bytes: 4, time: Duration::from_mins(1) };

    fn budget(all: u64) -> Budget {
        Budget::new(Bounds { all, each: all, reserve: 0 })
    }

    fn arriving(body: Body, budget: &Budget) -> Arriving {
        let memory = budget.account(&Arc::from("a"), Class::Ordinary);
        Arriving::new(body, memory, Arc::default())
    }

    async fn read(body: Body) -> Result<Vec<u8>, BodyError> {
        arriving(body, &budget(100)).read(LIMITS).await.map(|held| held.to_vec())
    }

    fn parts(parts: impl IntoIterator<Item = &'static str>) -> Body {
        let parts: Vec<_> = parts.into_iter().map(Ok::<_, std::io::Error>).collect();
        Body::from_stream(stream::iter(parts))
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_and_one_byte_more_is_refused() {
        assert_eq!(read(Body::from("1234")).await.unwrap(), b"1234");
        assert_eq!(read(parts(["1", "23", "4"])).await.unwrap(), b"1234");
        assert_eq!(read(Body::from("12345")).await, Err(BodyError::TooLarge { limit: 4 }));
        assert_eq!(read(parts(["12", "345"])).await, Err(BodyError::TooLarge { limit: 4 }));
        assert_eq!(read(Body::empty()).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn its_memory_is_taken_before_it_comes_and_given_back_with_it() {
        const LARGE: usize = SMALL + 4;
        let limits = BodyLimits { bytes: 2 * LARGE, ..LIMITS };
        let large = || Body::from(vec![b'x'; LARGE]);
        let without_length = || {
            let half = Bytes::from(vec![b'x'; LARGE / 2]);
            Body::from_stream(stream::iter([half.clone(), half].map(Ok::<_, std::io::Error>)))
        };
        let budget = budget(LARGE as u64 + 1);
        for body in [large(), without_length()] {
            let held = arriving(body, &budget).read(limits).await.unwrap();
            assert_eq!((held.len(), budget.used()), (LARGE, LARGE as u64));
            for more in [large(), without_length()] {
                let second = arriving(more, &budget).read(limits).await;
                assert_eq!(second.unwrap_err(), BodyError::Over(Over::Own));
            }
            assert!(
                arriving(Body::from("12"), &budget).read(limits).await.is_ok(),
                "small ones pass"
            );
            drop(held);
            assert_eq!(budget.used(), 0);
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_or_never_comes_is_told_apart() {
        let broken = stream::iter([Ok("12"), Err(std::io::Error::other("gone"))]);
        assert_eq!(read(Body::from_stream(broken)).await, Err(BodyError::Broken));

        let silent = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let hurried = BodyLimits { time: Duration::ZERO, ..LIMITS };
        let slow = arriving(silent(), &budget(9)).read(hurried).await;
        assert_eq!(slow.unwrap_err(), BodyError::TooSlow);

        let mut late = arriving(silent(), &budget(9));
        late.ending.cancel();
        assert_eq!(late.read(LIMITS).await.unwrap_err(), BodyError::Ending);
    }

    #[tokio::test]
    async fn what_nobody_wants_of_a_body_is_read_to_its_end_but_not_for_ever() {
        let drained = async |pieces: usize| {
            let taken = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&taken);
            let piece = Bytes::from_static(&[0; 1024]);
            let endless = stream::iter(0..pieces).map(move |_| {
                seen.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(piece.clone())
            });
            let mut body = arriving(Body::from_stream(endless), &budget(100));
            assert_eq!(body.read(LIMITS).await.unwrap_err(), BodyError::TooLarge { limit: 4 });
            let tasks = TaskTracker::new();
            body.discard(&tasks);
            tasks.close();
            tasks.wait().await;
            taken.load(Ordering::Relaxed)
        };
        assert_eq!(drained(100).await, 100);
        let most = DRAINED / 1024;
        assert!((most..most + 10).contains(&drained(10 * most).await), "and no further");
    }
}
