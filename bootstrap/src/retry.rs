//! How often and how long a call is tried.

use std::time::Duration;

use spike_mtls::retry::Backoff;

/// The limits of a series of attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    /// The most attempts; `None` is no limit.
    pub(crate) attempts: Option<u32>,
    /// The most time for all attempts together; `None` is no limit.
    pub(crate) limit: Option<Duration>,
    /// The first pause between two attempts, and the longest.
    pub(crate) pauses: (Duration, Duration),
}

/// No attempt succeeded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({attempts} attempts)")]
pub(crate) struct GaveUp {
    /// The number of attempts that began.
    pub(crate) attempts: u32,
    /// Why the last completed attempt failed.
    pub(crate) reason: String,
}

impl Retry {
    /// Calls `attempt` with its number, from 1, until it succeeds. A failed attempt returns the reason.
    ///
    /// # Errors
    /// [`GaveUp`] when attempts or time have run out. A running attempt is then cancelled.
    pub(crate) async fn keep_trying<T>(
        &self,
        mut attempt: impl AsyncFnMut(u32) -> Result<T, String>,
    ) -> Result<T, GaveUp> {
        let mut begun = 0;
        let mut reason = None;
        let mut backoff = Backoff::new(self.pauses.0, self.pauses.1);
        let trying = async {
            loop {
                begun += 1;
                match attempt(begun).await {
                    Ok(done) => return Some(done),
                    Err(why) => reason = Some(why),
                }
                if self.attempts.is_some_and(|most| begun >= most) {
                    return None;
                }
                tokio::time::sleep(backoff.pause()).await;
            }
        };
        let done = match self.limit {
            None => trying.await,
            Some(limit) => tokio::time::timeout(limit, trying).await.ok().flatten(),
        };
        done.ok_or_else(|| GaveUp {
            attempts: begun,
            reason: reason.unwrap_or_else(|| "no answer in time".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Retry =
        Retry { attempts: Some(3), limit: None, pauses: (Duration::ZERO, Duration::ZERO) };

    #[tokio::test]
    async fn the_first_success_ends_it() {
        let tried = QUICK.keep_trying(async |number| match number {
            2 => Ok(number),
            _ => Err("not yet".to_owned()),
        });
        assert_eq!(tried.await, Ok(2));
    }

    #[tokio::test]
    async fn it_gives_up_after_the_last_attempt_with_the_last_reason() {
        let tried = QUICK.keep_trying(async |number| Err::<(), _>(format!("reason {number}")));
        let gave_up = tried.await.unwrap_err();
        assert_eq!(gave_up, GaveUp { attempts: 3, reason: "reason 3".to_owned() });
    }

    #[tokio::test]
    async fn time_breaks_off_an_attempt_that_never_ends() {
        let retry = Retry { attempts: None, limit: Some(Duration::ZERO), ..QUICK };
        let tried = retry.keep_trying(async |_| std::future::pending::<Result<(), _>>().await);
        let gave_up = tried.await.unwrap_err();
        assert_eq!(gave_up, GaveUp { attempts: 1, reason: "no answer in time".to_owned() });
    }

    #[tokio::test]
    async fn time_ends_a_series_of_failures_with_the_reason_of_the_last() {
        let limit = Some(Duration::from_millis(20));
        let pauses = (Duration::from_millis(1), Duration::from_millis(1));
        let retry = Retry { attempts: None, limit, pauses };
        let tried = retry.keep_trying(async |_| Err::<(), _>("sealed".to_owned()));
        assert_eq!(tried.await.unwrap_err().reason, "sealed");
    }
}
