//! The table of all environment variables of SPIKE: their names, readers, rules, defaults and effects. The rows are in
//! `rows.rs`; `docs/configuration.md` is generated from them.
//!
//! [`super::Reader`] uses this table: a process cannot read a variable that the table does not assign to it.

mod rows;

use std::fmt;

pub use rows::*;

/// A kind of process that reads settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// The secret store.
    Nexus,
    /// A holder of one share.
    Keeper,
    /// The program that makes the root key.
    Bootstrap,
    /// The command line, `spike`.
    Pilot,
    /// A program that uses the SDK.
    Workload,
}

impl Process {
    /// Every kind of process.
    pub const ALL: [Self; 5] =
        [Self::Nexus, Self::Keeper, Self::Bootstrap, Self::Pilot, Self::Workload];
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nexus => "Nexus",
            Self::Keeper => "Keeper",
            Self::Bootstrap => "Bootstrap",
            Self::Pilot => "Pilot",
            Self::Workload => "workloads (SDK)",
        })
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    /// The default, for an unset or empty variable.
    pub default: DefaultValue,
    /// The rule for its value.
    pub rule: Rule,
    /// The processes that read it.
    pub readers: &'static [Process],
    /// Its effect, in one or two sentences.
    pub effect: &'static str,
    /// How upstream SPIKE 0.8.2 differs, if it does.
    pub upstream: Option<&'static str>,
}

/// The default of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// As if it were set to this.
    Is(&'static str),
    /// This, which cannot be written as a value.
    Unset(&'static str),
}

impl DefaultValue {
    /// The default as a value, if it can be written.
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Self::Is(text) => Some(text),
            Self::Unset(_) => None,
        }
    }
}

/// The rule for the value of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anything.
    Text,
    /// An [`super::EndpointSocket`].
    Endpoint,
    /// [`spike_domain::TrustRoots`].
    TrustRoots,
    /// [`spike_domain::CoveredIds`].
    SpiffeIds,
    /// An [`super::HttpsUrl`].
    HttpsUrl,
    /// [`super::KeeperPeers`].
    KeeperPeers,
    /// A [`super::ListenAddress`].
    Listen,
    /// A [`super::ListenAddress`], or `off`.
    ListenOrOff,
    /// A directory, see [`super::DirectoryChoice`].
    Directory,
    /// The name of a Kubernetes object.
    ObjectName,
    /// A duration above zero.
    Duration,
    /// A duration. Zero or less means no limit.
    TimeLimit,
    /// A duration. Zero means 15 s and less means never, as for TCP keep-alive in Go.
    KeepAlive,
    /// A duration above this many seconds.
    DurationOver(u32),
    /// A whole number from 1.
    Count {
        /// The largest valid number.
        max: i64,
    },
    /// A number of bytes, from 0.
    Size {
        /// The largest valid number.
        max: i64,
    },
    /// `true` or `false`, in upper or lower case, with white space around it ignored.
    Flag,
    /// A value that Go's `strconv.ParseBool` accepts.
    GoBool,
    /// Exactly `true`.
    ExactlyTrue,
    /// `DEBUG`, `INFO`, `WARN` or `ERROR`, in upper or lower case.
    Level,
    /// `sqlite`, `lite` or `memory`, in upper or lower case.
    Backend,
    /// A journal mode of SQLite that survives a crash.
    JournalMode,
    /// `pattern` or `literal`, in upper or lower case. A mistake could open reserved paths, so it is fatal.
    ReservedPaths,
    /// The absolute path of a file.
    File,
    /// `none`, `interval` or `each`, in upper or lower case. A mistake could lose evidence, so it is fatal.
    AuditSync,
}

