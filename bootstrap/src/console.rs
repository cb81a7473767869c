//! What a person who watches sees: plain lines on standard error, beside the log on standard output.

use std::{fmt::Display, process::ExitCode};

use spike_daemon::console;

/// One step, done or about to be done.
pub(crate) fn progress(text: impl Display) {
    line(&format!("bootstrap: {text}"));
}

/// A line as it is, on standard error.
pub(crate) fn line(text: &str) {
    console::print_error(text);
}

/// Whether whoever reads these lines reads the log as well, in one place.
pub(crate) fn is_seen_with_the_log() -> bool {
    console::is_one_stream()
}

/// What the program was called for, on standard output, and whether it was written.
pub(crate) fn answer(text: &str) -> ExitCode {
    console::print_with_status(text)
}
