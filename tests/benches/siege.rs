//! Honest reads while one identity attacks, without rights but for one secret. It measures the remaining rate, the latency, the memory that the
//! attack takes, and whether an operator can still connect.
//!
//! `cargo bench -p spike-tests --bench siege -- --seconds 5`
//!
//! The attacker is a process of its own with one thread that is stopped for half of the time, so it uses half a core. On a
//! machine with few processors that alone slows the readers. So each round measures three times: undisturbed, beside a
//! neighbour that uses half a core and sends nothing, and under the attack. The ratio of the last two counts: their difference
//! is the work that Nexus does for the attacker.

#[path = "siege/attacker.rs"]
mod attacker;

use std::{io::Write, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use spike_daemon::settings::Backend;
use spike_tests::{
    Running, SUPERUSER, Scenario,
    hostile::{MIB, attack::post, resident},
    policies::allow,
    raw::call_again,
    secrets::{get, put},
};
use tokio::{task::JoinSet, time::Instant};

use self::attacker::{ATTACKER, Attack, Attacker, CONNECTIONS, LARGE, attack_for_ever};

const BINARY: &str = env!("CARGO_BIN_EXE_spike-programs");
const TMP: &str = env!("CARGO_TARGET_TMPDIR");

const PUT: &str = "/v1/store/secrets";
const GET: &str = "/v1/store/secrets?action=get";
const LIST: &str = "/v1/store/secrets?action=list";

/// The workload that reads what it may.
const READER: &str = "/workload/reader";

/// The bounds: the part of the rate beside the neighbour that must remain, the added latency of the slowest reads, and the memory
/// during and after the attack.
const RATE: f64 = 0.70;
const LATER: f64 = 5.0;
const MOST: u64 = 256 * MIB;
const BACK: u64 = 64 * MIB;
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// How long an attack runs before reads are measured.
const RAMP: Duration = Duration::from_secs(1);

/// Measures honest reads under attack.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// How long each measurement lasts, in seconds
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How often each is repeated; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many connections read honestly
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Only this attack; may be given again
    #[arg(long, value_enum)]
    only: Vec<Attack>,
    /// An additional variable for Nexus: NAME=VALUE
    #[arg(long = "set", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Run as the attacker: the target, and the authority that signs for it
    #[arg(long, hide = true, requires_all = ["address", "ca"], value_enum)]
    attacker: Option<Attack>,
    #[arg(long, hide = true)]
    address: Option<SocketAddr>,
    #[arg(long, hide = true)]
    ca: Option<PathBuf>,
    /// An argument that cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match (arguments.attacker, arguments.address, &arguments.ca) {
        (Some(attack), Some(address), Some(ca)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(attack_for_ever(attack, address, ca))
        }
        _ => tokio::runtime::Runtime::new()?.block_on(measure(arguments)),
    }
}

fn setting(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').context("NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads of one measurement.
#[derive(Clone, Copy, Debug)]
struct Reads {
    per_second: f64,
    p99: Duration,
}

/// The results of one attack.
#[derive(Debug, Default)]
struct Outcome {
    quiet: Vec<Reads>,
    /// Beside a neighbour that uses half a core.
    beside: Vec<Reads>,
    attacked: Vec<Reads>,
    most: u64,
    after: u64,
    operator: Operator,
}

/// The results of an operator that connects repeatedly.
#[derive(Clone, Copy, Debug, Default)]
struct Operator {
    longest: Duration,
    refused: u32,
}

async fn measure(arguments: Arguments) -> Result<()> {
    ensure!(
        !arguments.only.contains(&Attack::Nothing),
        "nothing is the neighbour that each round is measured beside, not an attack"
    );
    say(&format!(
        "{} honest connections, {CONNECTIONS} of the attacker unless its help has another number, {} rounds of {} s, {} processors\n",
        arguments.connections,
        arguments.rounds,
        arguments.seconds,
        std::thread::available_parallelism()?,
    ));
    say(&format!(
        "{:14}{:>10}{:>10}{:>10}{:>7}{:>10}{:>10}{:>7}{:>9}{:>9}{:>11}{:>9}{:>7}",
        "",
        "quiet/s",
        "beside/s",
        "under/s",
        "left",
        "p99",
        "p99 then",
        "times",
        "MiB",
        "after",
        "operator",
        "refused",
        "holds"
    ));
    let mut broken = Vec::new();
    for attack in Attack::value_variants() {
        let is_asked = arguments.only.is_empty() || arguments.only.contains(attack);
        if !is_asked || *attack == Attack::Nothing {
            continue;
        }
        let held = one_attack(*attack, &arguments).await.unwrap_or_else(|error| {
            say(&format!("{:14}{error:#}", format!("{attack:?}").to_lowercase()));
            false
        });
        if !held {
            broken.push(*attack);
        }
    }
    ensure!(broken.is_empty(), "not held: {broken:?}");
    Ok(())
}

async fn one_attack(attack: Attack, arguments: &Arguments) -> Result<bool> {
    let mut scenario = Scenario::new(BINARY, TMP).backend(Backend::Sqlite);
    for (name, value) in &arguments.settings {
        scenario = scenario.setting(name, value);
    }
    let mut cluster = scenario.start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&put("open", &[("value", &"x".repeat(1024))])).await?;
    superuser.put_policy(&allow("open", READER, "^open$", &["read"])).await?;
    if attack == Attack::Readers {
        superuser.put_secret(&put(LARGE, &[("value", &"x".repeat(3_000_000))])).await?;
        superuser.put_policy(&allow(LARGE, ATTACKER, "^large$", &["read"])).await?;
    }
    let pid = cluster.nexus().pid().context("Nexus runs")?;
    let mut outcome = Outcome::default();
    for _ in 0..arguments.rounds {
        outcome.quiet.push(reads(&cluster, arguments).await?);
        let neighbour = Attacker::start(Attack::Nothing, &cluster)?;
        outcome.beside.push(reads(&cluster, arguments).await?);
        drop(neighbour);
        let attacker = Attacker::start(attack, &cluster)?;
        let watch = async {
            tokio::time::sleep(RAMP).await;
            reads(&cluster, arguments).await
        };
        let (under_attack, operator, most) = watched(&cluster, pid, watch).await?;
        drop(attacker);
        outcome.attacked.push(under_attack);
        outcome.operator.longest = outcome.operator.longest.max(operator.longest);
        outcome.operator.refused += operator.refused;
        outcome.most = outcome.most.max(most);
    }
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        outcome.after = resident(pid)?;
        if outcome.after <= BACK || Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.stop().await?;
    Ok(outcome.show(attack))
}

