//! Read throughput of Nexus and of its floor in one run. The floor is a server with the same TLS stack and HTTP library that
//! answers with a fixed body of the same size (`harness/floor.rs`). Only the ratio counts; the numbers are of this machine.
//!
//! `cargo bench -p spike-tests --bench throughput -- --seconds 10`
//!
//! The last columns are the processor time of each server for one answer. Other work on the machine affects it less than the
//! rates.
//!
//! Both servers are processes of their own and are measured in turn. The load comes from this process and shares the processors
//! with them. The client shows a certificate and verifies none, which is the same for both.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use spike_daemon::settings::Backend;
use spike_tests::{
    Credential, Running, SUPERUSER, Scenario,
    hostile::processor_time,
    policies::allow,
    raw::{Dialer, call_again},
    secrets::{get, put},
};
use tokio::{task::JoinSet, time::Instant};
use tokio_rustls::TlsConnector;

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
    /// An argument that cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Connections {
    Kept,
    New,
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
    let head = ["floor/s", "nexus/s", "ratio", "goal", "floor us", "nexus us"];
    say(&format!("{:32}{}", "", head.map(|name| format!("{name:>10}")).concat()));
    let asked = |connections| arguments.only.is_none_or(|only| only == connections);
    for kind in KINDS.into_iter().filter(|kind| asked(kind.connections)) {
        let credential = cluster.credential(kind.reader)?;
        let mut rates = [Vec::new(), Vec::new()];
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..arguments.rounds {
            for ((address, pid), (rates, costs)) in
                servers.iter().zip(rates.iter_mut().zip(&mut costs))
            {
                let dialer = Dialer::new(*address).showing(&credential);
                let target = Target::new(dialer, &arguments)?;
                let before = processor_time(*pid)?;
                let (calls, time) = calls(target, kind.connections, &arguments).await?;
                rates.push(f64::from(calls) / time.as_secs_f64());
                let taken = processor_time(*pid)?.saturating_sub(before);
                costs.push(taken.as_secs_f64() * 1e6 / f64::from(calls.max(1)));
            }
        }
        let ([floor, nexus], [floor_cost, nexus_cost]) = (rates.map(median), costs.map(median));
        let ratio = nexus / floor;
        let Kind { what, goal, .. } = kind;
        say(&format!(
            "{what:32}{floor:>10.0}{nexus:>10.0}{ratio:>10.2}{goal:>10.2}{floor_cost:>10.1}{nexus_cost:>10.1}"
        ));
    }
    cluster.stop().await
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

/// How many calls there were, and in what time.
async fn calls(
    target: Target,
    connections: Connections,
    arguments: &Arguments,
) -> Result<(u32, Duration)> {
    let target = Arc::new(target);
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(arguments.seconds);
    let mut workers = JoinSet::new();
    for _ in 0..arguments.connections {
        let target = Arc::clone(&target);
        workers.spawn(async move {
            match connections {
                Connections::Kept => target.over_one_connection(until).await,
                Connections::New => target.over_many_connections(until).await,
            }
        });
    }
    let mut calls = 0_u32;
    while let Some(done) = workers.join_next().await {
        calls += done??;
    }
    Ok((calls, begun.elapsed()))
}

/// A server, and the requests to it.
struct Target {
    dialer: Dialer,
    connector: TlsConnector,
    secrets: u32,
    asked: AtomicU32,
}

impl Target {
    fn new(dialer: Dialer, arguments: &Arguments) -> Result<Self> {
        let connector = dialer.connector()?;
        Ok(Self { dialer, connector, secrets: arguments.secrets, asked: AtomicU32::new(0) })
    }

    /// A request for any of the secrets.
    fn request(&self) -> Vec<u8> {
        // Secrets that are read one after the other are far apart in the database.
        let asked = self.asked.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b1);
        let body = get(&path(asked % self.secrets), 0).encode();
        let length = body.len();
        let head = format!(
            "POST /v1/store/secrets?action=get HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), &body].concat()
    }

    async fn over_one_connection(&self, until: Instant) -> Result<u32> {
        let mut stream = self.dialer.connect_with(&self.connector).await?.into_stream();
        let mut answer = Vec::new();
        let mut calls = 0;
        // The request for one secret is made once, so that the client does not make it again each time.
        let mut request = self.request();
        while Instant::now() < until {
            if self.secrets > 1 {
                request = self.request();
            }
            call_again(&mut stream, &request, &mut answer).await?;
            calls += 1;
        }
        Ok(calls)
    }

    async fn over_many_connections(&self, until: Instant) -> Result<u32> {
        let mut calls = 0;
        while Instant::now() < until {
            let mut stream = self.dialer.connect_with(&self.connector).await?.into_stream();
            call_again(&mut stream, &self.request(), &mut Vec::new()).await?;
            calls += 1;
        }
        Ok(calls)
    }
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
