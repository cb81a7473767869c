//! What the commands do. Each checks all that can be checked without Nexus first, then calls, then prints.

mod cipher;
mod generate;
mod operator;
mod policy;
mod secret;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use spike_daemon::VERSION;
use zeroize::Zeroizing;

use crate::cli::Command;
use crate::context::{Context, read_bounded};
use crate::error::Error;
use crate::exit::Exit;

#[cfg(feature = "fuzzing")]
pub(crate) use policy::policy_document;

/// Runs a command. Nothing has been printed on standard output when it fails. What it answers may be a status other than
/// success: `policy can-i` has a status for "no".
pub(crate) async fn run(command: Command, context: &mut Context<'_>) -> Result<Exit, Error> {
    let mut done = dispatch(command, context).await;
    if let Err(error) = &mut done {
        context.explain(error).await;
    }
    done
}

async fn dispatch(command: Command, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        Command::Secret(command) => secret::run(command, context).await,
        Command::Policy(command) => return policy::run(command, context).await,
        Command::Cipher(command) => cipher::run(command, context).await,
        Command::Operator(command) => operator::run(command, context).await,
        Command::Completion { shell } => generate::completion(shell, context),
        Command::Man { dir } => generate::man(dir.as_deref(), context).await,
        Command::Version => context.streams.print(&format!("spike {VERSION}\n")),
    }
    .map(|()| Exit::Success)
}

/// The content of a file, in a buffer that is wiped.
fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let read = || -> io::Result<_> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // One more than expected, so that the end is found without growing the buffer.
        read_bounded(file.by_ref(), metadata.len() + 1)
    };
    read().map_err(|error| Error::Input { what: path.display().to_string(), error })
}

/// All of standard input.
fn read_stdin(context: &mut Context<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let what = "standard input".to_owned();
    context.streams.read_all().map_err(|error| Error::Input { what, error })
}

/// `-` is standard input, everything else a file.
fn read_input(path: &Path, context: &mut Context<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    if path == Path::new("-") { read_stdin(context) } else { read_file(path) }
}
