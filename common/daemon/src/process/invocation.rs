//! The command line of a daemon: empty, as upstream's, or one of three flags that do not start it.

use std::process::ExitCode;

use spike_config::{EXIT_CONFIG, Outcome, Problem};
use spike_mtls::settings::ForeignRoots;
use tracing::Level;

use super::Program;
use crate::{
    VERSION,
    console::{print, print_error, print_with_status},
};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Invocation {
    Serve,
    CheckConfig,
    Version,
    Help,
    Unknown(String),
}

impl Invocation {
    /// Reads the arguments after the program's name.
    pub(super) fn parse(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut invocation = Self::Serve;
        for argument in arguments {
            invocation = match argument.as_str() {
                "--check-config" => Self::CheckConfig,
                "--version" | "-V" => return Self::Version,
                "--help" | "-h" => return Self::Help,
                _ => return Self::Unknown(argument),
            };
        }
        invocation
    }

    /// Runs an invocation that needs no daemon.
    pub(super) fn answer(self, program: Program) -> ExitCode {
        match self {
            Self::Version => print_with_status(&format!("{} {VERSION}", program.name)),
            Self::Help => print_with_status(&help(program)),
            Self::Unknown(argument) => {
                print_error(&format!(
                    "error: unknown argument {argument:?}\nhint: {} takes its settings from the environment; see --help",
                    program.name
                ));
                ExitCode::from(2)
            }
            Self::Serve | Self::CheckConfig => ExitCode::SUCCESS,
        }
    }
}

fn help(program: Program) -> String {
    let Program { name, about } = program;
    format!(
        "{about}\n\n\
         Usage: {name} [--check-config | --version | --help]\n\n\
         Settings come from environment variables: docs/configuration.md lists them all.\n\n\
         Options:\n  \
           --check-config  read and check every setting, report all problems, and exit\n  \
           --version       print the version\n  \
           --help          print this text\n\n\
         Exit status: 0 after a clean end, 1 when the start or the drain failed, 2 for a bad\n\
         command line, {EXIT_CONFIG} for bad settings."
    )
}

/// The result of `--check-config` of the program with this name: a setting that would not be used as written is an error too. One
/// that is used and should not stay is a warning, and so are trust roots in foreign trust domains, which may be meant.
pub fn report_check(name: &str, warnings: &[Problem], foreign: &[ForeignRoots]) -> ExitCode {
    let (used, wrong): (Vec<_>, Vec<_>) =
        warnings.iter().partition(|problem| problem.outcome == Outcome::Used);
    let foreign = foreign.iter().map(ToString::to_string);
    for warning in used.into_iter().map(ToString::to_string).chain(foreign) {
        print_error(&format!("warning: {warning}"));
    }
    if wrong.is_empty() {
        return print_with_status(&format!("{name}: every setting is valid"));
    }
    for problem in wrong {
        print_error(&format!("error: {problem}"));
    }
    ExitCode::from(EXIT_CONFIG)
}

/// Prints the banner, as upstream's daemons do unless they are told not to. No script depends on it, so a failure to
/// print it is ignored.
pub(super) fn banner(program: Program, level: Level) {
    let banner = format!(
        "SPIKE: Secure Production Identity for Key Encryption\n{} {VERSION}, log level {level}",
        program.name
    );
    print(&banner).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Invocation {
        Invocation::parse(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn without_arguments_the_daemon_serves() {
        assert_eq!(parse(&[]), Invocation::Serve);
    }

    #[test]
    fn each_flag_is_recognized_and_an_unknown_one_is_named() {
        assert_eq!(parse(&["--check-config"]), Invocation::CheckConfig);
        assert_eq!(parse(&["-V"]), Invocation::Version);
        assert_eq!(parse(&["--check-config", "--help"]), Invocation::Help);
        assert_eq!(parse(&["--port"]), Invocation::Unknown("--port".to_owned()));
    }
}
