//! Plain lines for a person, on standard error; the log goes to standard output.

use std::{fmt::Display, process::ExitCode};

use spike_daemon::{console, progress};

/// Reports one step that is done or begins.
pub(crate) fn progress(text: impl Display) {
    line(&format!("bootstrap: {text}"));
}

/// Prints a line on standard error, unchanged, in place of the line of a [`Progress`](spike_daemon::progress::Progress).
pub(crate) fn line(text: &str) {
    console::print_error(&format!("{}{text}", progress::over_it()));
}

/// Whether both streams end in the same place, so that a reader sees the log too.
pub(crate) fn is_mixed_with_the_log() -> bool {
    console::is_one_stream()
}

/// Prints the answer to `--help` or `--version` on standard output; the status says whether that worked.
pub(crate) fn answer(text: &str) -> ExitCode {
    console::print_with_status(text)
}
