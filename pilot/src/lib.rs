//! SPIKE Pilot: the `spike` command.
//!
//! A run has three steps. First `cli` reads the arguments. Then a function of `command` does the work; its `Context` holds the
//! streams and finds Nexus. Last, this file turns a failure into a message (`error`), next steps (`hint`) and an [`Exit`]
//! status.
//!
//! Data goes to standard output, after all of it has arrived. Everything else goes to standard error. Connections come from
//! `spike-mtls`, settings from `spike-daemon`.

use std::ffi::OsString;

use clap::error::ErrorKind;
use rustix::process::{Resource, Rlimit, setrlimit};
use spike_config::Environment;

mod about;
mod cli;
mod command;
mod context;
mod destination;
mod error;
mod exit;
mod hint;
mod manual;
mod next_step;
mod output;
mod recovery_file;
#[cfg(test)]
mod testing;

pub use context::Streams;
pub use exit::Exit;

use context::Context;
use error::Error;

/// Runs one command: `arguments` with the program's own name in front, as the operating system passes them.
///
/// Values and shares pass through the memory of this process: it is not dumped, not swapped as far as the limits of this user
/// allow, and hidden from other processes of this user once the agent has given it an SVID.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    streams: Streams,
) -> Exit {
    // A container may forbid this. Then the command runs without it.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
    spike_daemon::process::lock_memory().ok();
    execute(arguments, Context::new(environment, streams))
}

/// Reads the policies of a file as `policy apply` does, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub fn policy_document(bytes: &[u8]) -> Option<Vec<spike_wire::PolicyPutRequest>> {
    command::policy_document(bytes)
}

/// The environment of each container in a manifest, as `doctor --config` reads it, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub fn manifest_settings(bytes: &[u8]) -> Option<Vec<std::collections::BTreeMap<String, String>>> {
    command::manifest_settings(bytes)
}

/// Whether `audit verify` finds nothing wrong with these lines, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub fn audit_lines_verify(bytes: &[u8]) -> bool {
    command::audit_lines_verify(bytes)
}

fn execute(arguments: impl IntoIterator<Item = OsString>, mut context: Context<'_>) -> Exit {
    let command = match cli::parse(arguments) {
        Ok(command) => command,
        Err(refused) => return answer(&refused, &mut context.streams),
    };
    let is_about_the_program = command.is_about_the_program();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(command::run(command, &mut context));
            // A name service that does not answer would hold the program after a command has given up.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(Error::Runtime(error)),
    };
    match done.and_then(|exit| context.streams.flush().map(|()| exit)) {
        Ok(exit) => exit,
        // A reader who closes the pipe has read enough of a help text, but has lost data of other commands.
        Err(error) if is_about_the_program && error.is_broken_pipe() => Exit::Success,
        Err(error) => report(&error, &mut context.streams),
    }
}

/// Prints help or the version, or says what is wrong with the arguments.
fn answer(refused: &clap::Error, streams: &mut Streams) -> Exit {
    let text = refused.render().to_string();
    let asked_for = matches!(
        refused.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if asked_for {
        return match streams.print(&text).and_then(|()| streams.flush()) {
            Ok(()) => Exit::Success,
            Err(error) if error.is_broken_pipe() => Exit::Success,
            Err(error) => report(&error, streams),
        };
    }
    streams.message("Error:", text.strip_prefix("error: ").unwrap_or(&text).trim_end());
    Exit::Usage
}

fn report(error: &Error, streams: &mut Streams) -> Exit {
    // The reader has read enough, as in `spike secret list | head -1`.
    if !error.is_broken_pipe() {
        streams.message("Error:", &error.to_string());
        for hint in hint::hints(error) {
            streams.message("hint:", &hint);
        }
        if let Some(words) = error.upstreams_words().filter(|_| !streams.stderr_is_terminal()) {
            streams.notice(&format!("note: upstream says of this: {words}\n"));
        }
    }
    error.exit()
}

#[cfg(test)]
mod tests;
