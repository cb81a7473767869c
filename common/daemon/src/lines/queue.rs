//! The queue of lines, and their counts and failures.

use std::{
    fs::File,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
    thread::Thread,
    time::{Duration, Instant},
};

use super::{
    Care, Failure, LineCounts,
    batch::{Batch, Completion, Open, PendingLine, Spare, ThreadWaker},
    late::LateLines,
    result::BatchResult,
    sink::Sink,
};
use crate::{
    chain::Head,
    threads::{self, PerThread, Place},
};

/// How long a line may wait to be written before it fails.
pub(super) const WAIT_LIMIT: Duration = Duration::from_secs(2);

/// How much later a line fails at the latest, if a write does not return.
const GRACE: Duration = Duration::from_secs(1);

/// How long, and in which steps, a thread whose batch is full waits for another one that writes.
const WRITER_PAUSE: Duration = Duration::from_millis(100);
const WRITER_INTERVAL: Duration = Duration::from_millis(1);

/// The most bytes that wait to be written, of all serving threads together. Each has its part of them.
const BACKLOG: usize = 4 << 20;

/// The least part of a thread.
const LEAST_BACKLOG: usize = 256 << 10;

/// What the sink and all others share.
///
/// Each serving thread has an open batch of its own, and writes it itself: its lines, and the tasks that wait for them, stay with
/// one processor.
#[derive(Debug)]
pub(super) struct Queue {
    open: PerThread<Mutex<Open>>,
    /// The most bytes of each open batch.
    bound: usize,
    /// Locked before any of `open`.
    state: Mutex<State>,
    /// Locked before `state`.
    sink: Mutex<Sink>,
    late: Mutex<LateLines>,
    /// The last line of the chain.
    head: Mutex<Option<Head>>,
    thread: Thread,
    failure: AtomicU32,
    written: AtomicU64,
    failed: AtomicU64,
    /// For the pending lines.
    weak: Weak<Self>,
}

#[derive(Debug, Default)]
struct State {
    /// The batch that the sink is writing.
    in_flight: Option<InFlight>,
    /// The file to continue in.
    next_file: Option<File>,
    closed: bool,
}

#[derive(Debug)]
struct InFlight {
    since: Instant,
    lines: u64,
    completion: Arc<Completion>,
}

/// What the sink does next.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) file: Option<File>,
    pub(super) batch: Option<Batch>,
    pub(super) closed: bool,
}

/// The sink's thread is to write the batch.
#[derive(Debug)]
pub(super) struct Deferred;

