//! Waiting for a condition with a deadline.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::Instant;

/// The time limit for anything that normally takes a moment. Machines that run tests may be busy.
pub const PATIENCE: Duration = Duration::from_mins(1);

const ASK_INTERVAL: Duration = Duration::from_millis(20);

/// Asks repeatedly until there is an answer.
///
/// # Errors
/// After `limit`, with `what` was awaited; at once if asking fails.
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
