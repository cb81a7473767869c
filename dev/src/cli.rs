//! The command line of `spike-dev`: arguments, and what each command does with a [`Cluster`].

mod federate;
mod run;
mod up;
mod workload;

use std::{ffi::OsString, io::IsTerminal as _, path::PathBuf, process::ExitCode, time::Duration};

use clap::{
    ArgMatches, Args, CommandFactory, FromArgMatches, Id, Parser, Subcommand, ValueEnum,
    builder::{PathBufValueParser, TypedValueParser},
    error::ErrorKind,
    parser::ValueSource,
};
use spiffe::TrustDomain;
use spike_config::{Environment, GoDuration};
use spike_daemon::{console, settings::Backend};

use crate::cluster::ClusterConfig;

/// The default state directory.
const DEFAULT_DIR: &str = ".spike-dev";
/// The variable with the state directory, which `. DIR/env` sets for later commands.
pub(crate) const DIR_VARIABLE: &str = "SPIKE_DEV_DIR";

/// SPIKE on this machine: a SPIFFE Workload API, Nexus and everything around it, with nothing else installed.
///
/// For development and tests. Identities come from an authority that lives in the state directory, and every process of
/// this user can be any workload.
#[derive(Debug, Parser)]
#[command(name = "spike-dev", version)]
struct Cli {
    /// State directory [default: ./.spike-dev, or where `. DIR/env` says]
    #[arg(long, value_name = "DIR", global = true, value_parser = directory())]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a cluster up and keep it until Ctrl-C (the default)
    Up(Options),
    /// Bring a fresh cluster up, run a command against it, tear it down, and exit as the command did. Without --dir its state
    /// directory is a fresh one too, and is removed at the end
    Run {
        #[command(flatten)]
        options: Options,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Run a command under a SPIFFE ID against the running cluster
    As {
        /// The path of the SPIFFE ID, such as /workload/app1; a whole ID for a federated trust domain
        id: String,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Write certificate, key and trust bundle of a SPIFFE ID as PEM files, for curl and the like
    Svid {
        /// The path of the SPIFFE ID, such as /workload/app1
        id: String,
        /// Where to write svid.pem, svid.key and bundle.pem
        #[arg(long, value_name = "DIR", value_parser = directory())]
        out: PathBuf,
    },
    /// Federate another trust domain with the running cluster, or end that
    ///
    /// The other trust domain gets an authority and a SPIFFE Workload API of its own on this machine. Its workloads and the
    /// daemons of the cluster can verify each other for as long as the federation lasts.
    Federate {
        /// The trust domain, such as partner.org
        #[arg(value_name = "TD", value_parser = trust_domain)]
        trust_domain: TrustDomain,
        /// End the federation
        #[arg(long)]
        end: bool,
    },
}

/// What the cluster is to be.
#[derive(Debug, Clone, Args)]
struct Options {
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
    /// Federate this trust domain from the start; may be repeated (see `spike-dev federate`)
    #[arg(long, value_name = "TD", value_parser = trust_domain)]
    federate: Vec<TrustDomain>,
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
            binary: std::env::current_exe()?,
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
    let Cli { dir, command, options } = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() || std::io::stdout().is_terminal() => error.exit(),
        Err(asked_for) => return console::print_with_status(asked_for.to_string().trim_end()),
    };
    let done = match command {
        None => up::up(dir, &options),
        Some(Command::Up(options)) => up::up(dir, &options),
        Some(Command::Run { options, command }) => run::run(dir, &options, &command),
        Some(Command::As { id, command }) => {
            workload::run_as(&id, &state_dir(dir, environment), &command)
        }
        Some(Command::Svid { id, out }) => {
            workload::write_svid(&id, &state_dir(dir, environment), &out)
        }
        Some(Command::Federate { trust_domain, end }) => {
            federate::federate(&trust_domain, end, &state_dir(dir, environment))
        }
    };
    done.unwrap_or_else(|error| {
        complain(&format!("error: {}", spike_daemon::process::chain(&*error)));
        ExitCode::FAILURE
    })
}

/// Parses the command line. An option of the cluster belongs after the command; before it, it would have no effect.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    if let (Some(command), Some(option)) = (matches.subcommand_name(), first_option(&matches)) {
        let message =
            format!("{option} belongs after the command: spike-dev {command} {option} ...");
        return Err(Cli::command().error(ErrorKind::ArgumentConflict, message));
    }
    Cli::from_arg_matches(&matches)
}

/// The first option of the cluster that is given before a command, as it is written.
fn first_option(matches: &ArgMatches) -> Option<String> {
    let options = Options::augment_args(clap::Command::new("options"));
    let given = |id: &Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    let first = options.get_arguments().find(|argument| given(argument.get_id()))?;
    first.get_long().map(|long| format!("--{long}"))
}

/// A directory. `-` is refused: elsewhere it is a stream, and whoever writes it does not mean a directory of that name.
fn directory() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.as_os_str() == "-" {
            return Err("this is a directory, and no stream; ./- is the directory of that name");
        }
        Ok(path)
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
    if let Err(error) = console::print(text) {
        complain(&format!("error: cannot write to standard output: {error}"));
    }
}

fn complain(text: &str) {
    console::print_error(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, String> {
        parse(line.split(' ').map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_state_directory_may_be_named_before_the_command_and_after_it() {
        for line in [
            "spike-dev --dir X run -- true",
            "spike-dev run --dir X -- true",
            "spike-dev --dir X as /a -- true",
            "spike-dev as --dir X /a -- true",
            "spike-dev --dir X svid /a --out o",
            "spike-dev svid /a --out o --dir X",
            "spike-dev up --dir X",
            "spike-dev --dir X",
        ] {
            assert_eq!(parsed(line).unwrap().dir, Some(PathBuf::from("X")), "{line}");
        }
    }

    #[test]
    fn an_option_of_the_cluster_before_the_command_is_an_error_that_says_where_it_belongs() {
        let error = parsed("spike-dev --svid-ttl 10s run -- true").unwrap_err();
        assert!(error.contains("spike-dev run --svid-ttl"), "{error}");
        assert_eq!(parsed("spike-dev --keepers 5").unwrap().options.keepers, 5);
    }
}
