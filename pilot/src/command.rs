//! The commands. Each first checks what can be checked without Nexus, then calls Nexus, then prints.

mod audit;
mod cipher;
mod complete;
mod doctor;
mod generate;
mod operator;
mod policy;
mod secret;
mod status;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use spike_daemon::VERSION;
use zeroize::Zeroizing;

use crate::cli::Command;
use crate::context::{Context, read_bounded};
use crate::error::Error;
use crate::exit::Exit;

#[cfg(feature = "fuzzing")]
pub(crate) use audit::audit_lines_verify;
#[cfg(feature = "fuzzing")]
pub(crate) use doctor::manifest_settings;
#[cfg(feature = "fuzzing")]
pub(crate) use policy::policy_document;

/// Standard input, as messages name it.
const STDIN: &str = "standard input";

/// Runs a command. A command that fails prints nothing on standard output. The status of success may be another than 0:
/// `policy can-i` has one for "no".
pub(crate) async fn run(command: Command, context: &mut Context<'_>) -> Result<Exit, Error> {
    let mut done = dispatch(command, context).await;
    if let Err(error) = &mut done {
        context.explain(error).await;
    }
    done
}

async fn dispatch(command: Command, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        Command::Secret(command) => return secret::run(command, context).await,
        Command::Policy(command) => return policy::run(command, context).await,
        Command::Audit(command) => return audit::run(command, context),
        Command::Doctor(arguments) => return doctor::run(arguments, context).await,
        Command::Status(arguments) => return status::run(arguments, context).await,
        Command::Cipher(command) => cipher::run(command, context).await,
        Command::Operator(command) => operator::run(command, context).await,
        Command::Completion { shell } => generate::completion(shell, context),
        Command::Complete => complete::complete(context).await,
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
        // One byte more than the file has, so that the buffer does not grow at the end.
        read_bounded(file.by_ref(), metadata.len() + 1)
    };
    read().map_err(|error| Error::Input { what: path.display().to_string(), error })
}

/// All of standard input.
fn read_stdin(context: &mut Context<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    context.streams.read_all().map_err(unreadable_stdin)
}

/// Whether an argument stands for standard input: `-`, or no file at all.
fn is_stdin(file: Option<&Path>) -> bool {
    file.is_none_or(|file| file == Path::new("-"))
}

/// The content of a file, or of standard input if [`is_stdin`].
fn read_input(file: Option<&Path>, context: &mut Context<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    match file.filter(|file| !is_stdin(Some(file))) {
        Some(file) => read_file(file),
        None => read_stdin(context),
    }
}

/// Refuses to read standard input for two files: the second would be empty.
fn refuse_stdin_twice(files: &[PathBuf]) -> Result<(), Error> {
    if files.iter().filter(|file| is_stdin(Some(file))).count() > 1 {
        return Err(Error::usage("standard input can be read only once"));
    }
    Ok(())
}

/// The content of a text file without the byte order mark that editors put in front of it.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// A file argument as a message names it.
fn input_name(file: &Path) -> String {
    if is_stdin(Some(file)) { STDIN.to_owned() } else { file.display().to_string() }
}

fn unreadable_stdin(error: io::Error) -> Error {
    Error::Input { what: STDIN.to_owned(), error }
}

/// Standard input was to be read and had nothing. `purpose` says what it was for, `option` which option permits that.
fn empty_stdin(purpose: &str, option: &str) -> Error {
    Error::usage_hint(
        format!("{STDIN} is empty, and {purpose}"),
        format!("did the command before the pipe fail?{option}"),
    )
}

/// Asks a person, and says whether the answer is `y` or `yes`, in any case. Any other line is a no, as upstream
/// (cli-config-deploy 10.2 no. 11). `question` ends with `(y/N): `.
///
/// # Errors
/// [`Error::Usage`] if standard input ends before an answer. Upstream takes that for a no and ends with 0, so a script without a
/// terminal believes that its command has done its work. `undone` says what has not been done.
fn is_confirmed(question: &str, undone: &str, context: &mut Context<'_>) -> Result<bool, Error> {
    let Some(answer) = context.streams.ask(question).map_err(unreadable_stdin)? else {
        // The error begins a line of its own.
        context.streams.notice("\n");
        return Err(Error::usage_hint(
            format!("nobody answered, because {STDIN} has ended: {undone}"),
            "where nobody can be asked, repeat the command with --yes",
        ));
    };
    let answer = answer.trim();
    Ok(["y", "yes"].iter().any(|yes| answer.eq_ignore_ascii_case(yes)))
}
