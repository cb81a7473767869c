//! Waiting for a condition with a deadline.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, anyhow};
use tokio::time::Instant;

/// The time limit for anything that normally takes a moment. Machines that run tests may be busy.
pub const PATIENCE: Duration = Duration::from_mins(1);

const ASK_INTERVAL: Duration = Duration::from_millis(20);

/// The complete lines of a file that a daemon may be writing: of a line across two pages a reader can see the first part.
///
/// # Errors
/// If the file cannot be read, or is not UTF-8.
pub fn complete_lines(file: &Path) -> Result<String> {
    let mut text = std::fs::read(file).with_context(|| file.display().to_string())?;
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    text.truncate(end);
    Ok(String::from_utf8(text)?)
}

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
