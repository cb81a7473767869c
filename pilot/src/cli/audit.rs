//! `spike audit`. Ours, unknown upstream.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use spike_daemon::chain::LineHash;
use time::OffsetDateTime;

use super::Format;
use super::moment::moment;

/// What to do with audit logs.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no line was changed, removed, repeated, moved or put in
    Verify(VerifyArgs),
    /// Print the lines that are about something
    Query(Box<QueryArgs>),
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs no SPIKE Nexus and no SVID. Name the files in the order of rotation, the oldest first. The exit status is 7 if \
something is wrong; each finding names the file and the line.

Whoever can write the file can make all hashes anew, or cut off its end. --head finds both: give it a hash that was \
kept elsewhere. The heads are in /healthz of the daemon, as auditHeads, and in its log at level INFO.

Examples:
  spike audit verify /var/log/spike-nexus/audit.log.1 /var/log/spike-nexus/audit.log
  zcat -f $(ls -tr /var/log/spike-nexus/audit.log*) | spike audit verify -")]
pub(crate) struct VerifyArgs {
    /// The files, the oldest first; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// A line with this hash must be there
    #[arg(long, value_name = "HASH")]
    pub(crate) head: Option<LineHash>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Arguments of `audit query`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs no SPIKE Nexus and no SVID. A line is printed if it meets all conditions. What is no audit line is counted, on \
standard error. Nothing is verified: see `spike audit verify`.

A time is RFC 3339, such as 2026-07-25T20:02:04Z, or how long ago it was, such as 15m or 2h.

Examples:
  spike audit query /var/log/spike-nexus/audit.log --request-id 3f0c12ab90de4477
  spike audit query /var/log/spike-nexus/audit.log --outcome denied --since 1h
  spike audit query - --caller spiffe://example.org/acme --path tenants/acme -f json < audit.log")]
pub(crate) struct QueryArgs {
    /// The files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Of this SPIFFE ID, or one below it
    #[arg(long, value_name = "ID", value_parser = spiffe_id)]
    pub(crate) caller: Option<String>,
    /// About this secret or policy, or one below it; with a slash in front, the path of the URL
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// What became of it
    #[arg(long, value_enum)]
    pub(crate) outcome: Option<Outcome>,
    /// With this HTTP status; 0 is for what was no request
    #[arg(long, value_name = "CODE")]
    pub(crate) status: Option<u64>,
    /// What was asked for, such as read, create, handshake
    #[arg(long)]
    pub(crate) action: Option<String>,
    /// The id that the caller was given
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// Not before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<OffsetDateTime>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<OffsetDateTime>,
    /// How to print them
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) format: LineFormat,
}

/// A SPIFFE ID as it is in the log. The trust domain is not known here, so a path alone is not enough.
fn spiffe_id(text: &str) -> Result<String, String> {
    if text.starts_with("spiffe://") {
        return Ok(text.to_owned());
    }
    Err("a SPIFFE ID begins with spiffe:// and a trust domain, such as spiffe://example.org/workload/app1".to_owned())
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    /// It was done
    Success,
    /// The caller may not do that
    Denied,
    /// It failed for another reason
    Error,
}

/// How lines are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineFormat {
    /// For people (also: h, plain, p)
    #[default]
    #[value(aliases = ["h", "plain", "p", ""])]
    Human,
    /// The lines as they are, which are JSON (also: j)
    #[value(alias = "j")]
    Json,
}