impl Outcome {
    /// Prints the line of the attack, and returns whether all bounds hold.
    fn show(self, attack: Attack) -> bool {
        let rate = |reads: &[Reads]| median(reads.iter().map(|reads| reads.per_second).collect());
        let p99 = |reads: &[Reads]| median(reads.iter().map(|one| one.p99.as_secs_f64()).collect());
        let (quiet, beside) = (rate(&self.quiet), rate(&self.beside));
        let (attacked, attacked_p99) = (rate(&self.attacked), p99(&self.attacked));
        let beside_p99 = p99(&self.beside);
        let (left, later) = (attacked / beside, attacked_p99 / beside_p99);
        let served = self.operator.refused == 0;
        let bounded = self.most <= MOST && self.after <= BACK;
        let holds = left >= RATE && later <= LATER && bounded && served;
        say(&format!(
            "{:14}{quiet:>10.0}{beside:>10.0}{attacked:>10.0}{left:>7.2}{:>7.1} ms{:>7.1} ms{later:>7.1}{:>9}{:>9}{:>8.0} ms{:>9}{:>7}",
            format!("{attack:?}").to_lowercase(),
            beside_p99 * 1e3,
            attacked_p99 * 1e3,
            self.most / MIB,
            self.after / MIB,
            self.operator.longest.as_secs_f64() * 1e3,
            self.operator.refused,
            if holds { "yes" } else { "NO" },
        ));
        holds
    }
}

/// Waits for `work`. Meanwhile an operator connects repeatedly, and the memory of Nexus is measured. Returns the results of the
/// operator, and the memory.
async fn watched<T>(
    cluster: &Running,
    pid: u32,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, Operator, u64)> {
    let mut work = std::pin::pin!(work);
    let (mut operator, mut most) = (Operator::default(), 0);
    loop {
        let look = async {
            let begun = Instant::now();
            let answer = cluster.post_as(SUPERUSER, LIST, "{}").await;
            operator.refused += u32::from(!answer.is_ok_and(|answer| answer.status == 200));
            operator.longest = operator.longest.max(begun.elapsed());
            most = most.max(resident(pid)?);
            tokio::time::sleep(Duration::from_millis(100)).await;
            anyhow::Ok(())
        };
        tokio::select! {
            done = &mut work => return Ok((done?, operator, most)),
            looked = look => looked?,
        }
    }
}

/// Reads over kept connections, each opened before the time begins.
async fn reads(cluster: &Running, arguments: &Arguments) -> Result<Reads> {
    let dialer = cluster.dial_as(READER)?;
    let request = post(GET, std::str::from_utf8(&get("open", 0).encode())?);
    let mut streams = Vec::new();
    for _ in 0..arguments.connections {
        streams.push(dialer.connect().await?.into_stream());
    }
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(arguments.seconds);
    let mut workers = JoinSet::new();
    for mut stream in streams {
        let request = request.clone();
        workers.spawn(async move {
            let (mut times, mut answer) = (Vec::new(), Vec::new());
            while Instant::now() < until {
                let sent = Instant::now();
                call_again(&mut stream, &request, &mut answer).await?;
                times.push(sent.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = workers.join_next().await {
        times.extend(done?.context("an honest reader")?);
    }
    let elapsed = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().context("no read at all")?;
    let count = u32::try_from(times.len())?;
    Ok(Reads { per_second: f64::from(count) / elapsed, p99 })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn say(line: &str) {
    // A failure to print the table does not matter.
    writeln!(std::io::stdout(), "{line}").ok();
}
