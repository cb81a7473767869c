//! The sink writes batches. Only one thread has it at a time.
//!
//! A thread of its own waits for slow outputs. If the output takes lines at once, a waiting future writes them together
//! with all others: waking the thread and being woken by it would cost several times as much as the write.

use std::{
    fmt,
    fs::File,
    io,
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use rustix::{fs::fdatasync, io::Errno};

use super::{
    Care, Failure, Owner,
    batch::{Batch, Spare},
    chained::Chained,
    output::{Output, Text, newlines},
    queue::{Deferred, Queue, WAIT_LIMIT, Work},
    result::BatchResult,
};
use crate::{chain::Chain, settings::AuditSync, threads::Place};

/// How often the sink checks whether lines can be written, and how long a line may wait if no future is polled for it.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How often lines are flushed to the disk, with [`AuditSync::Interval`].
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// The largest batch whose memory is reused, in bytes.
const KEPT_BATCH: usize = 1 << 20;

/// The state of the writer.
pub(super) struct Sink {
    output: Output,
    chained: Option<Chained>,
    care: Care,
    /// Whether lines were written that may not be on the disk.
    unsynced: bool,
    /// Why the last flush to the disk failed.
    sync_failure: Option<Failure>,
    owner: Box<dyn Owner>,
    /// How many of the failed lines a gap line has reported.
    reported: u64,
    next_probe: Instant,
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

/// Flushes to the disk once in an interval what was written, for as long as there is a queue. Others write meanwhile: the disk may
/// take long.
pub(super) fn flush_regularly(queue: &Weak<Queue>) {
    while let Some(queue) = queue.upgrade() {
        let file = queue.sink().take_unsynced();
        if let Some(file) = file {
            let result = file.map_or(Err(Errno::MFILE), |file| fdatasync(&file));
            queue.sink().note_sync(&queue, result);
        }
        drop(queue);
        thread::park_timeout(SYNC_INTERVAL);
    }
}

impl Sink {
    pub(super) fn new(output: Output, care: Care, owner: Box<dyn Owner>) -> Self {
        Self {
            output,
            chained: care.chain.map(Chained::new),
            care,
            unsynced: false,
            sync_failure: None,
            owner,
            reported: 0,
            next_probe: Instant::now(),
        }
    }

    /// Writes the open batch of this place if the output takes it at once. Returns whether it does.
    pub(super) fn write_at_once(&mut self, queue: &Queue, place: Place) -> bool {
        // A flush takes too long for a thread that serves.
        if self.care.sync == AuditSync::Each || queue.failure().is_some() {
            return false;
        }
        let mark = if self.chained.is_some() { Chain::LONGEST_MARK } else { 0 };
        let taken = queue.take_batch_if(place, |batch| {
            let marks = usize::try_from(batch.lines).unwrap_or(usize::MAX).saturating_mul(mark);
            self.output.takes_at_once(batch.bytes.len().saturating_add(marks))
        });
        match taken {
            Ok(Some(batch)) => self.commit(queue, batch),
            Ok(None) => {}
            Err(Deferred) => return false,
        }
        true
    }

    /// One step of the thread.
    fn step(&mut self, queue: &Queue) -> Step {
        let Work { file, batch, closed } = queue.next_work();
        let has_new_file = file.is_some();
        if let Some(file) = file {
            self.replace(queue, file);
        }
        if let Some(batch) = batch {
            self.commit(queue, batch);
        } else if closed {
            self.write_late(queue, Instant::now());
            self.sync(queue);
            return Step::End;
        } else if has_new_file {
            self.probe(queue);
        } else {
            return self.probe_when_due(queue);
        }
        Step::Next
    }

    /// Writes and completes a batch.
    fn commit(&mut self, queue: &Queue, mut batch: Batch) {
        let deadline = batch.opened.unwrap_or_else(Instant::now) + WAIT_LIMIT;
        let text = Text { bytes: &batch.bytes, lines: batch.lines };
        let mut result = match self.write_gap(queue, deadline) {
            Some(failure) => BatchResult::failed(failure),
            None => self.write(queue, text, &mut batch.marked, deadline),
        };
        if result.failure.is_none()
            && self.care.sync == AuditSync::Each
            && let Some(failure) = self.sync(queue)
        {
            // The disk may have none of them. The kept ones are written again.
            result = BatchResult::failed(failure);
        }
        let failed = if result.failure.is_none() {
            0
        } else {
            queue.keep_behind(&batch, result.taken);
            batch.lines - newlines(batch.bytes.get(..result.taken).unwrap_or_default())
        };
        // Before any future completes: a task that sees its line fail must also see the failure.
        self.report(queue, result.failure.or_else(|| self.lasting_failure()));
        let wakers = queue.complete(&batch.completion, (result, failed));
        let Batch { mut bytes, mut marked, .. } = batch;
        if bytes.capacity().max(marked.capacity()) <= KEPT_BATCH {
            bytes.clear();
            marked.clear();
            queue.give_back(batch.completion.place, Spare { bytes, marked, wakers });
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
        let mut failure = self.write_gap(queue, Instant::now());
        if failure.is_none() && self.care.sync == AuditSync::Each {
            failure = self.sync(queue);
        }
        if failure.is_none() {
            self.output.reserve();
        }
        let failure = failure.or(self.sync_failure);
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
            let text = Text { bytes: late.bytes(), lines: late.lines() };
            let result = self.write(queue, text, &mut Vec::new(), deadline);
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
        let text = Text { bytes: &line, lines: u64::from(!line.is_empty()) };
        let result = self.write(queue, text, &mut Vec::new(), deadline);
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
        self.report(queue, self.lasting_failure());
    }

    /// Continues in `file`.
    fn replace(&mut self, queue: &Queue, file: File) {
        self.sync(queue);
        self.output.replace(file, self.care.reserves);
        queue.set_written(self.output.lines());
    }

    /// Writes lines; with their marks, in the buffer `marked`, if they are chained.
    fn write(
        &mut self,
        queue: &Queue,
        text: Text<'_>,
        marked: &mut Vec<u8>,
        deadline: Instant,
    ) -> BatchResult {
        let result = match &mut self.chained {
            Some(chained) => {
                let result = chained.write(&mut self.output, text, marked, deadline);
                queue.set_head(chained.head());
                result
            }
            None => self.output.write(text, deadline),
        };
        queue.set_written(self.output.lines());
        self.unsynced |= result.taken > 0 && self.care.sync != AuditSync::Never;
        result
    }

    /// Flushes to the disk what may not be there, unless nobody wants that. Returns why it failed.
    fn sync(&mut self, queue: &Queue) -> Option<Failure> {
        if self.unsynced {
            let result = self.output.sync();
            self.unsynced = false;
            self.note_sync(queue, result);
        }
        self.sync_failure
    }

    #[cfg(test)]
    pub(super) const fn is_synced(&self) -> bool {
        !self.unsynced
    }

    /// The file to flush, if anything was written. It is no longer counted as unsynced.
    fn take_unsynced(&mut self) -> Option<io::Result<File>> {
        if !std::mem::take(&mut self.unsynced) {
            return None;
        }
        self.output.to_flush()
    }

    /// A failed flush is tried again.
    fn note_sync(&mut self, queue: &Queue, result: Result<(), Errno>) {
        self.sync_failure = result.err().map(Failure::Write);
        if self.sync_failure.is_some() {
            self.unsynced = true;
            self.report(queue, self.sync_failure);
        }
    }

    /// A failure that outlasts a write that succeeds.
    fn lasting_failure(&self) -> Option<Failure> {
        self.sync_failure.or_else(|| self.output.space_failure())
    }

    fn report(&self, queue: &Queue, failure: Option<Failure>) {
        if queue.set_failure(failure) {
            self.owner.failure_changed(failure);
        }
    }
}
