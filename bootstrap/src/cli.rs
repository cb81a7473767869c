//! The command line: one flag, in the forms that Go's `flag` accepts (cli-config-deploy 3.1).

use std::fmt::Write;

use spike_daemon::VERSION;

use crate::exit::Exit;

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// `-init`: the ceremony.
    Init,
    /// Nothing, which is an error, as upstream has it.
    Nothing,
    /// `--check-config`: whether every setting is valid.
    CheckConfig,
    Version,
    Help,
    /// What is wrong with the arguments.
    Wrong(String),
}

impl Invocation {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut invocation = Self::Nothing;
        for argument in arguments {
            let Some(flag) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))
            else {
                return Self::Wrong(format!("unexpected argument {argument:?}"));
            };
            let (name, value) = flag.split_once('=').unwrap_or((flag, "true"));
            invocation = match (name, value) {
                ("init", "1" | "t" | "T" | "TRUE" | "true" | "True") => Self::Init,
                ("init", "0" | "f" | "F" | "FALSE" | "false" | "False") => Self::Nothing,
                ("init", _) => {
                    return Self::Wrong(format!("-init is true or false, not {value:?}"));
                }
                ("check-config", "true") => Self::CheckConfig,
                ("version" | "V", "true") => return Self::Version,
                ("help" | "h", "true") => return Self::Help,
                _ => return Self::Wrong(format!("unknown flag {argument:?}")),
            };
        }
        invocation
    }
}

/// The text of `--version`.
pub(crate) fn version() -> String {
    format!("bootstrap {VERSION}")
}

/// The text of `--help`.
pub(crate) fn help() -> String {
    let mut text = "\
SPIKE Bootstrap: makes the root key, once in the life of a deployment

Usage: bootstrap -init
       bootstrap --check-config | --version | --help

It asks Nexus and the Keepers what there is, makes a new root key if there is neither a key nor
data nor a share, gives each Keeper its share, waits for Nexus to prove that it can use the key,
and remembers that this is done: in Kubernetes in a ConfigMap, elsewhere in a file. It may be run
again at any time; while a root key is in use it changes nothing.

Settings come from environment variables: docs/configuration.md lists them all. They must be
those of Nexus where both read them. SPIKE_BOOTSTRAP_FORCE=true makes a new root key although one
was made before. First stop Nexus, move its data away, restart every Keeper, and start Nexus
again. Everything that is stored under the old key becomes unreadable.

With --check-config it reads and checks every setting, reports all problems, and does nothing else.

Exit status:"
        .to_owned();
    for exit in Exit::ALL {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "\n  {:>2}  {}", exit.code(), exit.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Invocation {
        Invocation::parse(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn init_is_taken_in_every_form_that_go_takes() {
        for form in ["-init", "--init", "-init=true", "--init=1", "-init=T"] {
            assert_eq!(parse(&[form]), Invocation::Init, "{form}");
        }
    }

    #[test]
    fn without_init_there_is_nothing_to_do() {
        assert_eq!(parse(&[]), Invocation::Nothing);
        assert_eq!(parse(&["-init=false"]), Invocation::Nothing);
    }

    #[test]
    fn version_and_help_are_answered_whatever_stands_beside_them() {
        assert_eq!(parse(&["--version"]), Invocation::Version);
        assert_eq!(parse(&["-init", "-h"]), Invocation::Help);
    }

    #[test]
    fn a_check_of_the_settings_runs_nothing_whatever_stands_before_it() {
        assert_eq!(parse(&["--check-config"]), Invocation::CheckConfig);
        assert_eq!(parse(&["-init", "--check-config"]), Invocation::CheckConfig);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (arguments, part) in [
            (["-force"].as_slice(), "\"-force\""),
            (&["-init=maybe"], "\"maybe\""),
            (&["init"], "\"init\""),
            (&["-init", "now"], "\"now\""),
            (&["--version=2"], "--version=2"),
        ] {
            let Invocation::Wrong(text) = parse(arguments) else { panic!("{arguments:?}") };
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn help_tells_every_exit_status_and_its_number_is_told_once() {
        let help = help();
        for exit in Exit::ALL {
            let line = format!("\n  {:>2}  {}", exit.code(), exit.meaning());
            assert_eq!(help.matches(&line).count(), 1, "{exit:?}");
        }
    }
}
