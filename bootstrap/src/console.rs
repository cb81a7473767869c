//! What a person who watches sees: plain lines on standard error, beside the log on standard output.

use std::fmt::Display;

/// One step, done or about to be done.
pub(crate) fn progress(text: impl Display) {
    line(&format!("bootstrap: {text}"));
}

/// A line as it is, on standard error.
#[expect(clippy::print_stderr, reason = "this is the channel for whoever watches")]
pub(crate) fn line(text: &str) {
    eprintln!("{text}");
}

/// What the program was called for, on standard output.
#[expect(clippy::print_stdout, reason = "help and version are what the program was called for")]
pub(crate) fn answer(text: &str) {
    println!("{text}");
}
