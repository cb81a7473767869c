//! The messages to the writer thread: writes, each with the caller that waits for the outcome.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use spike_domain::UnixNanos;
use tokio::sync::oneshot;

use super::unit::SqliteChange;
use crate::store::error::StoreError;

/// A message to the writer.
pub(in crate::store) enum Message {
    Write(Write),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// A write in the queue.
pub(in crate::store) struct Write {
    pub(in crate::store) job: Box<dyn Job>,
    pub(in crate::store) now: UnixNanos,
    /// When the caller stops waiting.
    pub(super) deadline: Option<Instant>,
}

/// A write in the queue, with any type of result.
pub(in crate::store) trait Job: Send {
    /// Executes it. `false`: its changes must be rolled back.
    fn run(&mut self, change: &mut SqliteChange<'_>) -> bool;
    /// Its failure, if that is about the whole store and not about this write.
    fn trouble(&self) -> Option<&StoreError>;
    /// Answers the caller with the outcome of the commit.
    fn answer(self: Box<Self>, committed: Result<(), Arc<StoreError>>);
    /// Answers the caller that the write was not executed.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// A write with the caller that waits for its outcome.
pub(super) struct Pending<T, F> {
    operation: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Pending<T, F> {
    pub(super) const fn new(operation: F, answer: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { operation: Some(operation), outcome: None, answer }
    }
}

impl<T, F> Job for Pending<T, F>
where
    T: Send,
    F: FnOnce(&mut SqliteChange<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, change: &mut SqliteChange<'_>) -> bool {
        let operation = self.operation.take();
        // A bug in one operation must not end the writer. Its savepoint is rolled back.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            operation.map_or(Err(StoreError::Bug), |operation| operation(change))
        }));
        let outcome = self.outcome.insert(outcome.unwrap_or(Err(StoreError::Bug)));
        outcome.is_ok()
    }

    fn trouble(&self) -> Option<&StoreError> {
        self.outcome.as_ref()?.as_ref().err().filter(|error| error.is_of_the_disk())
    }

    fn answer(self: Box<Self>, committed: Result<(), Arc<StoreError>>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(error)) => Err(StoreError::for_caller(error)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Bug),
        };
        // A caller that has left needs no answer.
        drop(self.answer.send(outcome));
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.answer.send(Err(error)));
    }
}

impl Write {
    pub(in crate::store) fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }
}