impl Rule {
    /// Whether a process must not start with an invalid value.
    pub const fn is_fatal(self) -> bool {
        match self {
            Self::Endpoint
            | Self::TrustRoots
            | Self::SpiffeIds
            | Self::HttpsUrl
            | Self::KeeperPeers
            | Self::Listen
            | Self::ListenOrOff
            | Self::Directory
            | Self::ObjectName
            | Self::ReservedPaths
            | Self::File
            | Self::AuditSync => true,
            Self::Text
            | Self::Duration
            | Self::TimeLimit
            | Self::KeepAlive
            | Self::DurationOver(_)
            | Self::Count { .. }
            | Self::Size { .. }
            | Self::Flag
            | Self::GoBool
            | Self::ExactlyTrue
            | Self::Level
            | Self::Backend
            | Self::JournalMode => false,
        }
    }
}

/// A fragment after "expected".
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Endpoint => "unix: and an absolute path, or tcp: and an IP address with a port",
            Self::TrustRoots => {
                "a comma-separated list of trust domains, such as example.org, each perhaps with a path"
            }
            Self::SpiffeIds => {
                "a comma-separated list of SPIFFE IDs, such as spiffe://example.org/prometheus"
            }
            Self::HttpsUrl => "an https URL such as https://localhost:8553",
            Self::KeeperPeers => {
                "a comma-separated list of https URLs, one per Keeper, in the order of their shares"
            }
            Self::Listen => "a listen address such as :8553 or 127.0.0.1:8553",
            Self::ListenOrOff => "a listen address such as 127.0.0.1:9553 or :9553, or off",
            Self::Directory => {
                "a directory that can be written, outside of the directories of the system"
            }
            Self::ObjectName => "the name of a Kubernetes object, such as spike-bootstrap-state",
            Self::Duration => "a duration above 0, such as 30s or 1h30m",
            Self::TimeLimit => "a duration such as 30s or 1h30m, or 0 for no limit",
            Self::KeepAlive => "a duration such as 30s, 0 for 15s, or -1s for never",
            Self::DurationOver(seconds) => return write!(f, "a duration above {seconds}s"),
            Self::Count { max: i64::MAX } => "a whole number above 0",
            Self::Count { max } => return write!(f, "a whole number from 1 to {max}"),
            Self::Size { max } => return write!(f, "a whole number from 0 to {max}"),
            Self::Flag => "true or false",
            Self::GoBool => "true or false, or one of 1 t T TRUE True 0 f F FALSE False",
            Self::ExactlyTrue => "true (in lower case) or false",
            Self::Level => "DEBUG, INFO, WARN or ERROR",
            Self::Backend => "sqlite, lite or memory",
            Self::ReservedPaths => "pattern or literal",
            Self::File => "the absolute path of a file",
            Self::AuditSync => "none, interval or each",
            Self::JournalMode => {
                "WAL, DELETE, TRUNCATE or PERSIST (MEMORY and OFF do not survive a crash)"
            }
        })
    }
}

/// Variables that belong together, with a text about all of them.
#[derive(Debug)]
pub struct Section {
    /// A heading.
    pub title: &'static str,
    /// A paragraph.
    pub about: &'static str,
    /// The rows.
    pub variables: &'static [&'static Variable],
}

/// All variables.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    SECTIONS.iter().flat_map(|section| section.variables.iter().copied())
}

/// The variable with this name.
pub fn find(name: &str) -> Option<&'static Variable> {
    variables().find(|variable| variable.name == name)
}

/// Variables in upstream's documentation that no process reads, with what to do instead.
pub const DEAD: [(&str, &str); 2] = [
    (
        "SPIKE_NEXUS_PBKDF2_ITERATION_COUNT",
        "no longer a setting: no key is derived from a password",
    ),
    (
        "SPIKE_SHOW_MEMORY_WARNING",
        "not the name of the setting, which is SPIKE_PILOT_SHOW_MEMORY_WARNING",
    ),
];

/// Prefixes of the names that only upstream's scripts read.
pub const SCRIPTS: [&str; 6] = [
    "SPIKE_DEV_",
    "SPIKE_SKIP_",
    "SPIKE_USE_LOCAL_CHARTS",
    "SPIKE_LOCAL_CHARTS_",
    "SPIKE_REMOTE_CHARTS_",
    "SPIKE_INTEGRATION_",
];

#[cfg(test)]
mod tests;
