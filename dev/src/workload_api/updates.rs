//! The streams of the API: one answer at once, and another each time the answer changes or has aged.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use spiffe::SpiffeId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::attest::Caller;
use super::state::{Changes, State};

/// One caller's subscription.
pub(super) struct Updates<T> {
    state: Arc<State>,
    caller: Caller,
    closing: CancellationToken,
    changes: watch::Receiver<Changes>,
    registry: watch::Receiver<u64>,
    answer: fn(&State, &SpiffeId) -> Result<T, Status>,
    /// For SVIDs: the time until the next one. Bundles are the same for every caller and do not age.
    renewal: Option<Duration>,
    /// The basis of the last answer, and when the next is due.
    last: Option<(Basis, Option<Instant>)>,
}

/// Everything that an answer depends on.
#[derive(PartialEq, Eq)]
struct Basis {
    id: Option<SpiffeId>,
    changes: Changes,
}

impl<T: Send + 'static> Updates<T> {
    pub(super) fn new(
        state: &Arc<State>,
        caller: Caller,
        closing: &CancellationToken,
        renewal: Option<Duration>,
        answer: fn(&State, &SpiffeId) -> Result<T, Status>,
    ) -> Self {
        Self {
            state: Arc::clone(state),
            caller,
            closing: closing.clone(),
            changes: state.changes.subscribe(),
            registry: state.registry.changes(),
            answer,
            renewal,
            last: None,
        }
    }

    /// The answers. The first error is the last item.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
        unfold(Some(self), |updates| async {
            let mut updates = updates?;
            match updates.next().await {
                Ok(answer) => Some((Ok(answer), Some(updates))),
                Err(status) => Some((Err(status), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<T, Status> {
        loop {
            // Marked as seen before they are read, so that a change in the meantime wakes this task again.
            let changes = *self.changes.borrow_and_update();
            self.registry.mark_unchanged();
            let id = self.caller.identity(&self.state.registry)?;
            let basis = self.basis(&id, changes);
            let now = Instant::now();
            let due = match &self.last {
                Some((last, due)) if *last == basis && due.is_none_or(|due| now < due) => *due,
                _ => {
                    self.last = Some((basis, self.renewal.map(|after| now + after)));
                    return (self.answer)(&self.state, &id);
                }
            };
            tokio::select! {
                () = self.closing.cancelled() => {
                    return Err(Status::unavailable("the Workload API is going away"));
                }
                // These fail only after the state is dropped, and this task holds it.
                _ = self.changes.changed() => {}
                _ = self.registry.changed() => {}
                () = until(due) => {}
            }
        }
    }

    fn basis(&self, id: &SpiffeId, changes: Changes) -> Basis {
        match self.renewal {
            Some(_) => Basis { id: Some(id.clone()), changes },
            None => Basis { id: None, changes: Changes { rotations: 0, ..changes } },
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
