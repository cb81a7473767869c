//! Read throughput of Nexus and of its floor in one run. The floor is a server with the same TLS stack and HTTP library that
//! answers with a fixed body of the same size (`harness/floor.rs`). Only the ratio counts; the numbers are of this machine.
//!
//! `cargo bench -p spike-tests --bench throughput -- --seconds 10`
//!
//! The last columns are the processor time of each server for one answer. Other work on the machine affects it less than the
//! rates.
//!
//! Both servers are processes of their own and are measured in turn. The load shares the processors with them. It comes from Go's
//! HTTP client, which upstream's SDK uses, in a process of its own; and from a bare client in this process, which does as little
//! as it can. Of the one, a read costs the client as much as the server, as with most clients. With the other, nearly all that is
//! measured is the server, and how the kernel shares few processors between threads that wait for each other. Both show a
//! certificate and verify none.

#[path = "throughput/bare.rs"]
mod bare;
#[path = "throughput/go.rs"]
mod go;

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use spike_daemon::settings::Backend;
use spike_tests::{
    Credential, Running, SUPERUSER, Scenario,
    hostile::processor_time,
    policies::allow,
    secrets::{get, put},
};
use tokio::task::JoinSet;

use self::go::GoClient;

const BINARY: &str = env!("CARGO_BIN_EXE_spike-programs");
const TMP: &str = env!("CARGO_TARGET_TMPDIR");

/// A kind of read, and the ratio to its floor that it must reach.
struct Kind {
    what: &'static str,
    connections: Connections,
    /// The path of the SPIFFE ID that reads.
    reader: &'static str,
    goal: f64,
}

/// The one workload that one policy lets read everything.
const WORKLOAD: &str = "/workload/reader";

const KINDS: [Kind; 3] = [
    Kind {
        what: "superuser, kept connections",
        connections: Connections::Kept,
        reader: SUPERUSER,
        goal: 0.75,
    },
    Kind {
        what: "workload, kept connections",
        connections: Connections::Kept,
        reader: WORKLOAD,
        goal: 0.70,
    },
    Kind {
        what: "superuser, new connection each",
        connections: Connections::New,
        reader: SUPERUSER,
        goal: 0.90,
    },
];

