//! `spike secret`.

use clap::{Args, Subcommand};

use super::{Format, Hidden, Versions};

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Store a new version of a secret
    Put(SecretPutArgs),
    /// Print a secret, or one of its values
    Get(SecretGetArgs),
    /// List the paths of secrets
    List(SecretListArgs),
    /// Delete versions of a secret; undelete brings them back
    Delete {
        /// The path of the secret
        path: String,
        /// Versions, separated by commas; 0 is the current one
        #[arg(short, long, value_name = "LIST", default_value = "0")]
        versions: Versions,
    },
    /// Bring deleted versions of a secret back
    Undelete {
        /// The path of the secret
        path: String,
        /// Versions, separated by commas; without it, or with 0, the highest deleted one
        #[arg(short, long, value_name = "LIST")]
        versions: Option<Versions>,
    },
    /// Show what is known about a secret besides its values
    #[command(subcommand)]
    Metadata(MetadataCommand),
}

/// What to do with what is known about a secret.
#[derive(Debug, Subcommand)]
pub(crate) enum MetadataCommand {
    /// Print the versions of a secret, and when they were created and deleted; also if all are deleted
    Get {
        /// The path of the secret
        path: String,
        /// Fail unless this version is there and not deleted; 0 is the current one
        #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
        version: i64,
        /// How to print it
        #[arg(short, long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Arguments of `secret put`.
#[derive(Debug, Args)]
#[command(after_help = "\
Values:
  key=value      the text itself; other users can see it in the process list
  key=@FILE      the content of FILE, byte for byte
  key=-          standard input, byte for byte; once per command. On a terminal
                 it asks, and shows nothing of what is typed
  key=@@text     the text \"@text\"

Files and standard input are stored as they are, a final newline included, and must be UTF-8 text. What is \
typed has no newline. A value on a command line also stays in the history of the shell. \
A value that is a single \"-\" can be given through standard input.

Examples:
  spike secret put tenants/acme/db user=app pass=@pass.txt
  pwgen 32 1 | tr -d '\\n' | spike secret put tenants/acme/db user=app pass=-")]
pub(crate) struct SecretPutArgs {
    /// The path of the secret
    pub(crate) path: String,
    /// All values of the new version: none is copied from the version before
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub(crate) pairs: Vec<Hidden>,
    /// Store an empty value if standard input or a file is empty; without this option that is an error
    #[arg(long)]
    pub(crate) allow_empty: bool,
}

/// Arguments of `secret get`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spike secret get tenants/acme/db
  spike secret get tenants/acme/db pass --raw > pass.txt")]
pub(crate) struct SecretGetArgs {
    /// The path of the secret
    pub(crate) path: String,
    /// Only the value of this key
    pub(crate) key: Option<String>,
    /// The version; 0 is the current one
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) version: i64,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Print the value of KEY byte for byte, without a newline after it
    #[arg(long, requires = "key", conflicts_with = "format")]
    pub(crate) raw: bool,
}

/// Arguments of `secret list`.
#[derive(Debug, Args)]
pub(crate) struct SecretListArgs {
    /// Only paths that begin with this text
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// At most this many paths
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) format: Format,
}
