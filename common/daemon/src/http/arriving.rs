//! Reading a request's body within its limits and budgets.

use std::{sync::Arc, task::Poll, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use spike_mtls::budget::{Over, Taken};
use tokio_util::task::TaskTracker;

use super::{allowance::Allowance, block::Block};

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
}

impl Arriving {
    /// A body that the peer with this allowance sends.
    pub(super) const fn new(body: Body, allowance: Arc<Allowance>) -> Self {
        Self { body, allowance, read: 0 }
    }

    /// Reads the whole body. Its memory is taken from the budget first.
    ///
    /// # Errors
    /// [`BodyError`]. What was not read of it stays, for [`Self::discard`].
    pub async fn read(&mut self, limits: BodyLimits) -> Result<Held, BodyError> {
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
        let Self { body, allowance, read } = self;
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

    /// How many bytes are read in vain where the request comes to nothing: those that were read, and those that
    /// [`Self::discard`] is about to read.
    pub(super) fn in_vain(&self) -> usize {
        let left = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        self.read.saturating_add(left.min(DRAINED))
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
                () = self.allowance.ending.cancelled() => {}
            }
        });
    }
}

impl Arriving {
    /// As [`Self::discard`], for a peer that has to wait: a client that writes its whole request before it reads would not see
    /// the answer otherwise. `turn` is given back at the end, and not before a moment has passed, which bounds how much is
    /// read in vain.
    pub(super) fn discard_in_turn(self, tasks: &TaskTracker, turn: Taken) {
        if self.body.is_end_stream() {
            return;
        }
        let turn = Arc::new(turn);
        let until_then = Arc::clone(&turn);
        tokio::spawn(async move {
            tokio::time::sleep(TURN).await;
            drop(until_then);
        });
        let Self { body, allowance, .. } = self;
        tasks.spawn(async move {
            let mut rest = Limited::new(body, DRAINED);
            let drained = async { while let Some(Ok(_)) = rest.frame().await {} };
            tokio::select! {
                _ = tokio::time::timeout(DRAIN_TIME, drained) => {}
                () = allowance.ending.cancelled() => {}
            }
            drop(turn);
        });
    }
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{StreamExt, stream};

    use super::{super::allowance::Denials, *};
    use crate::limit::{DenialLimit, Rate};
    use spike_mtls::budget::{Bounds, Budget, Class};

    const LIMITS: BodyLimits = BodyLimits { bytes: 4, time: Duration::from_mins(1) };

    fn budget(all: u64) -> Budget {
        Budget::new(Bounds { all, each: all, reserve: 0 })
    }

    fn allowance(budget: &Budget) -> Allowance {
        let account = || budget.account(&Arc::from("a"), Class::Ordinary);
        Allowance {
            in_flight: account(),
            memory: account(),
            held_back: account(),
            turns: account(),
            denials: None,
            ending: Arc::default(),
        }
    }

    fn arriving(body: Body, budget: &Budget) -> Arriving {
        Arriving::new(body, Arc::new(allowance(budget)))
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
        late.allowance.ending.cancel();
        assert_eq!(late.read(LIMITS).await.unwrap_err(), BodyError::Ending);
    }

    #[tokio::test]
    async fn of_a_peer_that_was_denied_too_often_only_modest_bodies_are_read() {
        let budget = budget(u64::MAX / 4);
        let limit = Arc::new(DenialLimit::new(Rate { per_second: 1, burst: 1 }));
        let denials = Some(Denials { limit, id: Arc::from("a") });
        let allowance = Arc::new(Allowance { denials, ..allowance(&budget) });
        let limits = BodyLimits { bytes: 3 * SMALL, ..LIMITS };
        let read = async |length: usize| {
            let body = Body::from(vec![b'x'; length]);
            let mut body = Arriving::new(body, Arc::clone(&allowance));
            (body.read(limits).await.map(|held| held.len()), body.in_vain())
        };
        assert_eq!(read(2 * SMALL).await, (Ok(2 * SMALL), 2 * SMALL));
        assert_eq!(allowance.denied(2 * SMALL), Ok(()), "one token was there, two are owed");
        assert!(allowance.over_denials().is_some_and(|after| after > Duration::from_secs(2)));
        assert_eq!(read(MODEST).await, (Ok(MODEST), MODEST));
        let (refused, in_vain) = read(MODEST + 1).await;
        assert!(matches!(refused, Err(BodyError::Unwanted { .. })), "{refused:?}");
        assert_eq!(in_vain, MODEST + 1);
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
