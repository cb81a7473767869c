//! `spike status`.

use clap::{Args, ValueEnum, value_parser};

use super::Format;

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
The screen has what runs and since when, whether SPIKE Nexus is sealed and why, how many Keepers may still be lost, the requests \
of the last minutes, the disk, the last backup, and how much is left of each SVID: of this process, of SPIKE Nexus, and of each \
Keeper in SPIKE_NEXUS_KEEPER_PEERS, if this is set here. What cannot be found out is shown as not known, with the reason.

`spike operator status` prints only the answer of SPIKE Nexus, with every field, for scripts: it fails without output if there is \
none. This command prints what it can see all the same. The exit status of both is the same. A watch that is ended with Ctrl-C \
is a success. `spike doctor` says what to do about what is wrong.

Examples:
  spike status
  spike status --watch
  spike status --watch --interval 10 | tee status.log
  spike status --format json")]
pub(crate) struct StatusArgs {
    /// Look again and again until Ctrl-C: on a terminal in place, piped one screen after the other
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Seconds between two looks. SVIDs of SPIKE Nexus and Keepers are looked at every 30 seconds at most
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = value_parser!(u64).range(1..=3600), requires = "watch")]
    pub(crate) interval: u64,
    /// Whether to use colour. `auto` uses it on a terminal, if `NO_COLOR` is not set
    #[arg(long, value_enum, default_value_t)]
    pub(crate) color: Color,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Whether to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}
