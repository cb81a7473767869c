//! Completions and manual pages, generated from the command tree.

use std::path::Path;

use clap_complete::Shell;

use crate::cli;
use crate::context::Context;
use crate::destination::{Destination, Readers};
use crate::error::Error;
use crate::manual;

/// The completion script of a shell, on standard output.
pub(super) fn completion(shell: Shell, context: &mut Context<'_>) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::tree(), "spike", &mut script);
    context.streams.render_raw(|out| out.write_all(&script))
}

/// The page of `spike` on standard output, or all pages in a directory.
pub(super) async fn man(directory: Option<&Path>, context: &mut Context<'_>) -> Result<(), Error> {
    let mut tree = cli::tree();
    tree.build();
    let Some(directory) = directory else {
        let page = manual::of_spike(&tree).text;
        return context.streams.render_raw(|out| out.write_all(page.as_bytes()));
    };
    for page in manual::all(&tree) {
        let path = directory.join(page.file);
        let streams = &mut context.streams;
        let place = Destination::prepare(&path, Readers::Everybody, streams).await?;
        place.write(&[page.text.as_bytes()], streams)?;
    }
    Ok(())
}
