//! Completions and manual pages, generated from the command tree.

use std::path::Path;

use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli;
use crate::context::Context;
use crate::destination::{Destination, Readers};
use crate::error::Error;

/// The completion script of a shell, on standard output.
pub(super) fn completion(shell: Shell, context: &mut Context<'_>) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::tree(), "spike", &mut script);
    context.streams.render_raw(|out| out.write_all(&script))
}

/// The page of `spike` on standard output, or the pages of all commands in a directory.
pub(super) async fn man(directory: Option<&Path>, context: &mut Context<'_>) -> Result<(), Error> {
    let Some(directory) = directory else {
        let page = Man::new(cli::tree());
        return context.streams.render_raw(|out| page.render(out));
    };
    let mut tree = cli::tree().disable_help_subcommand(true);
    tree.build();
    for page in pages(&tree) {
        let path = directory.join(page.get_filename());
        let mut text = Vec::new();
        page.render(&mut text).map_err(|error| Error::File { path: path.clone(), error })?;
        let streams = &mut context.streams;
        let place = Destination::prepare(&path, Readers::Everybody, streams).await?;
        place.write(&[&text], streams)?;
    }
    Ok(())
}

/// A page for the command and for each below it.
fn pages(command: &clap::Command) -> Vec<Man> {
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    let mut pages: Vec<Man> = below.flat_map(pages).collect();
    pages.push(Man::new(command.clone()));
    pages
}
