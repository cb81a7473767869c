//! `spike operator`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, place::place};

/// Commands for operators with a role of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum OperatorCommand {
    /// Take the recovery shares out, while SPIKE Nexus is healthy (role: recover)
    Recover(RecoverArgs),
    /// Feed recovery shares back, when SPIKE Nexus cannot recover by itself (role: restore)
    Restore(RestoreArgs),
    /// Show whether SPIKE Nexus has its root key, and the state of its Keepers (any of the pilot's roles)
    ///
    /// It prints the answer of SPIKE Nexus, and fails if there is none. `spike status` shows the same on one screen, with what can
    /// be seen from here: SVIDs, and what is there while SPIKE Nexus is away.
    Status {
        /// How to print it
        #[arg(short, long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Arguments of `operator recover`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --out and --stdout the files go to the directory \"recover\" below SPIKE_PILOT_RECOVERY_DIR, or \
below ~/.spike. Each file is named spike.recovery.<index>.txt and can be read by you alone. A file of \
an earlier run is never replaced by another share and never removed: move it away first.")]
pub(crate) struct RecoverArgs {
    /// Write the files into this directory
    #[arg(long, value_name = "DIR", value_parser = place())]
    pub(crate) out: Option<PathBuf>,
    /// Print the shares, one per line, and write no file: for piping into an encryption tool
    #[arg(long, conflicts_with = "out")]
    pub(crate) stdout: bool,
}

/// Arguments of `operator restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --file the command asks for a share at the terminal, without showing it, or reads one or several shares from standard input.

Examples:
  spike operator restore < spike.recovery.1.txt
  spike operator restore --file spike.recovery.1.txt --file spike.recovery.3.txt
  cat spike.recovery.1.txt spike.recovery.3.txt | spike operator restore

Several shares are judged as one set. All are sent, and the result for each is printed.")]
pub(crate) struct RestoreArgs {
    /// A recovery file, or - for standard input; may be given several times
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}
