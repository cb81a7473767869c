//! The sink writes batches. Only one thread has it at a time.
//!
//! A thread of its own waits for slow outputs. If the output takes lines at once, a waiting future writes them together
//! with all others: waking the thread and being woken by it would cost several times as much as the write.

use std::{
    fmt,
    sync::Arc,
    task::Waker,
    thread,
    time::{Duration, Instant},
};

use super::{
    Failure, Owner,
    batch::{Batch, BatchResult},
    output::Output,
    queue::{Queue, WAIT_LIMIT},
};

/// How often the sink checks whether lines can be written, and how long a line may wait if no future is polled for it.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The largest batch whose memory is reused, in bytes.
const KEPT_BATCH: usize = 1 << 20;

/// The state of the writer.
pub(super) struct Sink {
    output: Output,
    reserves: bool,
    owner: Box<dyn Owner>,
    /// How many of the failed lines a gap line has reported.
    reported: u64,
    next_probe: Instant,
    /// An empty batch, to be open while another is written.
    empty: Batch,
    /// A list of wakers whose memory is reused.
    wakers: Vec<Waker>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("output", &self.output).finish_non_exhaustive()
    }
}

/// What the thread does next.
enum Step {
    Next,
    Park,
    End,
}

/// Runs until the queue is closed and empty.
pub(super) fn run(queue: &Arc<Queue>) {
    if let Some(failure) = queue.failure() {
        queue.sink().owner.failure_changed(Some(failure));
    }
    loop {
        // The lock is free while the thread is parked.
        let step = queue.sink().step(queue);
        match step {
            Step::Next => {}
            Step::Park => thread::park_timeout(PROBE_INTERVAL),
            Step::End => return,
        }
    }
}

impl Sink {
    pub(super) fn new(output: Output, reserves: bool, empty: Batch, owner: Box<dyn Owner>) -> Self {
        Self {
            empty,
            output,
            reserves,
            owner,
            reported: 0,
            next_probe: Instant::now(),
            wakers: Vec::new(),
        }
    }

    /// Writes the open batch if the output takes it at once. Returns whether it does.
    pub(super) fn write_at_once(&mut self, queue: &Queue) -> bool {
        let is_quick =
            queue.failure().is_none() && self.output.takes_at_once(queue.waiting_bytes());
        if is_quick && queue.take_batch(&mut self.empty) {
            self.commit(queue);
        }
        is_quick
    }

    /// One step of the thread.
    fn step(&mut self, queue: &Queue) -> Step {
        let work = queue.next_work(&mut self.empty);
        let has_new_file = work.file.is_some();
        if let Some(file) = work.file {
            self.output.replace(file, self.reserves);
        }
        if work.has_batch {
            self.commit(queue);
        } else if work.closed {
            self.write_late(queue, Instant::now());
            return Step::End;
        } else if has_new_file {
            self.probe(queue);
        } else {
            return self.probe_when_due(queue);
        }
        Step::Next
    }

    /// Writes and completes the batch that was taken.
    fn commit(&mut self, queue: &Queue) {
        let wakers = std::mem::take(&mut self.wakers);
        let next = queue.empty_batch(Vec::new(), wakers);
        let mut batch = std::mem::replace(&mut self.empty, next);
        let deadline = batch.opened.unwrap_or_else(Instant::now) + WAIT_LIMIT;
        let result = match self.write_gap(queue, deadline) {
            Some(failure) => BatchResult::failed(failure),
            None => self.output.write(&batch.bytes, deadline),
        };
        let written = if result.failure.is_none() {
            batch.lines
        } else {
            queue.keep_behind(&batch, result.taken);
            newlines(batch.bytes.get(..result.taken).unwrap_or_default())
        };
        // Before any future completes: a task that sees its line fail must also see the failure.
        self.report(queue, result.failure.or(self.output.space_failure()));
        let outcome = (result, batch.lines, written);
        queue.complete(&batch.completion, outcome, &mut self.wakers);
        if batch.bytes.capacity() <= KEPT_BATCH {
            batch.bytes.clear();
            self.empty.bytes = batch.bytes;
        }
        match result.failure {
            None => self.reserve(queue),
            // The lines behind it would wait for the same reader.
            Some(Failure::Stalled) => queue.refuse_waiting(Failure::Stalled),
            Some(_) => {}
        }
    }

    /// Nothing waits to be written: checks from time to time whether lines could be.
    fn probe_when_due(&mut self, queue: &Queue) -> Step {
        if queue.failure() == Some(Failure::Stalled) && self.output.waits_for_reader() {
            // Lines are refused, so only the reader matters.
            match self.output.wait_writable(Instant::now() + PROBE_INTERVAL) {
                Ok(()) => {
                    self.probe(queue);
                    return Step::Next;
                }
                Err(Failure::Stalled) => return Step::Next,
                Err(_) => {}
            }
        }
        if Instant::now() >= self.next_probe {
            self.probe(queue);
        }
        Step::Park
    }

    /// Checks whether lines can be written.
    fn probe(&mut self, queue: &Queue) {
        self.next_probe = Instant::now() + PROBE_INTERVAL;
        let failure = self.write_gap(queue, Instant::now());
        if failure.is_none() {
            self.output.reserve();
        }
        self.report(queue, failure.or_else(|| self.output.foreseen_failure()));
    }

    /// Writes late lines a last time before the end.
    pub(super) fn write_late(&mut self, queue: &Queue, deadline: Instant) {
        self.write_gap(queue, deadline);
    }

    /// Writes the rest of a cut line and the late lines, and then reports missing lines.
    fn write_gap(&mut self, queue: &Queue, deadline: Instant) -> Option<Failure> {
        let late = queue.late().take();
        if late.lines() > 0 {
            let result = self.output.write(late.bytes(), deadline);
            self.reported += late.lines();
            if result.failure.is_some() {
                self.reported -= queue.late().give_back(late, result.taken);
                return result.failure;
            }
        }
        let lost = queue.failed().saturating_sub(self.reported);
        let mut line = Vec::new();
        if lost > 0 {
            self.owner.write_gap(lost, &mut line);
        }
        let result = self.output.write(&line, deadline);
        // A line that has begun will be completed.
        if result.taken > 0 {
            self.reported += lost;
        }
        result.failure
    }

    /// Reserves space. While that fails, it is tried about once a second.
    fn reserve(&mut self, queue: &Queue) {
        if self.output.space_failure().is_some() {
            if Instant::now() < self.next_probe {
                return;
            }
            self.next_probe = Instant::now() + PROBE_INTERVAL;
        }
        self.output.reserve();
        self.report(queue, self.output.space_failure());
    }

    fn report(&self, queue: &Queue, failure: Option<Failure>) {
        if queue.set_failure(failure) {
            self.owner.failure_changed(failure);
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count().saturating_sub(1) as u64
}
