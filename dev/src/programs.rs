//! One binary for every program: `spike-dev` runs as the program by whose name it is called.

use std::{ffi::OsStr, path::Path, process::ExitCode};

use rustix::process::{Signal, set_parent_process_death_signal};
use spike_config::Environment;
use spike_pilot::Streams;

use crate::links::CHILD;

/// Runs the program by whose name this process was called.
pub fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let arguments =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let environment = Environment::of_process();
    if environment.get(CHILD).is_some() {
        end_with_parent();
    }
    match Path::new(&called).file_name().and_then(OsStr::to_str) {
        Some("nexus") => spike_nexus::run(arguments, &environment),
        Some("keeper") => spike_keeper::run(arguments, &environment),
        Some("bootstrap") => spike_bootstrap::run(arguments, &environment),
        Some("spike") => {
            spike_pilot::run(std::env::args_os(), &environment, Streams::of_process()).into()
        }
        _ => crate::cli::main(&environment),
    }
}

/// Ends this daemon with its `spike-dev`. Otherwise it would keep ports that the next `spike-dev` needs.
fn end_with_parent() {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        tracing::warn!(reason = %error, "this daemon may outlive spike-dev");
    }
}
