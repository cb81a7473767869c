//! Trying again: what may be tried again, and until when.

use std::{future::Future, time::Duration};

use spike_mtls::{TransportError, client::CallError, retry::Backoff};
use tokio::time::Instant;

use crate::Error;

/// The first and the longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What a second try could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing, however often.
    Read,
    /// Add a version for each try that reached Nexus.
    Write,
}

/// Calls until it works, fails for good, or the deadline passes.
pub(crate) async fn until<T, F>(
    deadline: Instant,
    kind: Kind,
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
            Err(error) if !may_pass(&error, kind) => return Err(error.into()),
            Err(error) => Error::from(error),
        };
        let next = Instant::now() + backoff.pause();
        if next >= deadline {
            return Err(Error::Deadline(Box::new(error)));
        }
        tokio::time::sleep_until(next).await;
    }
}

/// Whether a second try makes sense, and is harmless.
fn may_pass(error: &CallError, kind: Kind) -> bool {
    match error {
        // Nexus has no key yet, or is ending: it has done nothing.
        CallError::Refused(refusal) if refusal.status.as_u16() == 503 => true,
        CallError::Refused(refusal) => kind == Kind::Read && refusal.status.is_server_error(),
        CallError::Transport(transport) => match transport {
            // The request was never sent.
            TransportError::Connect { .. } | TransportError::Handshake { .. } => true,
            TransportError::Timeout { .. }
            | TransportError::Broken(_)
            | TransportError::Unaccepted(_) => kind == Kind::Read,
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

    async fn tries(kind: Kind, error: fn() -> CallError) -> (u32, Result<(), Error>) {
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
    async fn a_sealed_nexus_is_waited_for_also_by_writes() {
        assert!(matches!(tries(Kind::Write, || refused(503)).await, (4, Ok(()))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_may_have_been_done_is_not_done_again() {
        let broken = || TransportError::Broken("reset".to_owned()).into();
        assert!(matches!(tries(Kind::Write, broken).await, (1, Err(Error::Call(_)))));
        assert!(matches!(tries(Kind::Read, broken).await, (4, Ok(()))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_is_final() {
        assert!(matches!(tries(Kind::Read, || refused(401)).await, (1, Err(Error::Denied { .. }))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_it_and_the_last_reason_is_kept() {
        let deadline = Instant::now() + Duration::from_secs(3);
        let result: Result<(), Error> =
            until(deadline, Kind::Read, || async { Err(refused(503)) }).await;
        let Err(Error::Deadline(cause)) = result else { panic!("{result:?}") };
        assert!(matches!(*cause, Error::Call(CallError::Refused(_))));
        assert!(Instant::now() <= deadline);
    }
}
