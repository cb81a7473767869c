//! The attacker: a process of its own with one thread, which its parent stops for half of the time.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use spike_dev::ca::Ca;
use spike_mtls::clock;
use spike_tests::{
    Credential, Running,
    hostile::{
        Http2Peer, LargeBody, MIB, PeerBehaviour,
        attack::{half_open, idle_connections, post, requests, unfinished_bodies, untaken_answers},
        flood::{Flood, flood},
        handshake::{hello, stalled},
        heads::{
            connections, endless_http1, endless_http2, post_with_large_head, sent_over, short_heads,
        },
    },
    raw::Dialer,
};

use crate::{GET, LIST, PUT};

/// The identity without rights.
pub(crate) const ATTACKER: &str = "/workload/attacker";

/// The attacker runs for this long, and is stopped for as long.
const SLICE: Duration = Duration::from_millis(5);

/// Connections of an attack that says nothing else.
pub(crate) const CONNECTIONS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// None: a neighbour that uses its half core and sends nothing
    Nothing,
    /// Bodies of 4 MiB that do not end, on 128 streams of each connection
    Bodies,
    /// Answers that the client does not accept, on 100 streams of each connection
    Answers,
    /// Denied requests about a path of 3 MB
    Paths,
    /// Connections that are opened and left idle, over and over
    Connections,
    /// TCP connections without a handshake
    Handshakes,
    /// Denied reads, as fast as they are answered
    Denials,
    /// Requests whose streams are reset at once
    Resets,
    /// Bodies of 4 MiB that end, with as many names as fit
    Whole,
    /// Reads of a secret of 3 MB that the attacker may read, on 128 streams of 8 connections, whose answers it does not accept
    Readers,
    /// Short heads on 120 streams of each of 1,000 connections, sent at once, whose bodies do not come
    Heads,
    /// Heads of 60 KiB that do not end, on 500 connections over HTTP/1.1 and on 500 over HTTP/2
    Endless,
    /// Handshakes that begin and do not go on, without a certificate, on 1,000 connections, over and over
    Begun,
    /// Four identities that hold all requests in flight that they can get: 100 on each of 16 connections, whose bodies do not end
    Identities,
    /// 500 requests sent ahead over HTTP/1.1 on each of 300 connections, whose answers are not read
    Ahead,
    /// Requests with heads of 45 KiB over HTTP/1.1, at once on 300 connections
    Large,
}

/// The path of that secret.
pub(crate) const LARGE: &str = "large";

/// How long an attacker leaves what it has sent as it is before it begins again.
const HELD: Duration = Duration::from_secs(1);

/// The identities of [`Attack::Identities`], none of which has rights.
const FOUR: [&str; 4] = ["/workload/a", "/workload/b", "/workload/c", "/workload/d"];

/// Repeats the attack until this process is killed. After a refusal the attacker begins again.
pub(crate) async fn attack_for_ever(attack: Attack, address: SocketAddr, ca: &Path) -> Result<()> {
    let means = Means::new(address, &Ca::load(ca, "spike.ist".parse()?, clock::now())?)?;
    loop {
        if means.attack(attack).await.is_err() {
            tokio::time::sleep(SLICE).await;
        }
    }
}

/// What the attacks need, made once.
struct Means {
    address: SocketAddr,
    plain: Arc<Dialer>,
    http2: Arc<Dialer>,
    /// Those of [`FOUR`].
    others: Vec<Dialer>,
    denied: Vec<u8>,
    long: Vec<u8>,
    whole: Vec<u8>,
    hello: Vec<u8>,
}

