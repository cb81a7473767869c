//! Retries: which failures are tried again, how often, and until when.

use std::{future::Future, time::Duration};

use spike_mtls::retry::Backoff;
use tokio::time::Instant;

use crate::Error;

/// When a call that failed is tried again.
///
/// A read is tried again after any failure that may be temporary, a write only if the first try certainly had no effect.
/// Between two tries there is a pause that grows from the first to the longest one, with jitter: each is half to one and
/// a half times its base. If Nexus asks for a longer pause, that is kept. The deadline of the client ends all tries.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use spike_sdk::Retry;
///
/// let patient = Retry::default().with_pauses(Duration::from_millis(50), Duration::from_secs(1));
/// let three = Retry::default().with_max_tries(3);
/// assert_eq!(three.max_tries(), Some(3));
/// assert_eq!(Retry::none().max_tries(), Some(1));
/// assert_eq!(patient.max_tries(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    max_tries: Option<u32>,
    first: Duration,
    longest: Duration,
}

impl Default for Retry {
    /// Until the deadline, with pauses of 100 ms to 5 s.
    fn default() -> Self {
        Self { max_tries: None, first: Duration::from_millis(100), longest: Duration::from_secs(5) }
    }
}

impl Retry {
    /// No retries: each call is tried once.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> Result<(), spike_sdk::Error> {
    /// use spike_sdk::{Client, Retry};
    ///
    /// let spike = Client::builder().retry(Retry::none()).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn none() -> Self {
        Self::default().with_max_tries(1)
    }

    /// At most so many tries, the first included; 0 means until the deadline.
    ///
    /// # Examples
    /// ```
    /// use spike_sdk::Retry;
    ///
    /// assert_eq!(Retry::none().with_max_tries(0), Retry::default());
    /// ```
    #[must_use]
    pub fn with_max_tries(mut self, tries: u32) -> Self {
        self.max_tries = (tries > 0).then_some(tries);
        self
    }

    /// Other pauses. The first is never longer than the longest.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let retry = spike_sdk::Retry::default().with_pauses(Duration::from_secs(1), Duration::from_secs(30));
    /// ```
    #[must_use]
    pub fn with_pauses(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first.min(longest), longest);
        self
    }

    /// The most tries; `None` means until the deadline.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(spike_sdk::Retry::default().max_tries(), None);
    /// ```
    pub const fn max_tries(&self) -> Option<u32> {
        self.max_tries
    }

    fn allows(&self, tries: u32) -> bool {
        self.max_tries.is_none_or(|most| tries < most)
    }
}

/// What a further try may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// Nothing.
    Read,
    /// It may be done twice.
    Write,
}

/// How long a call may take, with all its tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    limit: Duration,
    end: Instant,
}

impl Deadline {
    /// A call that begins now.
    pub(crate) fn from_now(limit: Duration) -> Self {
        let now = Instant::now();
        // The end of a limit that is out of range is far enough.
        let end = now.checked_add(limit).unwrap_or_else(|| now + Duration::from_hours(24 * 365));
        Self { limit, end }
    }
}

/// Calls until success, a final failure, the last try, or the deadline.
pub(crate) async fn until<T, F>(
    retry: &Retry,
    deadline: Deadline,
    kind: CallKind,
    mut call: impl FnMut(u32) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let Deadline { limit, end } = deadline;
    let mut backoff = Backoff::new(retry.first, retry.longest);
    let mut last = None;
    let mut tries = 0;
    loop {
        tries += 1;
        let Ok(called) = tokio::time::timeout_at(end, call(tries)).await else {
            return Err(Error::Deadline { limit, tries, was_under_way: true, last });
        };
        let error = match called {
            Ok(done) => return Ok(done),
            Err(error) if !is_retryable(&error, kind) || !retry.allows(tries) => return Err(error),
            Err(error) => error,
        };
        let pause = backoff.pause().max(asked_for(&error));
        let next = Instant::now().checked_add(pause).filter(|next| *next < end);
        tracing::debug!(reason = %error, tries, ?pause, gives_up = next.is_none(), "a call failed for now");
        last = Some(Box::new(error));
        match next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => return Err(Error::Deadline { limit, tries, was_under_way: false, last }),
        }
    }
}

/// The pause that Nexus asks for.
pub(crate) fn asked_for(error: &Error) -> Duration {
    match error {
        Error::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
        Error::Deadline { last: Some(last), .. } => asked_for(last),
        _ => Duration::ZERO,
    }
}

/// Whether a further try is useful and harmless.
fn is_retryable(error: &Error, kind: CallKind) -> bool {
    match error {
        // Nexus has done nothing, or has never got the request.
        Error::Sealed { .. } | Error::Busy { .. } | Error::Unreachable { .. } => true,
        Error::Unanswered { .. } | Error::Server { .. } => kind == CallKind::Read,
        Error::Configuration(_)
        | Error::Identity(_)
        | Error::Tls(_)
        | Error::Denied { .. }
        | Error::NotFound
        | Error::AlreadyExists
        | Error::Invalid { .. }
        | Error::TooLarge { .. }
        | Error::WrongServer { .. }
        | Error::IdentityRefused { .. }
        | Error::BadAnswer { .. }
        | Error::Deadline { .. } => false,
    }
}

#[cfg(test)]
mod tests;
