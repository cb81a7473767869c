//! Completions and manual pages, generated from the command tree.

use std::path::Path;

use clap_complete::Shell;
use spike_daemon::VERSION;

use crate::cli;
use crate::context::Context;
use crate::destination::{Destination, Readers};
use crate::error::Error;
use crate::manual;

/// The completion script of a shell, on standard output.
pub(super) fn completion(shell: Shell, context: &mut Context<'_>) -> Result<(), Error> {
    let script = script(shell);
    context.streams.render_raw(|out| out.write_all(script.as_bytes()))
}

/// The script of clap, and in the shells that we try, what it cannot know. These ask `spike complete`.
fn script(shell: Shell) -> String {
    // clap's scripts would offer hidden commands.
    let tree = cli::tree();
    let shown = tree.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut shown = clap::Command::new("spike").version(VERSION).subcommands(shown);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown, "spike", &mut script);
    let script = String::from_utf8_lossy(&script);
    match shell {
        Shell::Bash => format!("{script}{}", include_str!("generate/names.bash")),
        Shell::Fish => format!("{script}{}", include_str!("generate/names.fish")),
        // The file is the function, and defines it anew when it is first called: ours has to have its name.
        Shell::Zsh => script.replacen(
            ZSH_FUNCTION,
            &format!("{}_spike_tree() {{\n", include_str!("generate/names.zsh")),
            1,
        ),
        _ => script.into_owned(),
    }
}

/// How clap's script for zsh begins its function.
const ZSH_FUNCTION: &str = "_spike() {\n";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_ask_for_names_in_every_shell_that_we_try() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(script.contains("complete 2>/dev/null"), "{shell}");
            assert!(
                !script.contains("Print how a line goes on"),
                "{shell} offers a hidden command"
            );
        }
        assert_eq!(script(Shell::Zsh).matches("_spike_tree() {").count(), 1);
        assert_eq!(script(Shell::Zsh).matches("\n_spike() {").count(), 1);
    }
}
