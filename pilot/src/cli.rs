//! The command tree: arguments and help text only. What a command does is in [`crate::command`].
//!
//! The tree, the flags and their short forms are upstream's (cli-config-deploy 1.2, 1.7 to 1.11). If it is not obvious that
//! something is ours, a comment says so.

mod audit;
mod cipher;
mod doctor;
mod hidden;
mod moment;
mod operator;
mod place;
mod policy;
mod secret;
mod slot;
mod status;
mod versions;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use audit::{AuditCommand, LineFormat, Outcome, QueryArgs, VerifyArgs};
pub(crate) use cipher::{CipherCommand, DecryptArgs, EncryptArgs};
pub(crate) use doctor::{DoctorArgs, Program};
pub(crate) use hidden::Hidden;
pub(crate) use operator::{OperatorCommand, RecoverArgs, RestoreArgs};
pub(crate) use policy::{
    Action, LintArgs, PolicyApplyArgs, PolicyCommand, PolicyFields, PolicyListArgs, Question,
    WhoCanArgs,
};
pub(crate) use secret::{
    MetadataCommand, SecretCommand, SecretGetArgs, SecretListArgs, SecretPutArgs,
};
pub(crate) use slot::{Slot, permissions, unfinished};
pub(crate) use status::{Color, StatusArgs};
pub(crate) use versions::Versions;

use self::place::place;
use crate::exit::Exit;

const ABOUT: &str =
    "SPIKE Pilot: secrets, policies and recovery of a SPIKE Nexus, from the command line";

const SETTINGS: &str = "\
SPIKE Pilot: secrets, policies and recovery of a SPIKE Nexus, from the command line.

Who you are is decided by the X.509-SVID that the SPIFFE Workload API gives to this process. Settings \
are environment variables; the most important ones:

  SPIFFE_ENDPOINT_SOCKET       where the Workload API is
  SPIKE_NEXUS_API_URL          where SPIKE Nexus is
  SPIKE_TRUST_ROOT_PILOT       the trust root under which operators are known
  SPIKE_TRUST_ROOT_NEXUS       the trust root under which SPIKE Nexus is known
  SPIKE_SPIFFE_SOURCE_TIMEOUT  how long to wait for the first SVID";

#[derive(Debug, Parser)]
#[command(name = "spike", bin_name = "spike", version, about = ABOUT, long_about = SETTINGS, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The command that the arguments name.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Store, read, delete and list secrets
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Decide which workloads may do what
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Encrypt and decrypt with the key of SPIKE Nexus, without storing anything
    #[command(subcommand)]
    Cipher(CipherCommand),
    /// Take recovery shares out, feed them back after a disaster, show the status of Nexus
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Check audit logs, and find lines in them, without SPIKE Nexus
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show on one screen what runs, and how well (any of the pilot's roles)
    Status(StatusArgs),
    /// Find out what is broken, and what to do about it
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    #[command(after_help = "\
In bash, zsh and fish the script also completes paths of secrets, names of policies and lists of permissions. For names it asks \
SPIKE Nexus, as `spike secret list` and `spike policy list` do: each time is a line in the audit log. It waits for less than half a second, \
says nothing if it fails, and asks nobody unless SPIFFE_ENDPOINT_SOCKET is set and the socket is there. Values are never asked for.

Examples:
  spike completion bash > /etc/bash_completion.d/spike
  spike completion zsh > /usr/share/zsh/site-functions/_spike
  spike completion fish > /usr/share/fish/vendor_completions.d/spike.fish")]
    Completion {
        /// For this shell
        shell: Shell,
    },
    /// Print how a line goes on, for the completion scripts
    #[command(hide = true)]
    Complete,
    /// Print the manual page, or write all pages
    Man {
        /// Write the pages of all commands and of the daemons into this directory, which must exist
        #[arg(long, value_name = "DIR", value_parser = place())]
        dir: Option<PathBuf>,
    },
    /// Print the version
    Version,
}

impl Command {
    /// Whether the output is about this program and holds no data.
    pub(crate) const fn is_about_the_program(&self) -> bool {
        match self {
            Self::Completion { .. } | Self::Complete | Self::Man { .. } | Self::Version => true,
            Self::Secret(_)
            | Self::Policy(_)
            | Self::Cipher(_)
            | Self::Operator(_)
            | Self::Audit(_)
            | Self::Status(_)
            | Self::Doctor(_) => false,
        }
    }
}

/// How data is printed. The names and letters are upstream's (cli-config-deploy 1.7), in lower case only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people (also: h, plain, p)
    #[default]
    #[value(aliases = ["h", "plain", "p", ""])]
    Human,
    /// JSON (also: j)
    #[value(alias = "j")]
    Json,
    /// YAML (also: y)
    #[value(alias = "y")]
    Yaml,
}

/// The whole tree, for completions, manual pages and tests.
pub(crate) fn tree() -> clap::Command {
    Cli::command().after_help(Exit::table())
}

/// Reads the arguments; the first is the name of the program.
///
/// # Errors
/// The text to print instead: help, the version, or what is wrong.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let mut tree = tree();
    let matches = tree.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map(|cli| cli.command).map_err(|error| error.format(&mut tree))
}

#[cfg(test)]
mod pages;
#[cfg(test)]
mod tests;
