//! The one thread that writes, its queue, and group commit.
//!
//! Everything that waits is executed in one transaction with one commit, each operation inside its
//! own savepoint, and answered only after the commit has returned: one sync of the disk serves many
//! writers, and an answered write is on the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::cache::ValueCache;
use super::identity::Identity;
use super::keyring::Ring;
use super::open::Opened;
use super::readers::{Readers, Slot, lock};
use crate::secret::UnixNanos;

/// Writes that may wait; a caller beyond that waits for a place.
const QUEUE: usize = 1024;

/// Writes in one transaction, so that its first caller is not kept waiting without bound.
const BATCH: usize = 256;

/// What an operation works with: the transaction, and the state that is undone with it.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) connection: &'a Connection,
    pub(super) ring: &'a mut Ring,
    pub(super) identity: &'a mut Identity,
    /// The paths whose versions change, so that readers learn of it.
    pub(super) touched: &'a mut Vec<String>,
}

/// What readers go by besides the database: kept in step with every commit.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) policy_epoch: Arc<AtomicU64>,
    pub(super) cache: Arc<ValueCache>,
}

/// The way to the writer.
#[derive(Debug)]
pub(super) struct Queue {
    /// `None` once the store is dropped.
    sender: Option<mpsc::Sender<Message>>,
    timeout: Option<Duration>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Write(Write),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

struct Write {
    job: Box<dyn Job>,
    now: UnixNanos,
    /// When the caller's patience ends.
    deadline: Option<Instant>,
}

impl Queue {
    /// Starts the writer.
    pub(super) fn start(
        opened: Opened,
        shown: Shown,
        timeout: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let directory = opened.directory.clone();
        let writer = Writer {
            slot: opened.writer,
            readers: opened.readers,
            committed: opened.identity,
            identity: opened.identity,
            ring: opened.ring,
            shown,
        };
        let lock_file = opened.lock_file;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                writer.run(receiver, lock_file);
            })
            .map_err(|source| StoreError::Unusable { path: directory, source })?;
        Ok(Self { sender: Some(sender), timeout, thread: Mutex::new(Some(thread)) })
    }

    /// Has `operation` executed and committed. The future may be dropped: once it was polled, the
    /// write is done all the same.
    pub(super) async fn submit<T: Send + 'static>(
        &self,
        now: UnixNanos,
        operation: impl FnOnce(&mut Change<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let job = Box::new(Pending { operation: Some(operation), outcome: None, answer });
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.send(Message::Write(Write { job, now, deadline })).await?;
        outcome.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Has everything before it executed, then closes the store.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (answer, outcome) = oneshot::channel();
        self.send(Message::Close(answer)).await?;
        let result = outcome.await.unwrap_or(Err(StoreError::Closed));
        self.join();
        result
    }

    async fn send(&self, message: Message) -> Result<(), StoreError> {
        let sender = self.sender.as_ref().ok_or(StoreError::Closed)?;
        let Some(timeout) = self.timeout else {
            return sender.send(message).await.map_err(|_unsent| StoreError::Closed);
        };
        sender.send_timeout(message, timeout).await.map_err(|unsent| match unsent {
            mpsc::error::SendTimeoutError::Timeout(_) => StoreError::TimedOut,
            mpsc::error::SendTimeoutError::Closed(_) => StoreError::Closed,
        })
    }

    /// How many messages wait for the writer.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.sender.as_ref().map_or(0, |sender| sender.max_capacity() - sender.capacity())
    }

    /// Waits until the thread is gone, and with it the lock on the directory.
    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_panic)) = thread.map(JoinHandle::join) {
            tracing::error!("the writer of the store ended by a panic");
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        drop(self.sender.take());
        self.join();
    }
}

