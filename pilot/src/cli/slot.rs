//! What a command line that is being typed lacks at its end, where only SPIKE knows it. Subcommands, options and files are completed
//! by the scripts alone.

use clap::{Arg, Command};
use spike_domain::PERMISSIONS;

/// What the last word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Permissions, separated by commas.
    Permissions,
    /// The path of a secret.
    Path,
    /// The name of a policy.
    Policy,
}

/// The end of a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfinished {
    pub(crate) slot: Slot,
    /// What stays as it is before each candidate, such as `--path=`.
    pub(crate) kept: String,
    /// What a candidate begins with.
    pub(crate) begun: String,
}

/// Reads the words behind `spike`; the last one is being typed, and may be empty.
pub(crate) fn unfinished(tree: &Command, words: &[&str]) -> Option<Unfinished> {
    let (last, before) = words.split_last()?;
    let mut line = Line { command: tree, names: Vec::new(), operands: 0, value_of: None };
    for word in before {
        line.read(word);
    }
    let (argument, kept, begun) = match (line.value_of, last.split_once('=')) {
        (Some(argument), _) => (argument, String::new(), *last),
        (None, Some((name, value))) if name.starts_with("--") => {
            (line.long(name)?, format!("{name}="), value)
        }
        (None, _) if last.starts_with('-') => return None,
        (None, _) => (line.command.get_positionals().nth(line.operands)?, String::new(), *last),
    };
    let slot = slot(&line.names, argument.get_id().as_str())?;
    Some(Unfinished { slot, kept, begun: begun.to_owned() })
}

/// What the words so far say.
struct Line<'t> {
    command: &'t Command,
    /// The names of the subcommands.
    names: Vec<&'t str>,
    /// How many arguments that are no options there were.
    operands: usize,
    /// The option whose value comes next.
    value_of: Option<&'t Arg>,
}

impl<'t> Line<'t> {
    fn read(&mut self, word: &str) {
        if self.value_of.take().is_some() {
            return;
        }
        if word.starts_with("--") {
            self.value_of = self.long(word);
        } else if let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty()) {
            let last = flags.chars().last();
            self.value_of = self.option(|argument| argument.get_short() == last);
        } else if let Some(sub) = self.command.find_subcommand(word) {
            self.command = sub;
            self.names.push(sub.get_name());
        } else {
            self.operands += 1;
        }
    }

    /// The option of this name that takes a value.
    fn long(&self, name: &str) -> Option<&'t Arg> {
        self.option(|argument| argument.get_long() == name.strip_prefix("--"))
    }

    fn option(&self, is_it: impl Fn(&Arg) -> bool) -> Option<&'t Arg> {
        let mut options = self.command.get_opts();
        options.find(|argument| argument.get_action().takes_values() && is_it(argument))
    }
}

fn slot(names: &[&str], argument: &str) -> Option<Slot> {
    match (names, argument) {
        (["policy", ..], "permissions") => Some(Slot::Permissions),
        (["secret", ..], "path" | "prefix")
        | (["policy", "explain" | "can-i" | "who-can"] | ["doctor"], "path") => Some(Slot::Path),
        (["policy", "get" | "delete"], "name" | "by_flag")
        | (["policy", "apply"], "name")
        | (["policy", "list"], "after") => Some(Slot::Policy),
        _ => None,
    }
}

/// The lists of permissions that go on from this one: each permission once.
pub(crate) fn permissions(begun: &str) -> Vec<String> {
    let (named, last) = begun.rsplit_once(',').map_or(("", begun), |(named, last)| (named, last));
    let is_new = |word: &&str| !named.split(',').any(|before| before.trim() == *word);
    let head = if begun.contains(',') { format!("{named},") } else { String::new() };
    let next = PERMISSIONS.into_iter().filter(|word| word.starts_with(last)).filter(is_new);
    next.map(|word| format!("{head}{word}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot_of(line: &str) -> Option<(Slot, String)> {
        let words: Vec<_> = line.split(' ').collect();
        let end = unfinished(&crate::cli::tree(), &words)?;
        Some((end.slot, format!("{}{}", end.kept, end.begun)))
    }

    #[test]
    fn the_place_of_the_last_word_says_what_it_names() {
        use Slot::{Path, Permissions, Policy};
        for (line, expected) in [
            ("secret get ten", Some((Path, "ten"))),
            ("secret get ", Some((Path, ""))),
            ("secret get -v 2 ten", Some((Path, "ten"))),
            ("secret get -f json --version 3 ten", Some((Path, "ten"))),
            ("secret get --raw ten", Some((Path, "ten"))),
            ("secret metadata get t", Some((Path, "t"))),
            ("secret list t", Some((Path, "t"))),
            ("policy explain --path t", Some((Path, "t"))),
            ("policy explain --path=t", Some((Path, "--path=t"))),
            ("policy get a", Some((Policy, "a"))),
            ("policy delete --yes a", Some((Policy, "a"))),
            ("policy get --name a", Some((Policy, "a"))),
            ("policy create --name x --permissions read,w", Some((Permissions, "read,w"))),
            // A new name is nobody's; a key and its value are the user's alone; others are completed by the scripts.
            ("policy create --name a", None),
            ("secret put a/b pass=hunt", None),
            ("secret get a/b k", None),
            ("secret get --ra", None),
            ("secret get -v ", None),
            ("secret", None),
            ("audit query --path t", None),
            ("", None),
        ] {
            let expected = expected.map(|(slot, text)| (slot, text.to_owned()));
            assert_eq!(slot_of(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_list_of_permissions_goes_on_with_those_that_are_not_in_it() {
        assert_eq!(permissions("re"), ["read"]);
        assert_eq!(permissions("read,w"), ["read,write"]);
        assert!(!permissions("read,").contains(&"read,read".to_owned()));
        assert_eq!(permissions("").len(), PERMISSIONS.len());
        assert_eq!(permissions("nothing"), [""; 0]);
    }
}
