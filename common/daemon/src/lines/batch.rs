//! Lines that are written together, and the futures that wait for them.

use std::{
    ops::Range,
    pin::{Pin, pin},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

use super::{Failure, queue::Queue, result::BatchResult};
use crate::threads::Place;

/// How often a line yields to other tasks while another thread writes, before it wakes the sink's thread. A write
/// usually takes less time.
const MAX_YIELDS: u8 = 16;

/// The memory of a batch that was written, for a later one of the same threads.
#[derive(Debug, Default)]
pub(super) struct Spare {
    pub(super) bytes: Vec<u8>,
    /// The lines as they are written, with their marks.
    pub(super) marked: Vec<u8>,
    pub(super) wakers: Vec<Waker>,
}

/// Lines that are written together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) marked: Vec<u8>,
    pub(super) lines: u64,
    /// The byte ranges of the kept lines.
    kept: Vec<Range<usize>>,
    /// When its first line was added; `None` while it is empty.
    pub(super) opened: Option<Instant>,
    pub(super) completion: Arc<Completion>,
}

impl Batch {
    /// An empty batch for lines of this place, which reuses the memory of an earlier one.
    pub(super) fn new(queue: &Weak<Queue>, place: Place, spare: Spare) -> Self {
        let Spare { bytes, marked, wakers } = spare;
        let (result, waiting) = (OnceLock::new(), Mutex::new(wakers));
        let completion = Completion { result, waiting, queue: Weak::clone(queue), place };
        let completion = Arc::new(completion);
        Self { bytes, marked, lines: 0, kept: Vec::new(), opened: None, completion }
    }

    /// Adds a line, and returns where it ends.
    pub(super) fn add(&mut self, line: &[u8], keeps: bool) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.lines += 1;
        let end = self.bytes.len();
        if keeps {
            self.kept.push(start..end);
        }
        end
    }

    /// The kept lines that begin after the first `taken` bytes.
    pub(super) fn kept_behind(&self, taken: usize) -> impl Iterator<Item = &[u8]> {
        let behind = self.kept.iter().filter(move |range| range.start >= taken);
        behind.filter_map(|range| self.bytes.get(range.clone()))
    }
}

/// The result of a batch, and the wakers of the lines that wait for it.
#[derive(Debug)]
pub(super) struct Completion {
    result: OnceLock<BatchResult>,
    waiting: Mutex<Vec<Waker>>,
    /// The queue that the batch belongs to.
    queue: Weak<Queue>,
    /// The threads that put its lines.
    pub(super) place: Place,
}

impl Completion {
    /// Whether the result is known.
    pub(super) fn is_complete(&self) -> bool {
        self.result.get().is_some()
    }

    /// Sets the result and wakes all wakers; does nothing if there was a result already: the first one stands. Leaves the emptied
    /// list of wakers in `spare`. `count` counts the lines, before anybody can see the result.
    pub(super) fn complete(
        &self,
        result: BatchResult,
        spare: &mut Vec<Waker>,
        count: impl FnOnce(),
    ) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.result.get().is_some() {
            return;
        }
        count();
        // Nobody else sets it: that takes the lock.
        self.result.get_or_init(|| result);
        std::mem::swap(&mut *waiting, spare);
        drop(waiting);
        for waker in spare.drain(..) {
            waker.wake();
        }
    }

    /// Registers `waker` to be woken by the result. `index` is its position if it is registered already.
    pub(super) fn register(&self, waker: &Waker, index: &mut Option<usize>) -> Option<BatchResult> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that a later result finds the waker.
        if let Some(result) = self.result.get() {
            return Some(*result);
        }
        if let Some(known) = index.and_then(|index| waiting.get_mut(index)) {
            known.clone_from(waker);
        } else {
            *index = Some(waiting.len());
            waiting.push(waker.clone());
        }
        None
    }

    /// Has the waiting lines written. `false`: another thread is writing.
    fn write_or_wake_sink(&self) -> bool {
        self.queue.upgrade().is_none_or(|queue| queue.write_or_wake_sink(self.place))
    }

    /// Has another thread write the waiting lines.
    fn unpark_sink(&self) {
        if let Some(queue) = self.queue.upgrade() {
            queue.unpark();
        }
    }
}

/// A queued line that may not be written yet. Dropping this does not affect the line.
#[derive(Debug)]
#[must_use = "an answer must not go out before its line"]
pub(crate) struct PendingLine(State);

#[derive(Debug)]
enum State {
    Refused(Failure),
    Put {
        completion: Arc<Completion>,
        /// Where the line ends in its batch.
        end: usize,
        stage: Stage,
    },
}

#[derive(Debug)]
enum Stage {
    /// Not polled yet. The sink may not know of the line.
    New,
    /// Has yielded to other tasks this many times.
    Yielded(u8),
    /// Waits at this position in the list of wakers.
    Waiting(Option<usize>),
}

impl PendingLine {
    pub(super) const fn refused(failure: Failure) -> Self {
        Self(State::Refused(failure))
    }

    pub(super) const fn put(completion: Arc<Completion>, end: usize) -> Self {
        Self(State::Put { completion, end, stage: Stage::New })
    }
}

impl Future for PendingLine {
    type Output = Result<(), Failure>;

    /// Yields once: tasks that are ready may add lines to the same batch. Then it has the batch written, and waits.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (completion, end, stage) = match &mut self.0 {
            State::Refused(failure) => return Poll::Ready(Err(*failure)),
            State::Put { completion, end, stage } => (completion, *end, stage),
        };
        if let Some(result) = completion.result.get() {
            return Poll::Ready(result.line(end));
        }
        match stage {
            Stage::New => {
                *stage = Stage::Yielded(1);
                return yield_now(context);
            }
            Stage::Yielded(yields) if !completion.write_or_wake_sink() && *yields < MAX_YIELDS => {
                *yields += 1;
                return yield_now(context);
            }
            Stage::Yielded(_) => {
                *stage = Stage::Waiting(None);
                if !completion.is_complete() {
                    completion.unpark_sink();
                }
            }
            Stage::Waiting(_) => {}
        }
        if let Stage::Waiting(index) = stage
            && let Some(result) = completion.register(context.waker(), index)
        {
            return Poll::Ready(result.line(end));
        }
        Poll::Pending
    }
}

/// Yields to the tasks that are ready, and to what arrives meanwhile. Waking the task at once instead would wake another
/// thread to run it.
fn yield_now<T>(context: &mut Context<'_>) -> Poll<T> {
    match pin!(tokio::task::yield_now()).poll(context) {
        Poll::Pending => {}
        // It never is at once. If it were, nobody else would wake this task.
        Poll::Ready(()) => context.waker().wake_by_ref(),
    }
    Poll::Pending
}

impl Drop for PendingLine {
    fn drop(&mut self) {
        if let State::Put { completion, stage: Stage::New | Stage::Yielded(_), .. } = &self.0
            && !completion.is_complete()
        {
            completion.unpark_sink();
        }
    }
}

/// Unparks the thread that waits for a batch.
pub(super) struct ThreadWaker(Thread);

impl ThreadWaker {
    pub(super) fn current() -> Self {
        Self(thread::current())
    }
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

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
