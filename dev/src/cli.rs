//! The command line of `spike-dev`: arguments, and what each command does with a [`Cluster`].

mod run;
mod up;
mod workload;

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use spiffe::TrustDomain;
use spike_common::{
    config::{Backend, Environment, GoDuration},
    console,
};

use crate::{cluster::ClusterConfig, programs};

/// The state directory, where none is named.
const DEFAULT_DIR: &str = ".spike-dev";
/// The variable by which `. DIR/env` tells later commands where the cluster is.
pub(crate) const DIR_VARIABLE: &str = "SPIKE_DEV_DIR";

/// SPIKE on this machine: a SPIFFE Workload API, Nexus and everything around it, with nothing else installed.
///
/// For development and tests. Identities come from an authority that lives in the state directory, and every process of
/// this user can be any workload.
#[derive(Debug, Parser)]
#[command(name = "spike-dev", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a cluster up and keep it until Ctrl-C (the default)
    Up(Options),
    /// Bring a fresh cluster up, run a command against it, tear it down, and exit as the command did
    Run {
        #[command(flatten)]
        options: Options,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Run a command under a SPIFFE ID against the running cluster
    As {
        /// The path of the SPIFFE ID, such as /workload/app1
        id: String,
        /// State directory of the running cluster
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Write certificate, key and trust bundle of a SPIFFE ID as PEM files, for curl and the like
    Svid {
        /// The path of the SPIFFE ID, such as /workload/app1
        id: String,
        /// Where to write svid.pem, svid.key and bundle.pem
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// State directory of the running cluster
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// What the cluster is to be.
#[derive(Debug, Clone, Args)]
struct Options {
    /// State directory [default: ./.spike-dev; for `run` a fresh one that is removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where Nexus keeps its data
    #[arg(long, value_enum, default_value_t = BackendArgument::Sqlite)]
    backend: BackendArgument,
    /// How many Keepers; each holds one share of the root key
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=20))]
    keepers: u16,
    /// How many shares rebuild the root key
    #[arg(long, value_name = "T", default_value_t = 2)]
    threshold: u16,
    /// How long an X.509-SVID lasts, as 90s, 10m or 1h
    #[arg(long, value_name = "D", default_value = "1h", value_parser = lifetime)]
    svid_ttl: Duration,
    /// Trust domain of every identity
    #[arg(long, value_name = "TD", default_value = "spike.ist", value_parser = trust_domain)]
    trust_domain: TrustDomain,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BackendArgument {
    /// In memory only: no Keepers, everything is lost at the end
    Memory,
    /// In an encrypted database in the state directory
    Sqlite,
    /// Nowhere: encryption as a service only
    Lite,
}

impl Options {
    fn config(&self, dir: PathBuf, usual_ports: bool) -> Result<ClusterConfig, Failure> {
        if !(1..=self.keepers).contains(&self.threshold) {
            let (keepers, threshold) = (self.keepers, self.threshold);
            return Err(format!("--threshold {threshold} with --keepers {keepers}: the threshold is from 1 to the number of Keepers").into());
        }
        let backend = match self.backend {
            BackendArgument::Memory => Backend::Memory,
            BackendArgument::Sqlite => Backend::Sqlite,
            BackendArgument::Lite => Backend::Lite,
        };
        Ok(ClusterConfig {
            dir,
            binary: programs::this_binary()?,
            trust_domain: self.trust_domain.clone(),
            backend,
            keepers: self.keepers,
            threshold: self.threshold,
            svid_ttl: self.svid_ttl,
            usual_ports,
            settings: Vec::new(),
        })
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let duration: GoDuration =
        text.parse().map_err(|error| format!("{error}, such as 10s or 1h"))?;
    duration
        .positive()
        .filter(|duration| *duration >= Duration::from_secs(2))
        .ok_or_else(|| "an SVID lasts at least 2s".to_owned())
}

fn trust_domain(text: &str) -> Result<TrustDomain, String> {
    TrustDomain::new(text).map_err(|error| error.to_string())
}

/// Runs the command line.
pub(crate) fn main(environment: &Environment) -> ExitCode {
    let Cli { command, options } = Cli::parse();
    let done = match command {
        None => up::up(&options),
        Some(Command::Up(options)) => up::up(&options),
        Some(Command::Run { options, command }) => run::run(&options, &command),
        Some(Command::As { id, dir, command }) => {
            workload::run_as(&id, &state_dir(dir, environment), &command)
        }
        Some(Command::Svid { id, out, dir }) => {
            workload::write_svid(&id, &state_dir(dir, environment), &out)
        }
    };
    done.unwrap_or_else(|error| {
        complain(&format!("error: {}", spike_common::daemon::chain(&*error)));
        ExitCode::FAILURE
    })
}

fn state_dir(dir: Option<PathBuf>, environment: &Environment) -> PathBuf {
    dir.or_else(|| environment.get(DIR_VARIABLE).map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(DEFAULT_DIR))
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn say(text: &str) {
    if let Err(error) = console::answer(text) {
        complain(&format!("error: cannot write to standard output: {error}"));
    }
}

fn complain(text: &str) {
    console::complain(text);
}
