//! Manual pages: those of `spike` from its command tree, those of the daemons from the table of settings and a few words here.
//!
//! What is an example, a table or a list of values in a help text is set as it is written; all other text is filled.

mod daemons;
mod help;
mod roff;

use spike_config::{
    Process,
    table::{self, Variable},
};
use spike_daemon::VERSION;

use crate::exit::Exit;
use help::Part;
use roff::Roff;

/// The day of the release, which `CHANGELOG.md` names too. Pages must not change from one build to the next.
const RELEASED: &str = "2026-11-28";

/// One page.
pub(crate) struct Page {
    /// Its file, such as `spike-secret-put.1`.
    pub(crate) file: String,
    pub(crate) text: String,
}

/// The page of `spike`.
pub(crate) fn of_spike(tree: &clap::Command) -> Page {
    page_of(tree, None)
}

/// The pages of `spike`, of each of its commands, and of the daemons.
pub(crate) fn all(tree: &clap::Command) -> Vec<Page> {
    let mut pages = daemons::pages();
    below(tree, None, &mut pages);
    pages
}

fn below(command: &clap::Command, parent: Option<&clap::Command>, pages: &mut Vec<Page>) {
    pages.push(page_of(command, parent));
    children(command).for_each(|child| below(child, Some(command), pages));
}

/// The commands that have a page. `help` is no command of its own.
fn children(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help")
}

/// `spike-secret-put`
fn name_of(command: &clap::Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).replace(' ', "-")
}

fn begin(name: &str, section: u8, about: &str) -> Roff {
    let mut page = Roff::new(name, section, RELEASED, &format!("spike {VERSION}"));
    page.section("Name");
    page.line(&format!("{name} - {about}"));
    page
}

fn page_of(command: &clap::Command, parent: Option<&clap::Command>) -> Page {
    let name = name_of(command);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = begin(&name, 1, &about);
    page.section("Synopsis");
    page.as_written(&help::usage(command));
    page.section("Description");
    let description =
        command.get_long_about().map_or_else(|| format!("{about}."), ToString::to_string);
    parts(&mut page, &description);
    let after = command.get_after_long_help().or_else(|| command.get_after_help());
    let after = after.map(ToString::to_string).unwrap_or_default();
    let (words, sections) = help::split(&after);
    parts(&mut page, &words);
    options(&mut page, command);
    if parent.is_none() {
        page.section("Commands");
        for child in children(command) {
            let about = child.get_about().map(ToString::to_string).unwrap_or_default();
            page.item(&format!("{}(1)", name_of(child)), &about);
        }
        environment(&mut page, Process::Pilot);
        files(&mut page);
    }
    for (heading, block) in sections.iter().filter(|(heading, _)| heading != "Exit status") {
        page.section(heading);
        page.as_written(block);
    }
    page.section("Exit status");
    for exit in Exit::ALL {
        page.item(&exit.status().to_string(), exit.meaning());
    }
    page.section("See also");
    let family =
        parent.into_iter().chain(children(command)).map(|other| format!("{}(1)", name_of(other)));
    let daemons =
        daemons::NAMES.iter().filter(|_| parent.is_none()).map(|name| format!("{name}(8)"));
    page.line(&family.chain(daemons).collect::<Vec<_>>().join(", "));
    Page { file: format!("{name}.1"), text: page.finish() }
}

fn parts(page: &mut Roff, text: &str) {
    for part in help::parts(text) {
        match part {
            Part::Filled(text) => page.paragraph(&text),
            Part::AsWritten(text) => page.as_written(&text),
        }
    }
}

fn options(page: &mut Roff, command: &clap::Command) {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let mut shown: Vec<_> = shown.collect();
    // The operands first, as people read a synopsis.
    shown.sort_by_key(|argument| !argument.is_positional());
    if shown.is_empty() {
        return;
    }
    page.section("Options");
    for argument in shown {
        let help = argument.get_long_help().or_else(|| argument.get_help());
        let mut help = help.map(ToString::to_string).unwrap_or_default();
        let values: Vec<_> = argument.get_possible_values();
        if !values.is_empty() && argument.get_action().takes_values() {
            let names: Vec<_> = values
                .iter()
                .filter(|value| !value.is_hide_set())
                .map(clap::builder::PossibleValue::get_name)
                .collect();
            help += &[". One of: ", &names.join(", ")].concat();
        }
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty()
            && !argument.is_hide_default_value_set()
            && argument.get_action().takes_values()
        {
            help += &[". The default is ", &defaults.join(",")].concat();
        }
        page.item(&help::term(argument), &help);
    }
}

/// The settings that a program reads.
fn environment(page: &mut Roff, process: Process) {
    page.section("Environment");
    for variable in table::variables().filter(|variable| variable.readers.contains(&process)) {
        page.item(variable.name, &setting(variable));
    }
}

fn setting(variable: &Variable) -> String {
    let effect = variable.effect.replace('`', "");
    match variable.default.text() {
        Some("") | None => effect,
        Some(default) => format!("{effect} The default is {default}."),
    }
}

fn files(page: &mut Roff) {
    page.section("Files");
    page.item(
        "~/.spike/recover/spike.recovery.N.txt",
        "recovery shares, where SPIKE_PILOT_RECOVERY_DIR names no other directory; readable by their owner alone",
    );
}

#[cfg(test)]
mod tests;
