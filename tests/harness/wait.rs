//! Waiting for a condition with a deadline.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::Instant;

/// How long anything may take that normally takes a moment: machines that run tests may be busy.
pub const PATIENCE: Duration = Duration::from_mins(1);

const ASK_INTERVAL: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer.
///
/// # Errors
/// At the end of `limit`, with `what` was waited for; at once where asking itself fails.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            return Err(anyhow!("{what}: not within {limit:?}"));
        }
        tokio::time::sleep(ASK_INTERVAL).await;
    }
}
