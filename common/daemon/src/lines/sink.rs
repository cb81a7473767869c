//! Who writes, and what only the writer knows.
//!
//! A thread of its own waits for whatever takes long. Where the output takes lines at once, whoever waits for them writes
//! them, with those of all others that wait: waking the thread and being woken by it costs several times as much as the
//! write.

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

/// How often the sink looks by itself whether lines can be written; and how long a line may wait that nobody asks about.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The largest batch whose memory is kept for another, in bytes.
const KEPT_BATCH: usize = 1 << 20;

/// What the writer knows. One at a time writes.
pub(super) struct Sink {
    output: Output,
    reserves: bool,
    owner: Box<dyn Owner>,
    /// How many of the lines that failed are told of in a line.
    told: u64,
    next_probe: Instant,
    /// An empty batch, to be open while another is written.
    empty: Batch,
    /// The memory of a list of wakers.
    wakers: Vec<Waker>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("output", &self.output).finish_non_exhaustive()
    }
}

/// What the thread does after a step.
enum Step {
    Next,
    Rest,
    End,
}

/// Works until the queue is closed and empty.
pub(super) fn run(queue: &Arc<Queue>) {
    if let Some(failure) = queue.failure() {
        queue.sink().owner.failure_changed(Some(failure));
    }
    loop {
        // The sink is free while the thread rests.
        let step = queue.sink().step(queue);
        match step {
            Step::Next => {}
            Step::Rest => thread::park_timeout(PROBE_INTERVAL),
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
            told: 0,
            next_probe: Instant::now(),
            wakers: Vec::new(),
        }
    }

    /// Writes what waits, where the output takes it at once. Tells whether it did.
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
            return self.look(queue);
        }
        Step::Next
    }

    /// Writes the batch that was taken, and completes it.
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
        // Before anybody learns of it: who sees a line fail also sees that lines fail.
        self.report(queue, result.failure.or(self.output.space_failure()));
        let outcome = (result, batch.lines, written);
        queue.complete(&batch.completion, outcome, &mut self.wakers);
        if batch.bytes.capacity() <= KEPT_BATCH {
            batch.bytes.clear();
            self.empty.bytes = batch.bytes;
        }
        match result.failure {
            None => self.reserve(queue),
            // Nobody waits for a reader twice.
            Some(Failure::Stalled) => queue.refuse_waiting(Failure::Stalled),
            Some(_) => {}
        }
    }

    /// Nothing is to be written: looks every so often whether lines could be.
    fn look(&mut self, queue: &Queue) -> Step {
        if queue.failure() == Some(Failure::Stalled) && self.output.waits_for_reader() {
            // Lines are refused, so there is only the reader to wait for.
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
        Step::Rest
    }

    /// Looks whether lines can be written.
    fn probe(&mut self, queue: &Queue) {
        self.next_probe = Instant::now() + PROBE_INTERVAL;
        let failure = self.write_gap(queue, Instant::now());
        if failure.is_none() {
            self.output.reserve();
        }
        self.report(queue, failure.or_else(|| self.output.foreseen_failure()));
    }

    /// The last chance for what is late.
    pub(super) fn write_late(&mut self, queue: &Queue, deadline: Instant) {
        self.write_gap(queue, deadline);
    }

    /// Writes what is left of a line that was cut, and what is late, and says how many lines are missing where some are.
    fn write_gap(&mut self, queue: &Queue, deadline: Instant) -> Option<Failure> {
        let late = queue.late().take();
        if late.lines() > 0 {
            let result = self.output.write(late.bytes(), deadline);
            self.told += late.lines();
            if result.failure.is_some() {
                self.told -= queue.late().give_back(late, result.taken);
                return result.failure;
            }
        }
        let lost = queue.failed().saturating_sub(self.told);
        let mut line = Vec::new();
        if lost > 0 {
            self.owner.write_gap(lost, &mut line);
        }
        let result = self.output.write(&line, deadline);
        // Once it is begun it will be whole.
        if result.taken > 0 {
            self.told += lost;
        }
        result.failure
    }

    /// Keeps space ahead. While there is none, it is asked for about once a second.
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
