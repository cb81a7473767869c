//! The handle to the queue of lines.

use std::{
    cell::Cell,
    fs::File,
    io,
    sync::{Arc, mpsc::sync_channel},
    thread::{Builder, JoinHandle},
    time::Instant,
};

use super::{
    Care, Failure, LineCounts, Owner,
    batch::PendingLine,
    output::Output,
    queue::Queue,
    sink::{self, Sink},
};
use crate::{chain::Head, settings::AuditSync};

/// The buffer of a thread is freed after a line that made it larger than this, in bytes.
const LONG_LINE: usize = 4096;

/// The stack of a thread of the sink, which calls little.
const STACK: usize = 256 * 1024;

thread_local! {
    /// The buffer in which a thread builds its lines. It never holds a secret.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A handle to the queue. Clones share it; queued lines are still written when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Queue>);

impl Lines {
    /// Starts the thread `name`, which writes to `file`.
    ///
    /// # Errors
    /// The operating system's, if it gives no thread.
    pub(crate) fn start(name: &str, file: File, care: Care, owner: impl Owner) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Arc<Queue>>(1);
        let thread = start_thread(name, move || {
            if let Ok(queue) = receiver.recv() {
                sink::run(&queue);
            }
        })?;
        let output = Output::new(file, care.reserves);
        let failure = Failure::encode(output.space_failure());
        let sink = Sink::new(output, care, Box::new(owner));
        let queue = Queue::new(sink, care, thread.thread().clone(), failure);
        sender
            .send(Arc::clone(&queue))
            .map_err(|_unsent| io::Error::other("the thread ended at once"))?;
        let lines = Self(Arc::new(Handle(Arc::clone(&queue))));
        if care.sync == AuditSync::Interval {
            let queue = Arc::downgrade(&queue);
            start_thread(&format!("{name}-flush"), move || sink::flush_regularly(&queue))?;
        }
        Ok(lines)
    }

    /// Queues the line that `make` appends, with its newline, to an empty buffer. The line is queued when this returns.
    /// `keeps` says whether it is a kept one.
    pub(crate) fn put_as(&self, keeps: bool, make: impl FnOnce(&mut Vec<u8>)) -> PendingLine {
        // Taken: the failure of a write may be told by another line.
        let mut line = LINE.take();
        line.clear();
        make(&mut line);
        let pending = self.0.0.put(&line, keeps);
        if line.capacity() <= LONG_LINE {
            LINE.set(line);
        }
        pending
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
        self.0.0.replace(file);
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
        self.0.0.head()
    }

    pub(crate) fn counts(&self) -> LineCounts {
        self.0.0.counts()
    }
}

fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).stack_size(STACK).spawn(run)
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
        self.0.flush();
    }
}