impl Queue {
    /// `failure`: of the output, encoded.
    pub(super) fn new(sink: Sink, care: Care, thread: Thread, failure: u32) -> Arc<Self> {
        Arc::new_cyclic(|weak| Self {
            open: PerThread::new(|place| {
                let batch = Batch::new(weak, place, Spare::default());
                Mutex::new(Open { batch, spare: Spare::default() })
            }),
            bound: (BACKLOG / threads::serving()).max(LEAST_BACKLOG),
            state: Mutex::default(),
            sink: Mutex::new(sink),
            late: Mutex::default(),
            head: Mutex::new(care.chain.map(|chain| chain.head())),
            thread,
            failure: AtomicU32::new(failure),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            weak: Weak::clone(weak),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_open(&self) -> impl Iterator<Item = MutexGuard<'_, Open>> {
        self.open.iter().map(|open| open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn open_at(&self, place: Place) -> MutexGuard<'_, Open> {
        self.open.at(place).lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, line: &[u8], keeps: bool) -> PendingLine {
        if self.failure() == Some(Failure::Stalled) {
            return self.refuse(line, keeps);
        }
        let place = Place::here();
        let mut open = self.open_at(place);
        // Many lines may come before the first of them is waited for. That is no output which does not take them.
        if !open.has_room(line, self.bound / 2) {
            drop(open);
            self.write_or_wake_sink(place);
            open = self.open_at(place);
        }
        if !open.has_room(line, self.bound) {
            drop(open);
            open = self.wait_for_room(place, line);
        }
        if !open.has_room(line, self.bound) {
            drop(open);
            // The backlog is written before the failure can end, and ends it.
            self.set_failure(Some(Failure::Stalled));
            return self.refuse(line, keeps);
        }
        let batch = &mut open.batch;
        if batch.opened.is_none() {
            batch.opened = Some(Instant::now());
        }
        let end = batch.add(line, keeps);
        let completion = Arc::clone(&batch.completion);
        drop(open);
        PendingLine::put(completion, end)
    }

    /// Waits until the line has room, but not for long. The thread that writes may itself wait for a processor, which this one has.
    #[expect(clippy::disallowed_methods, reason = "it waits for a condition with a deadline")]
    fn wait_for_room(&self, place: Place, line: &[u8]) -> MutexGuard<'_, Open> {
        let begun = Instant::now();
        loop {
            std::thread::sleep(WRITER_INTERVAL);
            self.write_or_wake_sink(place);
            let open = self.open_at(place);
            if open.has_room(line, self.bound) || begun.elapsed() >= WRITER_PAUSE {
                return open;
            }
        }
    }

    fn refuse(&self, line: &[u8], keeps: bool) -> PendingLine {
        if keeps {
            self.late().keep(line);
        }
        self.failed.fetch_add(1, Relaxed);
        PendingLine::refused(Failure::Stalled)
    }

    /// The late lines.
    pub(super) fn late(&self) -> MutexGuard<'_, LateLines> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the kept lines of a batch of which only `taken` bytes were written.
    pub(super) fn keep_behind(&self, batch: &Batch, taken: usize) {
        let mut late = self.late();
        batch.kept_behind(taken).for_each(|line| late.keep(line));
    }

    pub(super) fn sink(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: another thread is writing.
    fn try_sink(&self) -> Option<MutexGuard<'_, Sink>> {
        match self.sink.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Ok(sink) => Some(sink),
        }
    }

    /// Writes the waiting lines of this place on this thread if the output takes them at once; otherwise wakes the sink's
    /// thread. `false`: another thread is writing.
    pub(super) fn write_or_wake_sink(&self, place: Place) -> bool {
        let Some(mut sink) = self.try_sink() else { return false };
        if !sink.write_at_once(self, place) {
            drop(sink);
            self.unpark();
        }
        true
    }

    pub(super) fn unpark(&self) {
        self.thread.unpark();
    }

    /// Continues in `file` from the next batch on.
    pub(super) fn replace(&self, file: File) {
        self.state().next_file = Some(file);
        self.unpark();
    }

    /// No more lines are put.
    pub(super) fn close(&self) {
        self.state().closed = true;
    }

    /// The last line of the chain, if the lines are chained.
    pub(super) fn head(&self) -> Option<Head> {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_head(&self, head: Head) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }

    /// The output has this many lines.
    pub(super) fn set_written(&self, lines: u64) {
        self.written.store(lines, Relaxed);
    }

    pub(super) fn counts(&self) -> LineCounts {
        let state = self.state();
        let mut counts = LineCounts {
            written: self.written.load(Relaxed),
            failed: self.failed.load(Relaxed),
            waiting: state.in_flight.as_ref().map_or(0, |in_flight| in_flight.lines),
            waiting_bytes: 0,
        };
        for open in self.all_open() {
            counts.waiting += open.batch.lines;
            counts.waiting_bytes += open.batch.bytes.len() as u64;
        }
        counts
    }

    /// Takes the open batch of this place, if it has lines and `wanted` says so.
    ///
    /// # Errors
    /// [`Deferred`]: it is not wanted, or belongs into a file that the sink does not have yet.
    pub(super) fn take_batch_if(
        &self,
        place: Place,
        wanted: impl FnOnce(&Batch) -> bool,
    ) -> Result<Option<Batch>, Deferred> {
        let mut state = self.state();
        let mut open = self.open_at(place);
        if state.next_file.is_some() || !wanted(&open.batch) {
            return Err(Deferred);
        }
        Ok(self.take_batch(&mut state, &mut open))
    }

    /// Takes the next work: of the open batches that have lines, the one that waits longest.
    pub(super) fn next_work(&self) -> Work {
        let mut state = self.state();
        let waiting = self
            .all_open()
            .filter_map(|open| open.batch.opened.map(|since| (since, open.batch.completion.place)));
        let oldest = waiting.min_by_key(|(since, _)| *since);
        let batch =
            oldest.and_then(|(_, place)| self.take_batch(&mut state, &mut self.open_at(place)));
        Work { file: state.next_file.take(), batch, closed: state.closed }
    }

    fn take_batch(&self, state: &mut State, open: &mut Open) -> Option<Batch> {
        let since = open.batch.opened?;
        let next =
            Batch::new(&self.weak, open.batch.completion.place, std::mem::take(&mut open.spare));
        let batch = std::mem::replace(&mut open.batch, next);
        let (lines, completion) = (batch.lines, Arc::clone(&batch.completion));
        state.in_flight = Some(InFlight { since, lines, completion });
        Some(batch)
    }

    /// Returns the memory of a batch to its place.
    pub(super) fn give_back(&self, place: Place, spare: Spare) {
        self.open_at(place).spare = spare;
    }

    /// Completes the batch in flight, of which `failed` lines were not written. Returns the emptied list of wakers.
    pub(super) fn complete(
        &self,
        completion: &Completion,
        (result, failed): (BatchResult, u64),
    ) -> Vec<Waker> {
        let mut wakers = Vec::new();
        // If it had expired, its lines are already counted as failed.
        completion.complete(result, &mut wakers, || {
            self.failed.fetch_add(failed, Relaxed);
        });
        // Last: a batch is in flight until it is complete.
        self.state().in_flight = None;
        wakers
    }

    /// Fails every line in the open batches.
    pub(super) fn refuse_waiting(&self, failure: Failure) {
        for mut open in self.all_open() {
            let next = Batch::new(&self.weak, open.batch.completion.place, Spare::default());
            let batch = std::mem::replace(&mut open.batch, next);
            drop(open);
            self.keep_behind(&batch, 0);
            batch.completion.complete(BatchResult::failed(failure), &mut Vec::new(), || {
                self.failed.fetch_add(batch.lines, Relaxed);
            });
        }
    }

    /// Fails lines that wait too long because a write does not return.
    pub(super) fn expire(&self, now: Instant) {
        let state = self.state();
        let in_flight = state.in_flight.as_ref();
        let oldest = match in_flight {
            Some(in_flight) => Some(in_flight.since),
            None => self.all_open().filter_map(|open| open.batch.opened).min(),
        };
        let age = oldest.map(|since| now.saturating_duration_since(since));
        if age.is_none_or(|age| age < WAIT_LIMIT + GRACE) {
            return;
        }
        let stuck = in_flight.map(|batch| (Arc::clone(&batch.completion), batch.lines));
        drop(state);
        self.set_failure(Some(Failure::Stalled));
        if let Some((completion, lines)) = stuck {
            completion.complete(BatchResult::failed(Failure::Stalled), &mut Vec::new(), || {
                self.failed.fetch_add(lines, Relaxed);
            });
        }
        self.refuse_waiting(Failure::Stalled);
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        Failure::decode(self.failure.load(Relaxed))
    }

    /// Returns whether that changed anything.
    pub(super) fn set_failure(&self, failure: Option<Failure>) -> bool {
        let code = Failure::encode(failure);
        self.failure.swap(code, Relaxed) != code
    }

    /// The number of lines that have failed so far.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Waits until everything that was queued before is written or has failed, and late lines are written if they can be.
    pub(super) fn flush(&self) {
        self.unpark();
        let state = self.state();
        let mut waiting: Vec<_> =
            state.in_flight.iter().map(|it| Arc::clone(&it.completion)).collect();
        for open in self.all_open().filter(|open| open.batch.opened.is_some()) {
            waiting.push(Arc::clone(&open.batch.completion));
        }
        drop(state);
        let deadline = Instant::now() + WAIT_LIMIT + GRACE;
        let waker = Waker::from(Arc::new(ThreadWaker::current()));
        for completion in waiting {
            completion.register(&waker, &mut None);
            while !completion.is_complete() && Instant::now() < deadline {
                std::thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
            }
        }
        // Late lines have no completion.
        while Instant::now() < deadline {
            if let Some(mut sink) = self.try_sink() {
                return sink.write_late(self, deadline);
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}
