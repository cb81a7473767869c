//! Watches a secret: polls with jitter, and returns only new versions.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;
use spike_mtls::retry::{Backoff, unit_interval};
use tokio::time::{Instant, Sleep};

use crate::{Client, Error, Secret, retry::asked_for};

/// The shortest interval. A shorter one is taken for this.
const SHORTEST: Duration = Duration::from_millis(10);
/// The longest pause after errors, if the interval is not longer.
const LONGEST: Duration = Duration::from_mins(1);

/// Watches one secret; see [`Client::watch`]. It is also a [`Stream`] without end.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example(spike: spike_sdk::Client, mut stop: tokio::sync::oneshot::Receiver<()>) {
/// let mut watch = spike.watch("tenants/acme/db", Duration::from_secs(5));
/// loop {
///     tokio::select! {
///         changed = watch.next() => match changed {
///             Ok(secret) => println!("version {:?}", secret.version()),
///             // The next call waits before it asks again.
///             Err(error) => eprintln!("the last version stays in use: {error}"),
///         },
///         _ = &mut stop => return,
///     }
/// }
/// # }
/// ```
pub struct Watch {
    client: Client,
    path: String,
    every: Duration,
    /// The version that was returned last.
    seen: Option<i64>,
    after_errors: Backoff,
    step: Step,
}

/// What a watch is doing. It outlives the futures of [`Watch::next`], so that dropping one neither loses an answer nor
/// shortens a pause.
enum Step {
    Wait(Pin<Box<Sleep>>),
    Ask(Pin<Box<dyn Future<Output = Result<Found, Error>> + Send>>),
}

/// The outcome of one poll.
enum Found {
    New(Box<Secret>, i64),
    NothingNew,
    /// There is no live version.
    Gone,
}

impl Client {
    /// Watches a secret for new versions: asks about once in each interval `every`, which is at least 10 ms. See
    /// [`Watch::next`].
    ///
    /// Each poll is one request, and one line in the audit log of Nexus.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(spike: &spike_sdk::Client) {
    /// let watch = spike.watch("tenants/acme/db", std::time::Duration::from_secs(5));
    /// # }
    /// ```
    pub fn watch(&self, path: &str, every: Duration) -> Watch {
        Watch::new(self.clone(), path.to_owned(), every.max(SHORTEST))
    }
}

impl Watch {
    fn new(client: Client, path: String, every: Duration) -> Self {
        let step = Step::Ask(Box::pin(ask(client.clone(), path.clone(), None)));
        let after_errors = Backoff::new(every, every.max(LONGEST));
        Self { client, path, every, seen: None, after_errors, step }
    }

    /// The path of the secret.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(watch: &spike_sdk::Watch) {
    /// println!("{} is watched", watch.path());
    /// # }
    /// ```
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Waits for a version other than the one last returned. The first call returns the current one at once.
    ///
    /// Polls request only metadata. Their pauses vary by half of the interval, so that watchers do not poll at the same
    /// time. If there is no live version, it keeps waiting. After an error it can be called again: it waits then too, from
    /// the interval up to a minute, twice as long after each error in a row, and as long as a busy Nexus asks for.
    ///
    /// Cancel safety: it may be dropped at any time, such as by `tokio::select!`, and called again. A request that is
    /// under way goes on then, a pause is not begun anew, and no version is lost. A request that is under way while nobody
    /// calls this for longer than the deadline of the client may end with [`Error::Deadline`].
    ///
    /// # Errors
    /// Any [`Error`] except [`Error::NotFound`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(watch: &mut spike_sdk::Watch) -> Result<(), spike_sdk::Error> {
    /// let current = watch.next().await?;
    /// let next = watch.next().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Result<Secret, Error> {
        poll_fn(|context| self.poll(context)).await
    }

    /// Makes the next poll that succeeds return the current version, even if it was returned before. Call it after an error
    /// if you have to know when the secret can be read again. A pause that has begun is not shortened.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(watch: &mut spike_sdk::Watch) {
    /// if watch.next().await.is_err() {
    ///     watch.reset();
    ///     println!("readable again: {}", watch.next().await.is_ok());
    /// }
    /// # }
    /// ```
    pub fn reset(&mut self) {
        self.seen = None;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Secret, Error>> {
        loop {
            match &mut self.step {
                Step::Wait(pause) => {
                    ready!(pause.as_mut().poll(context));
                    let asking = ask(self.client.clone(), self.path.clone(), self.seen);
                    self.step = Step::Ask(Box::pin(asking));
                }
                Step::Ask(asking) => {
                    let found = ready!(asking.as_mut().poll(context));
                    self.wait(found.as_ref().err());
                    match found? {
                        Found::New(secret, version) => {
                            self.seen = Some(version);
                            return Poll::Ready(Ok(*secret));
                        }
                        Found::NothingNew => {}
                        // All versions are deleted, so the next live one is new whatever its number.
                        Found::Gone => self.seen = None,
                    }
                }
            }
        }
    }

    /// Begins the pause before the next poll.
    fn wait(&mut self, error: Option<&Error>) {
        let pause = if let Some(error) = error {
            self.after_errors.pause().max(asked_for(error))
        } else {
            self.after_errors.reset();
            self.every.mul_f64(0.5 + unit_interval())
        };
        let end = Instant::now().checked_add(pause);
        let end = end.unwrap_or_else(|| Instant::now() + Duration::from_hours(24 * 365));
        self.step = Step::Wait(Box::pin(tokio::time::sleep_until(end)));
    }
}

/// One poll.
async fn ask(client: Client, path: String, seen: Option<i64>) -> Result<Found, Error> {
    let version = match client.current_version(&path).await {
        Ok(version) if Some(version) == seen => return Ok(Found::NothingNew),
        Ok(version) => version,
        Err(Error::NotFound) => return Ok(Found::Gone),
        Err(error) => return Err(error),
    };
    match client.get_version(&path, version).await {
        Ok(secret) => Ok(Found::New(Box::new(secret), version)),
        // Deleted or pruned meanwhile: the next poll finds out.
        Err(Error::NotFound) => Ok(Found::NothingNew),
        Err(error) => Err(error),
    }
}

impl Stream for Watch {
    type Item = Result<Secret, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context).map(Some)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("path", &self.path)
            .field("every", &self.every)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
