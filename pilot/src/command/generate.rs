//! Completions and manual pages, generated from the command tree.

use std::path::Path;

use clap_complete::Shell;

use crate::cli;
use crate::context::Context;
use crate::error::Error;

/// The completion script of a shell, on standard output.
pub(super) fn completion(shell: Shell, context: &mut Context<'_>) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::tree(), "spike", &mut script);
    context.streams.render(|out| out.write_all(&script))
}

/// The page of `spike` on standard output, or the pages of all commands in a directory.
pub(super) fn man(directory: Option<&Path>, context: &mut Context<'_>) -> Result<(), Error> {
    if let Some(directory) = directory {
        return clap_mangen::generate_to(cli::tree(), directory)
            .map_err(|error| Error::File { path: directory.to_owned(), error });
    }
    let page = clap_mangen::Man::new(cli::tree());
    context.streams.render(|out| page.render(out))
}
