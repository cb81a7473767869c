//! `spike policy`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use spike_domain::PERMISSIONS;
use spike_policy::Permission;

use super::Format;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Create a policy; fail if there is one of that name
    #[command(after_help = "\
Patterns are regular expressions (RE2), not globs, and match anywhere unless anchored. Quote them singly.

Example:
  spike policy create --name acme-db --permissions read,write \\
    --spiffeid-pattern '^spiffe://example\\.org/acme/.*$' \\
    --path-pattern '^tenants/acme/db/.*$'")]
    Create {
        #[command(flatten)]
        fields: PolicyFields,
        /// Do not ask, even if the policy makes an administrator
        #[arg(short, long)]
        yes: bool,
    },
    /// Create policies, or replace them
    Apply(PolicyApplyArgs),
    /// List the names of policies
    List(PolicyListArgs),
    /// Print a policy
    #[command(
        after_help = "What --format json and yaml print is what `spike policy apply --file` reads."
    )]
    Get {
        #[command(flatten)]
        name: PolicyName,
        /// How to print it
        #[arg(short, long, value_enum, default_value_t)]
        format: Format,
    },
    /// Delete a policy
    Delete {
        #[command(flatten)]
        name: PolicyName,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Tell why a workload may, or may not, do something
    #[command(after_help = "\
Names the role or the policy that allows it, with the findings of `spike policy lint` about that policy; otherwise \
the nearest policies, what failed in each, and the smallest change that would allow it. The exit status is 0 either way.

Example:
  spike policy explain --spiffe-id spiffe://example.org/acme/app --path tenants/acme/db --permission read")]
    Explain {
        #[command(flatten)]
        question: Question,
        /// How to print it
        #[arg(short, long, value_enum, default_value_t)]
        format: Format,
    },
    /// Tell whether a workload may do something: prints yes or no
    #[command(after_help = "The exit status is 0 for yes and 4 for no.")]
    CanI {
        #[command(flatten)]
        question: Question,
    },
    /// Tell who may do something to a path
    WhoCan(WhoCanArgs),
    /// Find mistakes in policies
    Lint(LintArgs),
}

/// Whether a SPIFFE ID may do something to a path.
#[derive(Clone, Debug, Args)]
pub(crate) struct Question {
    /// Whose request it would be
    #[arg(long, value_name = "ID")]
    pub(crate) spiffe_id: String,
    #[command(flatten)]
    pub(crate) action: Action,
}

/// A permission on a path.
#[derive(Clone, Debug, Args)]
pub(crate) struct Action {
    /// The path of a secret; or spike/system/acl (policies), spike/system/secret (listing all secrets),
    /// spike/system/cipher/exec (encryption)
    #[arg(long)]
    pub(crate) path: String,
    /// What would be done to it
    #[arg(long, value_name = "PERMISSION", value_parser = permission())]
    pub(crate) permission: Permission,
}

pub(super) fn permission() -> impl TypedValueParser<Value = Permission> {
    PossibleValuesParser::new(PERMISSIONS)
        .try_map(|word| Permission::from_word(&word).ok_or("not a permission"))
}

/// Arguments of `policy who-can`.
#[derive(Debug, Args)]
pub(crate) struct WhoCanArgs {
    #[command(flatten)]
    pub(crate) action: Action,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Arguments of `policy lint`.
#[derive(Debug, Args)]
#[command(after_help = "\
The exit status is 7 if there are warnings or errors, and 0 otherwise. With --file only the files are read: neither \
SPIKE Nexus nor an agent is needed.")]
pub(crate) struct LintArgs {
    /// Check the policies of this file, YAML or JSON, instead of the stored ones; - is standard input; may be given
    /// several times
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// The four fields of a policy.
#[derive(Debug, Args)]
pub(crate) struct PolicyFields {
    /// The name of the policy
    #[arg(long)]
    pub(crate) name: String,
    /// Which paths it is about: a regular expression
    #[arg(long, value_name = "REGEX")]
    pub(crate) path_pattern: String,
    /// Which SPIFFE IDs it is about: a regular expression
    #[arg(long, value_name = "REGEX")]
    pub(crate) spiffeid_pattern: String,
    /// What it allows: read, write, list, execute, super; separated by commas
    #[arg(long, value_name = "LIST")]
    pub(crate) permissions: String,
}

/// Arguments of `policy apply`: either a file or the four fields.
#[derive(Debug, Args)]
#[command(
    after_help = "\
A file holds one policy, or several that are separated by lines of three dashes:

  name: acme-db
  spiffeidPattern: '^spiffe://example\\.org/acme/.*$'
  pathPattern: '^tenants/acme/db/.*$'
  permissions: [read, write]

Write patterns in single quotes or in none: in double quotes YAML takes \\. for an escape. Nothing is \
written unless all policies of the file are valid.",
    override_usage = "\
spike policy apply [--dry-run [--format <FORMAT>]] [--yes] --file <FILE>
       spike policy apply [--dry-run [--format <FORMAT>]] [--yes] --name <NAME> --path-pattern <REGEX> --spiffeid-pattern <REGEX> --permissions <LIST>"
)]
pub(crate) struct PolicyApplyArgs {
    /// YAML or JSON; - is standard input
    #[arg(short, long, conflicts_with_all = ["name", "path_pattern", "spiffeid_pattern", "permissions"], required_unless_present_any = ["name", "path_pattern", "spiffeid_pattern", "permissions"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) fields: Option<PolicyFields>,
    /// Change nothing, and print what would change: fields, findings of `policy lint`, and who gains or loses access
    /// among the SPIFFE IDs that policies name and the stored secrets
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How to print what would change
    #[arg(long, value_enum, default_value_t, requires = "dry_run")]
    pub(crate) format: Format,
    /// Do not ask, even if a policy makes an administrator
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Arguments of `policy list`.
#[derive(Debug, Args)]
pub(crate) struct PolicyListArgs {
    /// Only policies whose path pattern is exactly this text
    #[arg(long, value_name = "TEXT", conflicts_with = "spiffeid_pattern")]
    pub(crate) path_pattern: Option<String>,
    /// Only policies whose SPIFFE ID pattern is exactly this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) spiffeid_pattern: Option<String>,
    /// Only policies with this text in their name
    #[arg(long, value_name = "TEXT")]
    pub(crate) name_contains: Option<String>,
    /// Only policies with this text in their SPIFFE ID pattern
    #[arg(long, value_name = "TEXT")]
    pub(crate) spiffeid_contains: Option<String>,
    /// Only policies with this text in their path pattern
    #[arg(long, value_name = "TEXT")]
    pub(crate) path_contains: Option<String>,
    /// Only policies whose name comes after this one, in the order of bytes
    #[arg(long, value_name = "NAME")]
    pub(crate) after: Option<String>,
    /// At most this many policies
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// A policy, named in either of upstream's ways.
#[derive(Debug, Args)]
pub(crate) struct PolicyName {
    /// The name of the policy
    #[arg(required_unless_present = "by_flag")]
    name: Option<String>,
    /// The same, as a flag
    #[arg(id = "by_flag", long = "name", value_name = "NAME")]
    by_flag: Option<String>,
}

impl PolicyName {
    /// The name. The argument has priority over the flag.
    pub(crate) fn get(&self) -> &str {
        self.name.as_deref().or(self.by_flag.as_deref()).unwrap_or_default()
    }
}
