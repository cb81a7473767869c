//! `spike doctor`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use spike_config::Process;
use spike_domain::PERMISSIONS;
use spike_policy::Permission;

use super::{Action, Format, Question, place::place, policy::permission};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Checks this machine, the clock, the identity of this process, SPIKE Nexus, its Keepers, policies and storage, in this \
order. It changes nothing, needs no role, and works while everything else is down. Each step has a time limit. A check \
that needs another one that failed is skipped. The first thing that is broken is the answer, and comes last.

The exit status is 0 if all is well, 7 if there are only warnings, and otherwise that of the answer.

Examples:
  spike doctor
  spike doctor --as spiffe://example.org/acme/app --path tenants/acme/db --permission read
  spike doctor --config /etc/spike/nexus.env --program nexus
  spike doctor --config deploy/kubernetes/production.yaml
  spike doctor --bundle report.tar --log /var/log/spike-nexus/audit.log")]
pub(crate) struct DoctorArgs {
    /// Also tell whether policies let this SPIFFE ID do something to --path (needs the role superuser)
    #[arg(long = "as", value_name = "SPIFFE_ID", requires = "path", conflicts_with = "config")]
    spiffe_id: Option<String>,
    /// The path of a secret, or a reserved path such as spike/system/acl
    #[arg(long, requires = "spiffe_id")]
    path: Option<String>,
    /// What would be done to --path
    #[arg(long, value_name = "PERMISSION", default_value = PERMISSIONS[0], value_parser = permission())]
    permission: Permission,
    /// Check only the settings in this file, offline: lines of NAME=VALUE, quoted as systemd reads them; or a rendered manifest of
    /// Kubernetes, where values that come from somewhere else are not known; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The program that the file of --config is for. A manifest says it itself: then only containers of this program are checked,
    /// and those that do not say what they run
    #[arg(long, value_enum, requires = "config")]
    pub(crate) program: Option<Program>,
    /// Also write an archive for an expert: what was found, settings, status, health and metrics. Values that may be secret
    /// are not in it
    #[arg(long, value_name = "FILE.tar", conflicts_with = "config", value_parser = place())]
    pub(crate) bundle: Option<PathBuf>,
    /// A telemetry listener whose health and metrics go into the archive, instead of those of a Nexus and a Keeper on this
    /// machine; may be given several times
    #[arg(long, value_name = "IP:PORT", requires = "bundle")]
    pub(crate) telemetry: Vec<SocketAddr>,
    /// A log whose last 15 minutes go into the archive, at most 4 MiB; may be given several times. An audit log names SPIFFE
    /// IDs and paths
    #[arg(long = "log", value_name = "FILE", requires = "bundle", value_parser = place())]
    pub(crate) logs: Vec<PathBuf>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

impl DoctorArgs {
    /// The question about policies, if there is one.
    pub(crate) fn question(&self) -> Option<Question> {
        let (Some(spiffe_id), Some(path)) = (&self.spiffe_id, &self.path) else { return None };
        let action = Action { path: path.clone(), permission: self.permission };
        Some(Question { spiffe_id: spiffe_id.clone(), action })
    }
}

/// A program with settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Program {
    /// The secret store
    Nexus,
    /// A holder of one share of the root key
    Keeper,
    /// The program that makes the root key
    Bootstrap,
    /// This command
    Spike,
}

impl Program {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nexus => "nexus",
            Self::Keeper => "keeper",
            Self::Bootstrap => "bootstrap",
            Self::Spike => "spike",
        }
    }

    /// The process in the table of settings.
    pub(crate) const fn process(self) -> Process {
        match self {
            Self::Nexus => Process::Nexus,
            Self::Keeper => Process::Keeper,
            Self::Bootstrap => Process::Bootstrap,
            Self::Spike => Process::Pilot,
        }
    }
}
