//! SPIKE Pilot: the `spike` command.
//!
//! A run goes through three steps: `cli` reads the arguments, before anything else is looked at; a function of `command`
//! does the work, with the `Context` that holds the streams and finds Nexus; and what went wrong is turned into a message
//! (`error`), next steps (`hint`) and an [`Exit`] status here, in one place.
//!
//! Data goes to standard output, and only once all of it is there; everything else goes to standard error. The wire, the
//! connection and the settings are those of `spike-mtls` and `spike-daemon`.

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
/// Forbids core dumps of this process, since values and shares pass through its memory.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    streams: Streams,
) -> Exit {
    // Best effort: a container may forbid it, and a command that does not run protects nothing.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
    execute(arguments, Context::new(environment, streams))
}

/// The policies of a file for `policy apply`, if it is one: for the fuzz target that puts any bytes to it.
#[cfg(feature = "fuzzing")]
pub fn policy_document(bytes: &[u8]) -> Option<Vec<spike_wire::PolicyPutRequest>> {
    command::policy_document(bytes)
}

fn execute(arguments: impl IntoIterator<Item = OsString>, mut context: Context<'_>) -> Exit {
    let command = match cli::parse(arguments) {
        Ok(command) => command,
        Err(refused) => return answer(&refused, &mut context.streams),
    };
    let says_what_it_is = command.says_what_it_is();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(command::run(command, &mut context)),
        Err(error) => Err(Error::Runtime(error)),
    };
    match done.and_then(|exit| context.streams.flush().map(|()| exit)) {
        Ok(exit) => exit,
        // The reader of such a text has read enough; whoever closes a pipe of data has not got all of it.
        Err(error) if says_what_it_is && error.is_broken_pipe() => Exit::Success,
        Err(error) => report(&error, &mut context.streams),
    }
}

/// Help and version, which were asked for, and arguments that make no sense.
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
    streams.complain("Error:", text.strip_prefix("error: ").unwrap_or(&text).trim_end());
    Exit::Usage
}

fn report(error: &Error, streams: &mut Streams) -> Exit {
    // Whoever reads our output has read enough, as in `spike secret list | head -1`.
    if !error.is_broken_pipe() {
        streams.complain("Error:", &error.to_string());
        for hint in hint::hints(error) {
            streams.complain("hint:", &hint);
        }
        if let Some(words) = error.upstreams_words().filter(|_| !streams.stderr_is_terminal()) {
            streams.notice(&format!("note: upstream says of this: {words}\n"));
        }
    }
    error.exit()
}

#[cfg(test)]
mod tests;
