//! How the number of policies affects the time of a whole request. It measures reads of workloads by the number of stored
//! policies and the kind of their patterns, and the time to change one policy.
//!
//! `cargo bench -p spike-tests --bench policies -- --most 100000`
//!
//! - *anchored*: both patterns begin with `^` and a text of their own;
//! - *unanchored*: neither does, but each demands some text;
//! - *mixed*: anchored, unanchored, unescaped dots, alternatives and classes in turn.
//!
//! Only the ratio to one policy of the same kind in the same run counts. The absolute numbers are of this machine, which Nexus
//! shares with the load. Each change must be in force for the next request.

use std::{io::Write, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use spike_mtls::client::NexusClient;
use spike_tests::{
    Running, Scenario,
    policies::policy,
    raw::{Dialer, calls_until},
    secrets::{get, put},
};
use spike_wire::{PolicyListRequest, PolicyPutRequest};
use tokio::{task::JoinSet, time::Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_spike-programs");
const TMP: &str = env!("CARGO_TARGET_TMPDIR");
const READ: &str = "/v1/store/secrets?action=get";

/// The numbers of policies, in turn.
const COUNTS: [usize; 5] = [1, 100, 1_000, 10_000, 100_000];
/// How many policies are put at the same time before a measurement.
const WRITERS: usize = 16;
/// The number of timed changes. The median counts.
const CHANGES: usize = 21;

/// Measures reads of workloads among many policies.
#[derive(Clone, Copy, Debug, Parser)]
struct Arguments {
    /// How long each measurement lasts, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How often each is repeated; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many connections are open at a time, each a workload of its own
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Go no further than this many policies: up to 100000
    #[arg(long, default_value_t = 10_000)]
    most: usize,
    /// An argument that cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// A kind of patterns: makes the policy of workload `n`, which permits paths below `tenants/t-N/`.
type Kind = fn(usize) -> PolicyPutRequest;

const KINDS: [(&str, Kind); 3] =
    [("anchored", anchored), ("unanchored", unanchored), ("mixed", mixed)];

fn numbered(n: usize, id: &str, path: &str) -> PolicyPutRequest {
    let number = n.to_string();
    let fill = |pattern: &str| pattern.replace("{n}", &number);
    policy(&format!("policy-{n}"), &fill(id), &fill(path), &["read"])
}

fn anchored(n: usize) -> PolicyPutRequest {
    numbered(n, r"^spiffe://spike\.ist/ns/prod/sa/app-{n}$", "^tenants/t-{n}/")
}

fn unanchored(n: usize) -> PolicyPutRequest {
    numbered(n, "spiffe://.*/sa/app-{n}$", "t-{n}/[a-z]+")
}

fn mixed(n: usize) -> PolicyPutRequest {
    match n % 5 {
        0 => anchored(n),
        1 => unanchored(n),
        2 => numbered(n, "^spiffe://spike.ist/ns/prod/sa/app-{n}$", "^tenants/t-{n}/.*$"),
        3 => numbered(n, r"^spiffe://spike\.ist/ns/[a-z]+/sa/app-{n}$", "^(tenants|users)/t-{n}/"),
        _ => numbered(n, r"^spiffe://[a-z.]+/ns/prod/sa/app-{n}$", "^[a-z]+/t-{n}/[a-z]+$"),
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tokio::runtime::Runtime::new()?.block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<()> {
    say(&format!(
        "{} connections, {} rounds of {} s, {} processors\n",
        arguments.connections,
        arguments.rounds,
        arguments.seconds,
        std::thread::available_parallelism()?,
    ));
    say(&format!("{:12}{:>10}{:>12}{:>10}{:>14}", "", "policies", "reads/s", "of one", "change"));
    for (name, kind) in KINDS {
        let cluster = Scenario::new(BINARY, TMP).start().await?;
        let superuser = cluster.superuser()?;
        let (mut stored, mut of_one) = (0, None);
        for count in COUNTS.into_iter().filter(|count| *count <= arguments.most) {
            fill(&superuser, kind, stored..count).await?;
            stored = count;
            let names = superuser.list_policies(&PolicyListRequest::default()).await?.names;
            ensure!(names.len() == count, "{} policies instead of {count}", names.len());
            let mut rates = Vec::new();
            for _ in 0..arguments.rounds {
                rates.push(reads(&cluster, &superuser, count, arguments).await?);
            }
            rates.sort_by(f64::total_cmp);
            let rate = rates.get(rates.len() / 2).copied().context("no round")?;
            let change = change(&cluster, &superuser, kind, count).await?;
            let ratio = rate / *of_one.get_or_insert(rate);
            let change = format!("{:.2} ms", change.as_secs_f64() * 1e3);
            say(&format!("{name:12}{count:>10}{rate:>12.0}{ratio:>10.2}{change:>14}"));
        }
        cluster.stop().await?;
    }
    Ok(())
}

/// Puts these policies, several at a time.
async fn fill(superuser: &NexusClient, kind: Kind, numbers: std::ops::Range<usize>) -> Result<()> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (client, numbers) = (superuser.clone(), numbers.clone());
        writers.spawn(async move {
            for n in numbers.skip(writer).step_by(WRITERS) {
                client.put_policy(&kind(n)).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    writers.join_all().await.into_iter().collect()
}

/// The workload number `n`, and the path that it reads.
fn workload(n: usize) -> (String, String) {
    (format!("/ns/prod/sa/app-{n}"), format!("tenants/t-{n}/db"))
}

/// Reads per second of workloads that are spread over all policies, each of its own secret.
async fn reads(
    cluster: &Running,
    superuser: &NexusClient,
    count: usize,
    arguments: Arguments,
) -> Result<f64> {
    let mut clients: Vec<(Dialer, String)> = Vec::new();
    for connection in 0..arguments.connections {
        let (id, path) = workload(connection * 7_919 % count);
        superuser.put_secret(&put(&path, &[("value", &"x".repeat(1024))])).await?;
        clients.push((cluster.dial_as(&id)?, path));
    }
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(arguments.seconds);
    let mut workers = JoinSet::new();
    for (dialer, path) in clients {
        let body = get(&path, 0).encode();
        workers.spawn(async move { calls_until(&dialer, READ, &body, until).await });
    }
    let mut calls = 0;
    for done in workers.join_all().await {
        calls += done?;
    }
    Ok(f64::from(calls) / begun.elapsed().as_secs_f64())
}

/// The time to change one policy. The change is checked with the next request of the workload.
async fn change(
    cluster: &Running,
    superuser: &NexusClient,
    kind: Kind,
    count: usize,
) -> Result<Duration> {
    let n = count / 2;
    let (id, path) = workload(n);
    superuser.put_secret(&put(&path, &[])).await?;
    let mut reader = cluster.dial_as(&id)?.connect().await?;
    let open = kind(n);
    let closed = PolicyPutRequest { permissions: vec!["list".to_owned()], ..open.clone() };
    let mut times = Vec::new();
    for round in 0..CHANGES {
        let (request, status) = if round % 2 == 0 { (&closed, 401) } else { (&open, 200) };
        let begun = Instant::now();
        superuser.put_policy(request).await?;
        times.push(begun.elapsed());
        let answer = reader.post(READ, get(&path, 0).encode()).await?;
        ensure!(answer.status == status, "{} after the change to {request:?}", answer.status);
    }
    superuser.put_policy(&open).await?;
    times.sort_unstable();
    times.get(CHANGES / 2).copied().context("nothing was timed")
}

fn say(line: &str) {
    // A failure to print the table does not matter.
    writeln!(std::io::stdout(), "{line}").ok();
}
