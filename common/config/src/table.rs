//! Every environment variable of SPIKE: the one place that says what each is called, who reads it, what it may be,
//! what it is when unset, and what it does. The rows are in `rows.rs`; `docs/configuration.md` is made from them.
//!
//! [`super::Reader`] goes by this table: a process never sees a variable that the table does not give it.

mod rows;

use std::fmt;

pub use rows::*;

/// A kind of process, as far as settings are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// The secret store.
    Nexus,
    /// A holder of one share.
    Keeper,
    /// The first-run ceremony.
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
    /// What holds when it is unset or empty.
    pub default: DefaultValue,
    /// What it may be.
    pub rule: Rule,
    /// Who reads it.
    pub readers: &'static [Process],
    /// What it does, in one or two sentences.
    pub effect: &'static str,
    /// Where this differs from upstream SPIKE 0.8.2, if it does.
    pub upstream: Option<&'static str>,
}

/// What holds when a variable is unset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// The same as if it were set to this.
    Is(&'static str),
    /// This, which is no value that could be written.
    Unset(&'static str),
}

impl DefaultValue {
    /// The default as it would be written, where it can be.
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Self::Is(text) => Some(text),
            Self::Unset(_) => None,
        }
    }
}

/// What a variable may be, and what follows from anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anything.
    Text,
    /// An [`super::EndpointSocket`].
    Endpoint,
    /// [`spike_domain::TrustRoots`].
    TrustRoots,
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
    /// A duration; none is waited for where it is zero or less.
    TimeLimit,
    /// A duration; zero means 15 s and less means never, as Go has it for TCP keep-alive.
    KeepAlive,
    /// A duration above this many seconds.
    DurationOver(u32),
    /// A whole number from 1.
    Count {
        /// The largest that is taken.
        max: i64,
    },
    /// A number of bytes, from 0.
    Size {
        /// The largest that is taken.
        max: i64,
    },
    /// `true` or `false`, in any case, white space around it not counting.
    Flag,
    /// What Go's `strconv.ParseBool` takes.
    GoBool,
    /// `true` in just this spelling.
    ExactlyTrue,
    /// `DEBUG`, `INFO`, `WARN` or `ERROR`, in any case.
    Level,
    /// `sqlite`, `lite` or `memory`, in any case.
    Backend,
    /// A journal mode of SQLite that survives a crash.
    JournalMode,
    /// `pattern` or `literal`, in any case. A slip would open what was to be closed, so it is fatal.
    ReservedPaths,
}

impl Rule {
    /// Whether a value that breaks the rule must keep the process from starting.
    pub const fn is_fatal(self) -> bool {
        match self {
            Self::Endpoint
            | Self::TrustRoots
            | Self::HttpsUrl
            | Self::KeeperPeers
            | Self::Listen
            | Self::ListenOrOff
            | Self::Directory
            | Self::ObjectName
            | Self::ReservedPaths => true,
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

/// Reads well after "expected".
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Endpoint => "unix: and an absolute path, or tcp: and an IP address with a port",
            Self::TrustRoots => {
                "a comma-separated list of trust domains, such as example.org, each perhaps with a path"
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
            Self::JournalMode => {
                "WAL, DELETE, TRUNCATE or PERSIST (MEMORY and OFF do not survive a crash)"
            }
        })
    }
}

/// Variables that belong together, and what an operator should know of all of them.
#[derive(Debug)]
pub struct Section {
    /// A heading.
    pub title: &'static str,
    /// A paragraph.
    pub about: &'static str,
    /// The rows.
    pub variables: &'static [&'static Variable],
}

/// Every variable that some process reads.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    SECTIONS.iter().flat_map(|section| section.variables.iter().copied())
}

/// The variable of this name.
pub fn find(name: &str) -> Option<&'static Variable> {
    variables().find(|variable| variable.name == name)
}

/// Variables that upstream's documentation names and that no process reads, with what to do instead.
pub const DEAD: [(&str, &str); 2] = [
    (
        "SPIKE_NEXUS_PBKDF2_ITERATION_COUNT",
        "no longer a setting: nothing is derived from a password",
    ),
    (
        "SPIKE_SHOW_MEMORY_WARNING",
        "not the name of the setting, which is SPIKE_PILOT_SHOW_MEMORY_WARNING",
    ),
];

/// Beginnings of the names that upstream's scripts read, and no process.
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
