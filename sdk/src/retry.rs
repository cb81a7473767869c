//! Retries: which failures are retried, and until when.

use std::{future::Future, time::Duration};

use spike_mtls::{TransportError, client::CallError, retry::Backoff};
use tokio::time::Instant;

use crate::Error;

/// The first and the longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What a further try may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// Nothing.
    Read,
    /// It may add another version.
    Write,
}

/// Calls until success, a final failure, or the deadline.
pub(crate) async fn until<T, F>(
    deadline: Instant,
    kind: CallKind,
    mut call: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, CallError>>,
{
    let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
    loop {
        let Ok(called) = tokio::time::timeout_at(deadline, call()).await else {
            let source = TransportError::Timeout {
                what: "the deadline of the client",
                limit: Duration::ZERO,
            };
            return Err(Error::Deadline(Box::new(Error::Call(source.into()))));
        };
        let error = match called {
            Ok(done) => return Ok(done),
            Err(error) if !is_retryable(&error, kind) => return Err(error.into()),
            Err(error) => Error::from(error),
        };
        let next = Instant::now() + backoff.pause();
        if next >= deadline {
            return Err(Error::Deadline(Box::new(error)));
        }
        tokio::time::sleep_until(next).await;
    }
}

/// Whether a further try is useful and harmless.
fn is_retryable(error: &CallError, kind: CallKind) -> bool {
    match error {
        // Nexus has no key yet, or is ending. It has done nothing.
        CallError::Refused(refusal) if refusal.status.as_u16() == 503 => true,
        CallError::Refused(refusal) => kind == CallKind::Read && refusal.status.is_server_error(),
        CallError::Transport(transport) => match transport {
            // The request was never sent.
            TransportError::Connect { .. } | TransportError::Handshake { .. } => true,
            TransportError::Timeout { .. }
            | TransportError::Broken(_)
            | TransportError::Unaccepted(_) => kind == CallKind::Read,
            TransportError::Address(_) | TransportError::TooLarge { .. } => false,
        },
        CallError::Reply(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use spike_mtls::client::Refusal;

    use super::*;

    fn refused(status: u16) -> CallError {
        CallError::Refused(Refusal {
            status: status.try_into().unwrap(),
            code: None,
            reason: None,
            request_id: None,
        })
    }

    async fn tries(kind: CallKind, error: fn() -> CallError) -> (u32, Result<(), Error>) {
        let count = Arc::new(AtomicU32::new(0));
        let result =
            until(Instant::now() + Duration::from_secs(30), kind, || {
                let count = Arc::clone(&count);
                async move {
                    if count.fetch_add(1, Ordering::Relaxed) < 3 { Err(error()) } else { Ok(()) }
                }
            })
            .await;
        (count.load(Ordering::Relaxed), result)
    }

    #[tokio::test(start_paused = true)]
    async fn writes_too_wait_for_a_sealed_nexus() {
        assert!(matches!(tries(CallKind::Write, || refused(503)).await, (4, Ok(()))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_may_have_been_done_is_not_done_again() {
        let broken = || TransportError::Broken("reset".to_owned()).into();
        assert!(matches!(tries(CallKind::Write, broken).await, (1, Err(Error::Call(_)))));
        assert!(matches!(tries(CallKind::Read, broken).await, (4, Ok(()))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_is_final() {
        assert!(matches!(
            tries(CallKind::Read, || refused(401)).await,
            (1, Err(Error::Denied { .. }))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_it_and_the_last_reason_is_kept() {
        let deadline = Instant::now() + Duration::from_secs(3);
        let result: Result<(), Error> =
            until(deadline, CallKind::Read, || async { Err(refused(503)) }).await;
        let Err(Error::Deadline(cause)) = result else { panic!("{result:?}") };
        assert!(matches!(*cause, Error::Call(CallError::Refused(_))));
        assert!(Instant::now() <= deadline);
    }
}
