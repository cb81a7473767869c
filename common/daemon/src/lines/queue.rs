//! The queue of lines, and their counts and failures.

use std::{
    cell::RefCell,
    fs::File,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
        mpsc::sync_channel,
    },
    task::Waker,
    thread::Thread,
    time::{Duration, Instant},
};

use super::{
    Care, Failure, LineCounts, Owner,
    batch::{Batch, Completion, PendingLine, ThreadWaker},
    late::LateLines,
    output::Output,
    result::BatchResult,
    sink::{self, Sink},
};
use crate::chain::Head;

/// How long a line may wait to be written before it fails.
pub(super) const WAIT_LIMIT: Duration = Duration::from_secs(2);

/// How much later a line fails at the latest, if a write does not return.
const GRACE: Duration = Duration::from_secs(1);

/// The most bytes that wait to be written.
const BACKLOG: usize = 4 << 20;

/// The buffer of a thread is freed after a line that made it larger than this, in bytes.
const LONG_LINE: usize = 4096;

/// The stack of the sink's thread, which calls little.
const STACK: usize = 256 * 1024;

thread_local! {
    /// The buffer in which a thread builds its lines. It never holds a secret.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A handle to the queue. Clones share it; queued lines are still written when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Queue>);

/// What the sink and all others share.
#[derive(Debug)]
pub(super) struct Queue {
    open: Mutex<Open>,
    /// Locked before `open`, if both are locked.
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

#[derive(Debug)]
struct Open {
    batch: Batch,
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
    pub(super) has_batch: bool,
    pub(super) closed: bool,
}

impl Lines {
    /// Starts the thread `name`, which writes to `file`.
    ///
    /// # Errors
    /// The operating system's, if it gives no thread.
    pub(crate) fn start(name: &str, file: File, care: Care, owner: impl Owner) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Arc<Queue>>(1);
        let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(
            move || {
                if let Ok(queue) = receiver.recv() {
                    sink::run(&queue);
                }
            },
        )?;
        let output = Output::new(file, care.reserves);
        let failure = Failure::encode(output.space_failure());
        let queue = Arc::new_cyclic(|queue| {
            let empty = || Batch::new(queue, Vec::new(), Vec::new());
            let batch = empty();
            let open = Open { batch, in_flight: None, next_file: None, closed: false };
            Queue {
                open: Mutex::new(open),
                sink: Mutex::new(Sink::new(output, care, empty(), Box::new(owner))),
                late: Mutex::default(),
                head: Mutex::new(care.chain.map(|chain| chain.head())),
                thread: thread.thread().clone(),
                failure: AtomicU32::new(failure),
                written: AtomicU64::new(0),
                failed: AtomicU64::new(0),
                weak: Weak::clone(queue),
            }
        });
        sender
            .send(Arc::clone(&queue))
            .map_err(|_unsent| io::Error::other("the thread ended at once"))?;
        Ok(Self(Arc::new(Handle(queue))))
    }

    /// Queues the line that `make` appends, with its newline, to an empty buffer. The line is queued when this returns.
    /// `keeps` says whether it is a kept one.
    pub(crate) fn put_as(&self, keeps: bool, make: impl FnOnce(&mut Vec<u8>)) -> PendingLine {
        LINE.with_borrow_mut(|line| {
            line.clear();
            make(line);
            let pending = self.0.0.put(line, keeps);
            if line.capacity() > LONG_LINE {
                *line = Vec::new();
            }
            pending
        })
    }

    /// Queues a finished line, with its newline.
    pub(crate) fn put_line(&self, line: &[u8]) -> PendingLine {
        self.0.0.put(line, false)
    }

    /// Why lines fail now, if they do. A failure lasts until a write succeeds.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.0.0.failure()
    }

    /// Whether nothing was written that may not be on the disk.
    #[cfg(test)]
    pub(super) fn is_synced(&self) -> bool {
        self.0.0.sink().is_synced()
    }

    /// Continues in `file` from the next batch on.
    pub(crate) fn replace(&self, file: File) {
        self.0.0.lock().next_file = Some(file);
        self.0.0.unpark();
    }

    /// Fails lines that wait too long because a write does not return. Call it about once a second.
    pub(crate) fn expire(&self, now: Instant) {
        self.0.0.expire(now);
    }

    /// Waits until everything that was queued before is written or has failed, and late lines are written if they can
    /// be. It waits no longer than a line may. Blocks the thread.
    pub(crate) fn flush(&self) {
        self.0.0.flush();
    }

    /// The last line of the chain, if the lines are chained.
    pub(crate) fn head(&self) -> Option<Head> {
        *self.0.0.lock_head()
    }

    pub(crate) fn counts(&self) -> LineCounts {
        let queue = &self.0.0;
        let open = queue.lock();
        let in_flight = open.in_flight.as_ref().map_or(0, |in_flight| in_flight.lines);
        LineCounts {
            written: queue.written.load(Relaxed),
            failed: queue.failed.load(Relaxed),
            waiting: open.batch.lines + in_flight,
            waiting_bytes: open.batch.bytes.len() as u64,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.flush();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: &[u8], keeps: bool) -> PendingLine {
        if self.failure() == Some(Failure::Stalled) {
            return self.refuse(line, keeps);
        }
        let mut open = self.lock();
        let batch = &mut open.batch;
        if batch.bytes.len() + line.len() > BACKLOG {
            drop(open);
            // The backlog is written before the failure can end, and ends it.
            self.set_failure(Some(Failure::Stalled));
            return self.refuse(line, keeps);
        }
        if batch.opened.is_none() {
            batch.opened = Some(Instant::now());
        }
        let end = batch.add(line, keeps);
        let completion = Arc::clone(&batch.completion);
        drop(open);
        PendingLine::put(completion, end)
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

    pub(super) fn empty_batch(&self, bytes: Vec<u8>, wakers: Vec<Waker>) -> Batch {
        Batch::new(&self.weak, bytes, wakers)
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

    /// Writes the waiting lines on this thread if the output takes them at once; otherwise wakes the sink's thread.
    /// `false`: another thread is writing, and may have missed the last lines.
    pub(super) fn write_or_wake_sink(&self) -> bool {
        let Some(mut sink) = self.try_sink() else { return false };
        if !sink.write_at_once(self) {
            drop(sink);
            self.unpark();
        }
        true
    }

    pub(super) fn unpark(&self) {
        self.thread.unpark();
    }

    fn lock_head(&self) -> MutexGuard<'_, Option<Head>> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_head(&self, head: Head) {
        *self.lock_head() = Some(head);
    }

    /// How many bytes and lines wait to be written. `None`: they belong into a file that the sink does not have yet.
    pub(super) fn waiting(&self) -> Option<(usize, u64)> {
        let open = self.lock();
        open.next_file.is_none().then_some((open.batch.bytes.len(), open.batch.lines))
    }

    /// Swaps the open batch with the empty one, if it has lines.
    pub(super) fn take_batch(&self, empty: &mut Batch) -> bool {
        take_batch(&mut self.lock(), empty)
    }

    /// Takes the next work, and swaps the open batch with the empty one if it has lines.
    pub(super) fn next_work(&self, empty: &mut Batch) -> Work {
        let mut open = self.lock();
        let has_batch = take_batch(&mut open, empty);
        Work { file: open.next_file.take(), has_batch, closed: open.closed }
    }

    /// Completes the batch in flight: `written` of its `lines` were written.
    pub(super) fn complete(
        &self,
        completion: &Completion,
        (result, lines, written): (BatchResult, u64, u64),
        wakers: &mut Vec<Waker>,
    ) {
        // If it had expired, its lines are already counted as failed.
        if completion.complete(result, wakers) {
            self.written.fetch_add(written, Relaxed);
            self.failed.fetch_add(lines - written, Relaxed);
        }
        // Last: a batch is in flight until it is complete.
        self.lock().in_flight = None;
    }

    /// Fails every line in the open batch.
    pub(super) fn refuse_waiting(&self, failure: Failure) {
        let mut open = self.lock();
        let next = self.empty_batch(Vec::new(), Vec::new());
        let batch = std::mem::replace(&mut open.batch, next);
        drop(open);
        self.keep_behind(&batch, 0);
        self.failed.fetch_add(batch.lines, Relaxed);
        batch.completion.complete(BatchResult::failed(failure), &mut Vec::new());
    }

    fn expire(&self, now: Instant) {
        let open = self.lock();
        let in_flight = open.in_flight.as_ref();
        let oldest = in_flight.map(|in_flight| in_flight.since).or(open.batch.opened);
        let age = oldest.map(|since| now.saturating_duration_since(since));
        if age.is_none_or(|age| age < WAIT_LIMIT + GRACE) {
            return;
        }
        let stuck = in_flight.map(|batch| (Arc::clone(&batch.completion), batch.lines));
        drop(open);
        self.set_failure(Some(Failure::Stalled));
        if let Some((completion, lines)) = stuck
            && completion.complete(BatchResult::failed(Failure::Stalled), &mut Vec::new())
        {
            self.failed.fetch_add(lines, Relaxed);
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

    fn flush(&self) {
        self.unpark();
        let open = self.lock();
        let in_flight = open.in_flight.as_ref().map(|in_flight| Arc::clone(&in_flight.completion));
        let waiting = open.batch.opened.is_some().then(|| Arc::clone(&open.batch.completion));
        drop(open);
        let deadline = Instant::now() + WAIT_LIMIT + GRACE;
        let waker = Waker::from(Arc::new(ThreadWaker::current()));
        for completion in [in_flight, waiting].into_iter().flatten() {
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

fn take_batch(open: &mut Open, empty: &mut Batch) -> bool {
    let Some(since) = open.batch.opened else { return false };
    std::mem::swap(&mut open.batch, empty);
    let Batch { lines, completion, .. } = &*empty;
    open.in_flight = Some(InFlight { since, lines: *lines, completion: Arc::clone(completion) });
    true
}
