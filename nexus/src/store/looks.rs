//! Looks at the files of a store, which their disk may hold up: off the threads that serve requests, one at a time, each waited
//! for within a limit. So a disk that hangs holds one thread, however often somebody wants to look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spike_mtls::clock;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

/// How long a look is waited for. It takes microseconds.
pub const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// How long an attempt to open the store is waited for. It takes milliseconds; longer where another process holds a lock, for which it
/// waits five seconds, and where upstream's database is imported.
const OPEN_LIMIT: Duration = Duration::from_secs(8);

/// Whoever looks at the files of one place.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    kind: Kind,
    one: Arc<tokio::sync::Mutex<()>>,
    /// When the look that is under way began.
    under_way: Arc<Mutex<Option<(Instant, OffsetDateTime)>>>,
}

/// What is done to the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Look,
    Open,
}

/// A look that did not return in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the data directory does not answer: {}", self.symptom())]
pub struct NoAnswer {
    kind: Kind,
    since: OffsetDateTime,
}

impl NoAnswer {
    /// What is seen of it, where the directory was named before.
    pub fn symptom(&self) -> String {
        let since = clock::second(self.since);
        match self.kind {
            Kind::Look => format!(
                "a look at its files has been under way since {since}. Most likely its disk hangs, as a network file system does that is \
                 away; look at that disk"
            ),
            Kind::Open => format!(
                "an attempt to open the store there has been under way since {since}, and goes on. If no large database of upstream is being \
                 imported, most likely its disk hangs, as a network file system does that is away; look at that disk"
            ),
        }
    }
}

impl Looks {
    /// For attempts to open the store, in place of looks.
    pub fn attempts_to_open() -> Self {
        Self { kind: Kind::Open, ..Self::default() }
    }

    /// Looks, and waits for that for [`LOOK_LIMIT`], or longer for an attempt to open the store; not at all if a look is known to take longer. The look goes on even if nobody
    /// waits for it.
    ///
    /// # Errors
    /// [`NoAnswer`]: this look, or an earlier one, does not return.
    pub async fn take<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let kind = self.kind;
        let limit = match kind {
            Kind::Look => LOOK_LIMIT,
            Kind::Open => OPEN_LIMIT,
        };
        let begun = self.under_way().filter(|(begun, _)| begun.elapsed() >= limit);
        if let Some((_, since)) = begun {
            return Err(NoAnswer { kind, since });
        }
        let asked = clock::now();
        let no_answer = || {
            let since = self.under_way().map_or(asked, |(_, since)| since);
            NoAnswer { kind, since }
        };
        let looked = timeout(limit, async {
            let one = Arc::clone(&self.one).lock_owned().await;
            let looks = self.clone();
            let look = move || {
                let _one = one;
                let _under_way = UnderWay::begin(looks);
                look()
            };
            tokio::task::spawn_blocking(look).await
        });
        match looked.await {
            Ok(Ok(looked)) => Ok(looked),
            // The runtime ends, or a bug.
            Ok(Err(_)) | Err(_) => Err(no_answer()),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, Option<(Instant, OffsetDateTime)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look, until it ends, also by a panic.
struct UnderWay(Looks);

impl UnderWay {
    fn begin(looks: Looks) -> Self {
        *looks.under_way() = Some((Instant::now(), clock::now()));
        Self(looks)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.under_way() = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::sync::mpsc;

    use super::*;

    /// Each look held another thread, of those that serve.
    #[tokio::test]
    async fn a_look_that_does_not_return_holds_one_thread_and_is_told() {
        let looks = Looks::default();
        let (release, held) = mpsc::channel::<()>();
        let begun = Arc::new(AtomicU32::new(0));
        let first = Arc::clone(&begun);
        let look = looks.take(move || {
            first.fetch_add(1, Relaxed);
            held.recv().ok();
        });
        let told = look.await.unwrap_err().to_string();
        assert!(told.starts_with("the data directory does not answer"), "{told}");
        for _ in 0..3 {
            let another = Arc::clone(&begun);
            let look = looks.take(move || another.fetch_add(1, Relaxed));
            assert_eq!(look.await.unwrap_err().to_string(), told);
        }
        assert_eq!(begun.load(Relaxed), 1);
        drop(release);
        while looks.under_way().is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(looks.take(|| 7).await, Ok(7));
    }
}
