//! The queue to the writer thread: writes, each with the caller that waits for its outcome.

use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use spike_daemon::threads::Place;
use spike_domain::UnixNanos;
use tokio::sync::{mpsc, oneshot};

use super::message::{Message, Pending, Write};
use super::open::Opened;
use super::shown::Shown;
use super::unit::{SqliteChange, done};
use super::writer::Writer;
use crate::store::condition::Condition;
use crate::store::engine::{Engine, Work};
use crate::store::error::StoreError;

/// The capacity of the queue; further callers wait for a place in it.
const QUEUE: usize = 1024;

/// How long the end of the writer is waited for by whoever drops the store without closing it.
const END_TIME: Duration = Duration::from_secs(10);

/// The sending side of the queue.
#[derive(Debug)]
pub(in crate::store) struct Queue {
    /// `None` once the store is dropped.
    sender: Option<mpsc::Sender<Message>>,
    timeout: Option<Duration>,
    condition: Arc<Condition>,
    /// `None` from the beginning of [`Self::close`] on.
    writer: Mutex<Option<WriterThread>>,
}

#[derive(Debug)]
struct WriterThread {
    thread: JoinHandle<()>,
    /// Nothing is sent: it ends with the thread.
    runs: std_mpsc::Receiver<()>,
}

impl Queue {
    /// Starts the writer.
    pub(in crate::store) fn start(
        opened: Opened,
        shown: Shown,
        timeout: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let directory = opened.directory.clone();
        let failed = |source| StoreError::Unusable { path: directory.clone(), source };
        let condition = Arc::clone(&shown.condition);
        let (writer, directory_lock) = Writer::new(opened, shown).map_err(&failed)?;
        let (running, runs) = std_mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                writer.run(receiver, directory_lock);
                drop(running);
            })
            .map_err(failed)?;
        let writer = Mutex::new(Some(WriterThread { thread, runs }));
        Ok(Self { sender: Some(sender), timeout, condition, writer })
    }

    /// Executes and commits `operation`. The future may be dropped: once it was polled, the write is done all the same.
    pub(in crate::store) async fn submit<T: Send + 'static>(
        &self,
        now: UnixNanos,
        operation: impl FnOnce(&mut SqliteChange<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let job = Box::new(Pending::new(operation, answer));
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.send(Message::Write(Write { job, now, deadline })).await?;
        // The writer answers every message, unless it panics.
        outcome.await.unwrap_or(Err(StoreError::WriterDied))
    }

    /// Executes everything that is in the queue, then closes the store. If the future is dropped, the writer is left behind.
    pub(in crate::store) async fn close(&self) -> Result<(), StoreError> {
        let writer = self.take_writer();
        let (answer, outcome) = oneshot::channel();
        self.send(Message::Close(answer)).await?;
        let result = outcome.await.unwrap_or(Err(StoreError::WriterDied));
        // It has ended but for its last steps, after which the lock of the directory is released.
        if let Some(writer) = writer {
            join(writer);
        }
        result
    }

    async fn send(&self, message: Message) -> Result<(), StoreError> {
        let sender = self.sender.as_ref().ok_or(StoreError::Closed)?;
        let Some(timeout) = self.timeout else {
            return sender.send(message).await.map_err(|_unsent| self.gone());
        };
        sender.send_timeout(message, timeout).await.map_err(|unsent| match unsent {
            mpsc::error::SendTimeoutError::Timeout(_) => StoreError::TimedOut,
            mpsc::error::SendTimeoutError::Closed(_) => self.gone(),
        })
    }

    /// Why no messages are accepted any more.
    fn gone(&self) -> StoreError {
        if self.condition.writer_died() { StoreError::WriterDied } else { StoreError::Closed }
    }

    /// The number of messages in the queue.
    pub(in crate::store) fn waiting(&self) -> usize {
        self.sender.as_ref().map_or(0, |sender| sender.max_capacity() - sender.capacity())
    }

    fn take_writer(&self) -> Option<WriterThread> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Waits until the thread has ended, and the lock of the directory is released; a thread that a disk holds is left behind.
fn join(WriterThread { thread, runs }: WriterThread) {
    if runs.recv_timeout(END_TIME) == Err(std_mpsc::RecvTimeoutError::Timeout) {
        tracing::error!(
            "the thread that writes the store is held up, most likely by its disk: it is left behind"
        );
    } else if thread.join().is_err() {
        tracing::error!("the writer of the store ended by a panic");
    }
}

impl Engine for Queue {
    async fn write<W: Work>(&self, now: UnixNanos, work: W) -> Result<W::Output, StoreError> {
        self.submit(now, move |change| done(work.run(change))).await
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        drop(self.sender.take());
        // A thread that serves has the connections of others, and the writer ends without it.
        if let Some(writer) = self.take_writer().filter(|_| !Place::here().is_serving()) {
            join(writer);
        }
    }
}