/// A write that waits for its turn, whatever it answers.
trait Job: Send {
    /// Executes it; `false` means that what it did must be undone.
    fn run(&mut self, change: &mut Change<'_>) -> bool;
    /// Tells the caller, given how the commit went.
    fn answer(self: Box<Self>, committed: Result<(), Arc<StoreError>>);
    /// Tells the caller that it was not executed.
    fn refuse(self: Box<Self>, error: StoreError);
}

struct Pending<T, F> {
    operation: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Pending<T, F>
where
    T: Send,
    F: FnOnce(&mut Change<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, change: &mut Change<'_>) -> bool {
        let operation = self.operation.take();
        // A bug in one operation must not end the writer: its savepoint is rolled back.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            operation.map_or(Err(StoreError::Bug), |operation| operation(change))
        }));
        let outcome = self.outcome.insert(outcome.unwrap_or(Err(StoreError::Bug)));
        outcome.is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), Arc<StoreError>>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(error)) => Err(StoreError::NotCommitted(error)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Bug),
        };
        // A caller that is gone is no longer interested.
        drop(self.answer.send(outcome));
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.answer.send(Err(error)));
    }
}

struct Writer {
    slot: Slot,
    readers: Arc<Readers>,
    ring: Ring,
    identity: Identity,
    /// As of the last commit.
    committed: Identity,
    shown: Shown,
}

impl Writer {
    /// Works until the store is closed or dropped; `lock_file` is given back at the very end.
    fn run(mut self, mut receiver: mpsc::Receiver<Message>, lock_file: Option<std::fs::File>) {
        let mut closing = None;
        while closing.is_none()
            && let Some(first) = receiver.blocking_recv()
        {
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Write(write) if write.is_overdue() => {
                        write.job.refuse(StoreError::TimedOut);
                    }
                    Message::Write(write) => batch.push(write),
                    Message::Close(answer) => {
                        closing = Some(answer);
                        break;
                    }
                }
                next = if batch.len() < BATCH { receiver.try_recv().ok() } else { None };
            }
            self.commit(batch);
        }
        // Whoever is queued behind the end learns that the store is closed.
        drop(receiver);
        let result = self.close();
        drop(lock_file);
        match closing {
            Some(answer) => drop(answer.send(result)),
            None => {
                if let Err(error) = result {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the store did not close cleanly"
                    );
                }
            }
        }
    }

    /// Executes a batch in one transaction and answers it.
    fn commit(&mut self, mut batch: Vec<Write>) {
        if batch.is_empty() {
            return;
        }
        let committed = self.execute(&mut batch).map_err(Arc::new);
        if committed.is_ok() {
            self.ring.committed();
            self.committed = self.identity;
            // Before any answer: who has seen a policy change must not be served from before it.
            self.shown.policy_epoch.store(self.identity.policy_epoch, Ordering::Release);
        } else {
            self.ring.rolled_back();
            self.identity = self.committed;
        }
        for write in batch {
            write.job.answer(committed.clone());
        }
    }

    fn execute(&mut self, batch: &mut [Write]) -> Result<(), StoreError> {
        let Self { slot, ring, identity, committed, shown, .. } = self;
        let mut touched = Vec::new();
        let mut guard = lock(slot);
        let connection = guard.as_mut().ok_or(StoreError::Closed)?;
        let mut transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(first) = batch.first() {
            ring.replace_if_worn(&transaction, first.now)?;
            identity.active_key = ring.active();
        }
        for write in batch {
            let before = *identity;
            let mut savepoint = transaction.savepoint()?;
            let touched = &mut touched;
            let keep =
                write.job.run(&mut Change { connection: &savepoint, ring, identity, touched });
            // After some failures, such as a full disk, SQLite rolls everything back by itself. Then
            // there is no savepoint either, and what follows fails for the whole batch.
            if !keep {
                savepoint.rollback()?;
                *identity = before;
            }
            savepoint.commit()?;
        }
        if identity != committed {
            identity.write(&transaction, ring)?;
        }
        ring.record(&transaction)?;
        let changing = shown.cache.changing(&touched);
        transaction.commit()?;
        drop(changing);
        Ok(())
    }

    /// Closes the readers, then moves the log into the file, then closes the file.
    fn close(self) -> Result<(), StoreError> {
        let connection = lock(&self.slot).take();
        self.readers.close();
        self.shown.cache.close();
        let Some(connection) = connection else { return Ok(()) };
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
        connection.close().map_err(|(_connection, error)| error.into())
    }
}

impl Write {
    fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }
}
