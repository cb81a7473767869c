//! The process around the service: settings, logs, signals.

use std::{io::Write, process::ExitCode, time::Duration};

use spike_sdk::{Client, Retry};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Event, Rules, Tally, run};

/// Runs the service with these arguments: the path of the secret, and how many milliseconds a password is kept that
/// cannot be read again. Events are lines on standard output, the log is on standard error.
pub async fn program(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let path = arguments.next().unwrap_or_else(|| "tenants/acme/db".to_owned());
    let keep = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3_600_000);
    let rules = Rules {
        path,
        every: Duration::from_millis(100),
        work: Duration::from_millis(10),
        keep: Duration::from_millis(keep),
    };
    // The watch has its own pauses, so one call need not wait long for Nexus.
    let retry = Retry::default().with_max_tries(3);
    let client = Client::builder().retry(retry).deadline(Duration::from_secs(5)).connect().await;
    let ended = match client {
        Ok(spike) => serve(&spike, &rules).await,
        Err(error) => Err(error.to_string()),
    };
    match ended {
        Ok(Tally { served, refused }) => {
            say(&format!("ended: served {served}, refused {refused}"));
            ExitCode::SUCCESS
        }
        Err(reason) => {
            tracing::error!(reason, "the service cannot run");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM.
async fn serve(spike: &Client, rules: &Rules) -> Result<Tally, String> {
    let mut term = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let stop = async {
        term.recv().await;
    };
    Ok(run(spike, rules, |event: &Event| say(&event.to_string()), stop).await)
}

/// A line on standard output, at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Who does not read any longer does not miss it.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody reads standard output");
    }
}
