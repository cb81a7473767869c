//! What telemetry costs: reads of a secret while somebody asks for `/metrics`, `/healthz` and `/readyz` every second, and while
//! nobody does, in alternating rounds of one run.
//!
//! `cargo bench -p spike-tests --bench telemetry -- --rounds 15`
//!
//! Only the ratio counts. A round that is asked has its neighbours on both sides, which are not, so that a machine that becomes
//! slower or faster meanwhile weighs little; the median of these ratios is shown, with the middle half of them. `us` is the time of the processors
//! that Nexus takes for one read, the answers to the scrapes included.

use std::{io::Write, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use spike_daemon::settings::Backend;
use spike_tests::{
    Running, Scenario,
    hostile::processor_time,
    policies::allow,
    raw::calls_until,
    secrets::{get, put},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{AbortHandle, JoinSet},
    time::{Instant, MissedTickBehavior},
};

const BINARY: &str = env!("CARGO_BIN_EXE_spike-programs");
const TMP: &str = env!("CARGO_TARGET_TMPDIR");
const READ: &str = "/v1/store/secrets?action=get";
const WORKLOAD: &str = "/workload/reader";

/// The most that telemetry may cost.
const GOAL: f64 = 0.97;

/// How many scrapes are timed by themselves at the end.
const SCRAPES: u32 = 300;

/// Measures reads by a workload with one policy, with and without scraping.
#[derive(Clone, Copy, Debug, Parser)]
struct Arguments {
    /// How long each round lasts, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many rounds are scraped; there is one more that is not
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many connections are open at a time
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// The time between two scrapes, in seconds
    #[arg(long, default_value_t = 1.0)]
    every: f64,
    /// An argument that cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// One round.
#[derive(Clone, Copy)]
struct Round {
    /// Reads per second.
    rate: f64,
    /// Microseconds of the processors for one read.
    micros: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tokio::runtime::Runtime::new()?.block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<()> {
    let mut cluster = Scenario::new(BINARY, TMP).backend(Backend::Sqlite).start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&put("bench/a", &[("value", &"x".repeat(1024))])).await?;
    superuser.put_policy(&allow("reader", WORKLOAD, "^bench/", &["read"])).await?;
    let (nexus, telemetry) =
        (cluster.nexus().pid().context("Nexus runs")?, cluster.nexus().telemetry());
    let page = ask(telemetry, "/metrics").await?;
    say(&format!(
        "{} connections, {} rounds of {} s, {} processors; /metrics has {} bytes\n",
        arguments.connections,
        arguments.rounds,
        arguments.seconds,
        std::thread::available_parallelism()?,
        page.len(),
    ));
    say(&format!(
        "{:>12}{:>12}{:>8}{:>10}{:>10}",
        "alone/s", "scraped/s", "ratio", "alone us", "scraped us"
    ));
    round(&cluster, nexus, arguments).await?;
    let mut before = round(&cluster, nexus, arguments).await?;
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let asking = scrape(telemetry, arguments.every);
        let scraped = round(&cluster, nexus, arguments).await;
        asking.abort();
        let scraped = scraped?;
        let after = round(&cluster, nexus, arguments).await?;
        let alone = Round {
            rate: f64::midpoint(before.rate, after.rate),
            micros: f64::midpoint(before.micros, after.micros),
        };
        let ratio = scraped.rate / alone.rate;
        say(&format!(
            "{:>12.0}{:>12.0}{ratio:>8.3}{:>10.2}{:>10.2}",
            alone.rate, scraped.rate, alone.micros, scraped.micros
        ));
        rates.push(ratio);
        costs.push(scraped.micros / alone.micros);
        before = after;
    }
    say(&format!("\nreads, scraped : alone  {} (goal {GOAL})", spread(rates)?));
    say(&format!("processor time of a read, scraped : alone  {}", spread(costs)?));
    let used = processor_time(nexus)?;
    for _ in 0..SCRAPES {
        ask_all(telemetry).await?;
    }
    let used = processor_time(nexus)?.saturating_sub(used) / SCRAPES;
    say(&format!(
        "one scrape takes {:.2} ms of a processor: once a second, {:.2} % of one",
        used.as_secs_f64() * 1e3,
        used.as_secs_f64() * 100.0
    ));
    cluster.stop().await
}

/// The median, and the bounds of the middle half.
fn spread(mut values: Vec<f64>) -> Result<String> {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values.get((values.len() - 1) * quarter / 4).context("no round");
    Ok(format!("{:.3} ({:.3} to {:.3})", at(2)?, at(1)?, at(3)?))
}

/// Reads as fast as the connections can.
async fn round(cluster: &Running, nexus: u32, arguments: Arguments) -> Result<Round> {
    let used = processor_time(nexus)?;
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(arguments.seconds);
    let mut workers = JoinSet::new();
    for _ in 0..arguments.connections {
        let (dialer, body) = (cluster.dial_as(WORKLOAD)?, get("bench/a", 0).encode());
        workers.spawn(async move { calls_until(&dialer, READ, &body, until).await });
    }
    let mut calls = 0;
    for done in workers.join_all().await {
        calls += done?;
    }
    let used = processor_time(nexus)?.saturating_sub(used);
    ensure!(calls > 0, "no read in {} s", arguments.seconds);
    Ok(Round {
        rate: f64::from(calls) / begun.elapsed().as_secs_f64(),
        micros: used.as_secs_f64() * 1e6 / f64::from(calls),
    })
}

/// Asks for the metrics as Prometheus does, and for the health as probes do, until it is aborted.
fn scrape(telemetry: SocketAddr, every: f64) -> AbortHandle {
    let asking = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_secs_f64(every));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            // Without an answer the ratio would be too good.
            if let Err(error) = ask_all(telemetry).await {
                say(&format!("not scraped: {error:#}"));
            }
        }
    });
    asking.abort_handle()
}

async fn ask_all(telemetry: SocketAddr) -> Result<()> {
    for path in ["/metrics", "/healthz", "/readyz"] {
        ask(telemetry, path).await?;
    }
    Ok(())
}

async fn ask(telemetry: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(telemetry).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(answer)
}

fn say(line: &str) {
    // A failure to print the table does not matter.
    writeln!(std::io::stdout(), "{line}").ok();
}
