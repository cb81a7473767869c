//! `spike audit`: questions about audit logs, answered from their files alone.

mod query;
#[cfg(test)]
mod tests;
mod verifier;
mod verify;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{input_name, is_stdin, refuse_stdin_twice};
use crate::cli::AuditCommand;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// The longest line that is looked at, in bytes. A daemon writes far shorter ones. What is longer is cut into several.
const MAX_LINE: u64 = 1 << 20;

/// How a file begins that `gzip` made.
const GZIP: &[u8] = &[0x1f, 0x8b];

pub(super) fn run(command: AuditCommand, context: &mut Context<'_>) -> Result<Exit, Error> {
    match command {
        AuditCommand::Verify(arguments) => verify::run(&arguments, context),
        AuditCommand::Query(arguments) => query::run(&arguments, context),
    }
}

/// Whether nothing is wrong with these lines, for the fuzz target.
#[cfg(feature = "fuzzing")]
pub(crate) fn audit_lines_verify(bytes: &[u8]) -> bool {
    let mut verifier = verifier::Verifier::new(None);
    for (line, bytes) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        verifier.line(verifier::Place { file: 0, line }, bytes);
    }
    verifier.finish().findings.is_empty()
}

/// Passes each line of each file on, with its newline if it has one, the index of its file and its number from 1.
fn each_line(
    files: &[PathBuf],
    context: &mut Context<'_>,
    mut take: impl FnMut(&mut Context<'_>, usize, u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    refuse_stdin_twice(files)?;
    let mut line = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let unreadable = |error| Error::Input { what: input_name(file), error };
        let mut input =
            BufReader::with_capacity(64 * 1024, open(file, context).map_err(unreadable)?);
        if input.fill_buf().map_err(unreadable)?.starts_with(GZIP) {
            let name = input_name(file);
            return Err(Error::usage_hint(
                format!("{name} is compressed"),
                "zcat -f FILE… | spike audit …  -".to_owned(),
            ));
        }
        for number in 1.. {
            line.clear();
            let mut bounded = input.by_ref().take(MAX_LINE);
            if bounded.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
                break;
            }
            take(context, index, number, &line)?;
        }
    }
    Ok(())
}

fn open(file: &Path, context: &mut Context<'_>) -> io::Result<Box<dyn Read>> {
    if is_stdin(Some(file)) {
        return Ok(context.streams.take_stdin());
    }
    let file = File::open(file)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(Box::new(file))
}