impl Means {
    fn new(address: SocketAddr, ca: &Ca) -> Result<Self> {
        let dialer = |path: &str| {
            let id = format!("spiffe://spike.ist{path}").parse()?;
            let credential = Credential::valid(ca, id, Duration::from_hours(1))?;
            anyhow::Ok(Dialer::new(address).showing(&credential))
        };
        let others = FOUR.iter().map(|path| Ok(dialer(path)?.offering("h2")));
        let names = LargeBody::Names;
        Ok(Self {
            address,
            plain: Arc::new(dialer(ATTACKER)?),
            http2: Arc::new(dialer(ATTACKER)?.offering("h2")),
            others: others.collect::<Result<_>>()?,
            denied: post(GET, r#"{"path":"closed"}"#),
            long: post(GET, &format!(r#"{{"path":"{}"}}"#, "p".repeat(3_000_000))),
            whole: post(names.target(), &names.body(usize::try_from(4 * MIB)?)),
            hello: hello(&Dialer::new(address))?,
        })
    }

    /// One round of an attack. An error is a refusal.
    async fn attack(&self, attack: Attack) -> Result<()> {
        let Self { address, plain, http2, denied, .. } = self;
        match attack {
            Attack::Nothing => {
                let until = tokio::time::Instant::now() + SLICE;
                while tokio::time::Instant::now() < until {
                    std::hint::spin_loop();
                }
            }
            Attack::Bodies => {
                let most = usize::try_from(4 * MIB)?;
                unfinished_bodies(http2, PUT, (CONNECTIONS, 128), most).await?;
            }
            Attack::Answers => {
                untaken_answers(http2, (GET, br#"{"path":"closed"}"#), (CONNECTIONS, 100)).await?;
            }
            Attack::Paths => {
                requests(plain, &self.long, CONNECTIONS, CONNECTIONS).await?;
            }
            Attack::Connections => {
                idle_connections(plain, denied, 1_000).await?;
            }
            Attack::Handshakes => {
                half_open(*address, 1_000).await?;
            }
            Attack::Denials => {
                requests(plain, denied, CONNECTIONS, 100_000).await?;
            }
            Attack::Resets => reset(http2).await?,
            Attack::Whole => {
                requests(plain, &self.whole, CONNECTIONS, CONNECTIONS).await?;
            }
            Attack::Readers => {
                let large = format!(r#"{{"path":"{LARGE}"}}"#);
                held(untaken_answers(http2, (GET, large.as_bytes()), (8, 128))).await?;
            }
            Attack::Heads => held(short_heads(http2, LIST, (1_000, 120))).await?,
            Attack::Endless => {
                held(async {
                    let http1 = endless_http1(plain, LIST, 500, 60 << 10).await?;
                    Ok((http1, endless_http2(http2, LIST, 500, 60 << 10).await?))
                })
                .await?;
            }
            Attack::Begun => {
                stalled(*address, 1_000, &self.hello).await?;
            }
            Attack::Identities => {
                held(async {
                    let mut held = Vec::new();
                    for dialer in &self.others {
                        held.push(unfinished_bodies(dialer, GET, (16, 100), 2).await?);
                    }
                    Ok(held)
                })
                .await?;
            }
            Attack::Ahead => {
                let ahead = post(LIST, "{}").repeat(500);
                held(async { Ok(sent_over(connections(plain, 300).await?, &ahead).await) }).await?;
            }
            Attack::Large => {
                let large = post_with_large_head(LIST, 45 << 10, "{}");
                held(async { Ok(sent_over(connections(plain, 300).await?, &large).await) }).await?;
            }
        }
        Ok(())
    }
}

/// Holds what an attack has opened for a while.
async fn held<T>(attack: impl Future<Output = Result<T>>) -> Result<()> {
    let held = attack.await?;
    tokio::time::sleep(HELD).await;
    drop(held);
    Ok(())
}

async fn reset(dialer: &Dialer) -> Result<()> {
    let mut peer = Http2Peer::connect(dialer, PeerBehaviour::GOOD).await?;
    flood(&mut peer, Flood::RapidReset, LIST, 10_000).await?;
    Ok(())
}

/// The attacker's process, and the thread that limits it to half a core. Both end when this is dropped.
pub(crate) struct Attacker {
    process: Child,
    stop: Option<mpsc::Sender<()>>,
    governor: Option<JoinHandle<()>>,
}

impl Attacker {
    pub(crate) fn start(attack: Attack, cluster: &Running) -> Result<Self> {
        let name = attack.to_possible_value().context("a name")?;
        let process = Command::new(std::env::current_exe()?)
            .args(["--attacker", name.get_name()])
            .args(["--address", &cluster.stranger().address().to_string()])
            .arg("--ca")
            .arg(cluster.dir().join("ca"))
            .stdout(Stdio::null())
            .spawn()?;
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("a process")?;
        let (stop, stopped) = mpsc::channel::<()>();
        let governor = std::thread::spawn(move || {
            let mut signal = Signal::STOP;
            while stopped.recv_timeout(SLICE) == Err(mpsc::RecvTimeoutError::Timeout) {
                if kill_process(pid, signal).is_err() {
                    return;
                }
                signal = if signal == Signal::STOP { Signal::CONT } else { Signal::STOP };
            }
        });
        Ok(Self { process, stop: Some(stop), governor: Some(governor) })
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(governor) = self.governor.take() {
            governor.join().ok();
        }
        // It is killed here, or has ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
