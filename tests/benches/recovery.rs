//! How soon Nexus is ready, and how much memory each daemon needs.
//!
//! `cargo bench -p spike-tests --bench recovery -- --rounds 20`
//!
//! Readiness is asked for every 5 ms over the telemetry listener, which is the resolution of these times.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use spike_crypto::{Derivation, Quorum, RootKey, split};
use spike_tests::{
    PATIENCE,
    crew::{Crew, CrewPlan},
    eventually,
    fake_keeper::ReservedAddress,
    ledger::Writing,
};

const BINARY: &str = env!("CARGO_BIN_EXE_spike-programs");
const TMP: &str = env!("CARGO_TARGET_TMPDIR");

const SHARES: u16 = 5;
const THRESHOLD: u16 = 3;

const ASK_INTERVAL: Duration = Duration::from_millis(5);
/// How long Nexus is sealed before the last share comes, so that its pauses have grown to the longest.
const SEALED: u64 = 8;

/// Measures restarts and memory.
#[derive(Clone, Copy, Debug, Parser)]
struct Arguments {
    /// How often each time is measured; the median and the longest are printed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many durable writes the memory is measured after
    #[arg(long, default_value_t = 2000)]
    writes: usize,
    /// How many writers there are
    #[arg(long, default_value_t = 16)]
    writers: usize,
    /// An argument that cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tokio::runtime::Runtime::new()?.block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{SHARES} Keepers, threshold {THRESHOLD}, sqlite, {} rounds", arguments.rounds)?;
    let mut crew = CrewPlan::new(BINARY, TMP).keepers(SHARES, THRESHOLD).start().await?;
    let idle = memory(&mut crew)?;
    let (mut last_share, mut restart, mut restore) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        last_share.push(after_the_last_share().await?);
        restart.push(after_a_crash(&mut crew).await?);
    }
    for _ in 0..arguments.rounds {
        restore.push(after_a_black_out(&mut crew).await?);
    }
    for (what, times) in [
        ("last Keeper gets its share -> ready", last_share),
        ("start of a crashed Nexus -> ready", restart),
        ("operator sends the last share -> ready", restore),
    ] {
        let (middle, longest) = summary(times)?;
        writeln!(out, "{what:<42} median {middle:>7.1} ms, longest {longest:>7.1} ms")?;
    }

    let writing = Writing::start(&crew.superuser()?, "bench", arguments.writers);
    eventually("the load", PATIENCE * 5, async || {
        Ok((writing.count() >= arguments.writes).then_some(()))
    })
    .await?;
    let written = writing.finish().await.len();
    writeln!(out, "resident memory, idle and after {written} durable writes")?;
    for ((name, before), (_, after)) in idle.into_iter().zip(memory(&mut crew)?) {
        writeln!(out, "{name:<42} {:>6.1} MiB {:>6.1} MiB", mebibytes(before), mebibytes(after))?;
    }
    crew.stop().await
}

/// Seeds Keepers one short of a quorum, and later one more.
async fn after_the_last_share() -> Result<Duration> {
    let addresses = ReservedAddress::several(SHARES.into()).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let mut crew = CrewPlan::new(BINARY, TMP).keepers_at(&urls, THRESHOLD).start_sealed().await?;
    let mut keepers = Vec::new();
    for address in addresses {
        keepers.push(address.serve(&crew)?);
    }
    let shares = split(&RootKey::generate()?, Quorum::new(SHARES, THRESHOLD)?, Derivation::Reject);
    let mut seeds = keepers.iter().zip(&shares);
    for (keeper, share) in seeds.by_ref().take(usize::from(THRESHOLD) - 1) {
        keeper.hold(&share.value);
    }
    let (keeper, share) = seeds.next().context("one more Keeper")?;
    keeper.asked_again(SEALED).await?;
    let start = Instant::now();
    keeper.hold(&share.value);
    let time = until_ready(&mut crew, start).await?;
    crew.stop().await?;
    Ok(time)
}

async fn after_a_crash(crew: &mut Crew) -> Result<Duration> {
    crew.nexus().kill().await?;
    let start = Instant::now();
    crew.cluster().restart_nexus()?;
    until_ready(crew, start).await
}

async fn after_a_black_out(crew: &mut Crew) -> Result<Duration> {
    let shares = crew.recover().await?;
    crew.black_out().await?;
    let mut needed = shares.iter().take(THRESHOLD.into());
    let last = needed.next_back().context("no share")?;
    for share in needed {
        crew.feed(share).await?;
    }
    let start = Instant::now();
    crew.feed(last).await?;
    let time = until_ready(crew, start).await?;
    crew.keepers_good().await?;
    Ok(time)
}

async fn until_ready(crew: &mut Crew, start: Instant) -> Result<Duration> {
    while start.elapsed() < PATIENCE {
        if crew.nexus().get("/readyz").await.is_ok_and(|(status, _)| status == 200) {
            return Ok(start.elapsed());
        }
        tokio::time::sleep(ASK_INTERVAL).await;
    }
    bail!("Nexus is not ready within {PATIENCE:?}")
}

/// Median and longest, in milliseconds.
fn summary(mut times: Vec<Duration>) -> Result<(f64, f64)> {
    times.sort_unstable();
    let (middle, last) = (times.get(times.len() / 2), times.last());
    let millis = |time: Option<&Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
    Ok((millis(middle).context("no rounds")?, millis(last).context("no rounds")?))
}

/// The resident memory of each daemon, in KiB.
fn memory(crew: &mut Crew) -> Result<Vec<(String, u32)>> {
    let daemons = crew.cluster().daemons();
    daemons
        .map(|daemon| {
            let pid = daemon.pid().with_context(|| format!("{} has ended", daemon.name()))?;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok((daemon.name().to_owned(), number.context("no VmRSS")?.parse()?))
        })
        .collect()
}

fn mebibytes(kibibytes: u32) -> f64 {
    f64::from(kibibytes) / 1024.0
}
