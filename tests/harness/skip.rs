//! Tests that need something that a machine may lack.

use std::io::Write;

use anyhow::{Result, bail};
use spike_config::Environment;

/// Says that a test, or a part of it, does not run here.
///
/// # Errors
/// Under `CI=true`: the gate installs what its tests need, and a test that it promises must run.
pub fn skipped(why: &str) -> Result<()> {
    if Environment::of_process().get("CI").is_some_and(|value| value == "true") {
        bail!("under CI=true every test must run, and this one cannot: {why}");
    }
    // A line that nobody reads is nobody's loss.
    writeln!(std::io::stdout(), "skipped: {why}").ok();
    Ok(())
}