/// Measures reads of secrets, by the superuser and by a workload with one policy.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// How long each measurement lasts, in seconds
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How often each is repeated; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many connections are open at a time
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// The length of the secret's value, in bytes
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// How many secrets there are; each read is of one of them, in no order
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    secrets: u32,
    /// How many versions each of them has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    versions: u32,
    /// An additional variable for Nexus: NAME=VALUE
    #[arg(long = "set", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Measure only this kind of connections
    #[arg(long, value_enum)]
    only: Option<Connections>,
    /// Measure only with this client
    #[arg(long, value_enum)]
    client: Option<Client>,
    /// An argument that cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Connections {
    Kept,
    New,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Client {
    /// Go's HTTP client, as in upstream's SDK
    Go,
    /// One that does as little as it can
    Bare,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tokio::runtime::Runtime::new()?.block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<()> {
    let mut scenario = Scenario::new(BINARY, TMP).backend(Backend::Sqlite);
    for (name, value) in &arguments.settings {
        scenario = scenario.setting(name, value);
    }
    let mut cluster = scenario.start().await?;
    fill(&cluster, &arguments).await?;
    let answer = cluster.post("/v1/store/secrets?action=get", get(&path(0), 0).encode()).await?;
    ensure!(answer.status == 200, "Nexus answers {}", answer.status);
    let floor = Floor::start(&cluster, &answer.body)?;
    cluster.superuser()?.put_policy(&allow("reader", WORKLOAD, "^bench/", &["read"])).await?;
    let nexus = cluster.nexus().pid().context("Nexus runs")?;
    let servers = [(floor.address, floor.process.id()), (cluster.stranger().address(), nexus)];

    say(&format!(
        "{} secrets of {} versions of {} bytes, {} connections, {} rounds of {} s, {} processors\n",
        arguments.secrets,
        arguments.versions,
        arguments.size,
        arguments.connections,
        arguments.rounds,
        arguments.seconds,
        std::thread::available_parallelism()?,
    ));
    let go = match arguments.client {
        Some(Client::Bare) => None,
        Some(Client::Go) | None => Some(GoClient::build(cluster.dir()).await?),
    };
    let clients = [(Client::Go, go.as_ref()), (Client::Bare, None)];
    for (client, go) in clients.into_iter().filter(|(it, _)| wants(arguments.client, it)) {
        let head = ["floor/s", "nexus/s", "ratio", "goal", "floor us", "nexus us"];
        let name = match client {
            Client::Go => "Go's client",
            Client::Bare => "the bare client",
        };
        say(&format!("{name:32}{}", head.map(|name| format!("{name:>10}")).concat()));
        for kind in KINDS.iter().filter(|kind| wants(arguments.only, &kind.connections)) {
            let credential = cluster.credential(kind.reader)?;
            let row = row(kind, &credential, servers, (go, &arguments)).await?;
            say(&row);
        }
    }
    cluster.stop().await
}

fn wants<T: PartialEq>(only: Option<T>, one: &T) -> bool {
    only.is_none_or(|only| only == *one)
}

/// One row: the medians of floor and Nexus.
async fn row(
    kind: &Kind,
    credential: &Credential,
    servers: [(SocketAddr, u32); 2],
    (go, arguments): (Option<&GoClient>, &Arguments),
) -> Result<String> {
    let mut rates = [Vec::new(), Vec::new()];
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..arguments.rounds {
        for ((address, pid), (rates, costs)) in servers.iter().zip(rates.iter_mut().zip(&mut costs))
        {
            let before = processor_time(*pid)?;
            let connections = kind.connections;
            let (calls, time) = match go {
                Some(go) => go.calls(*address, credential, (connections, arguments)).await?,
                None => bare::calls(*address, credential, (connections, arguments)).await?,
            };
            rates.push(f64::from(calls) / time.as_secs_f64());
            let taken = processor_time(*pid)?.saturating_sub(before);
            costs.push(taken.as_secs_f64() * 1e6 / f64::from(calls.max(1)));
        }
    }
    let ([floor, nexus], [floor_cost, nexus_cost]) = (rates.map(median), costs.map(median));
    let ratio = nexus / floor;
    let Kind { what, goal, .. } = kind;
    Ok(format!(
        "{what:32}{floor:>10.0}{nexus:>10.0}{ratio:>10.2}{goal:>10.2}{floor_cost:>10.1}{nexus_cost:>10.1}"
    ))
}

fn setting(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').context("NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// All paths have the same length, so that all answers have.
fn path(number: u32) -> String {
    format!("bench/secret-{number:08}")
}

/// Puts the secrets, over many connections at the same time.
async fn fill(cluster: &Running, arguments: &Arguments) -> Result<()> {
    const WRITERS: u32 = 64;
    let (secrets, versions) = (arguments.secrets, arguments.versions);
    let value = Arc::new("x".repeat(arguments.size));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS.min(secrets) {
        let (superuser, value) = (cluster.superuser()?, Arc::clone(&value));
        writers.spawn(async move {
            for number in (writer..secrets).step_by(WRITERS as usize) {
                for _ in 0..versions {
                    superuser.put_secret(&put(&path(number), &[("value", &value)])).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

/// The floor server; it ends when this is dropped.
struct Floor {
    process: Child,
    address: SocketAddr,
}

impl Floor {
    /// Starts it with an identity like Nexus's, and `body` as its answer.
    fn start(cluster: &Running, body: &str) -> Result<Self> {
        let dir = cluster.dir().join("floor");
        std::fs::create_dir(&dir)?;
        let nexus = cluster.id("/spike/nexus")?;
        let ca = cluster.workload_api().ca();
        let credential = Credential::valid(ca, nexus, Duration::from_hours(1))?;
        let leaf = credential.chain().into_iter().next().context("no leaf")?;
        for (name, bytes) in [
            ("root.der", ca.root_der()),
            ("leaf.der", &leaf),
            ("key.der", credential.key().secret_der()),
            ("body", body.as_bytes()),
        ] {
            std::fs::write(dir.join(name), bytes)?;
        }
        let program = cluster.dir().join("bin/floor");
        if std::fs::hard_link(Path::new(BINARY), &program).is_err() {
            std::fs::copy(BINARY, &program)?;
        }
        let mut process = Command::new(program).arg(&dir).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        match line.trim().parse() {
            Ok(address) => Ok(Self { process, address }),
            Err(_) => bail!("the floor does not start: {line:?}"),
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // It is killed here, or has ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

fn say(line: &str) {
    // A failure to print the table does not matter.
    writeln!(std::io::stdout(), "{line}").ok();
}
