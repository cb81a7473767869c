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
    },
    raw::Dialer,
};

use crate::{GET, LIST, PUT};

/// The identity without rights.
pub(crate) const ATTACKER: &str = "/workload/attacker";

/// The attacker runs for this long, and is stopped for as long.
const SLICE: Duration = Duration::from_millis(5);

/// Connections of an attack.
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
}

/// The path of that secret.
pub(crate) const LARGE: &str = "large";

/// How long the answers are left unread before the attacker begins again.
const UNREAD: Duration = Duration::from_secs(1);

/// Repeats the attack until this process is killed. After a refusal the attacker begins again.
pub(crate) async fn attack_for_ever(attack: Attack, address: SocketAddr, ca: &Path) -> Result<()> {
    let ca = Ca::load(ca, "spike.ist".parse()?, clock::now())?;
    let id = format!("spiffe://spike.ist{ATTACKER}").parse()?;
    let credential = Credential::valid(&ca, id, Duration::from_hours(1))?;
    let plain = Arc::new(Dialer::new(address).showing(&credential));
    let http2 = Dialer::new(address).showing(&credential).offering("h2");
    let denied = post(GET, r#"{"path":"closed"}"#);
    let names = LargeBody::Names;
    let whole = post(names.target(), &names.body(usize::try_from(4 * MIB)?));
    let large = format!(r#"{{"path":"{LARGE}"}}"#);
    let long = post(GET, &format!(r#"{{"path":"{}"}}"#, "p".repeat(3_000_000)));
    loop {
        let done = match attack {
            Attack::Nothing => {
                let until = tokio::time::Instant::now() + SLICE;
                while tokio::time::Instant::now() < until {
                    std::hint::spin_loop();
                }
                Ok(())
            }
            Attack::Bodies => {
                let most = usize::try_from(4 * MIB)?;
                unfinished_bodies(&http2, PUT, (CONNECTIONS, 128), most).await.map(drop)
            }
            Attack::Answers => {
                untaken_answers(&http2, (GET, br#"{"path":"closed"}"#), (CONNECTIONS, 100))
                    .await
                    .map(drop)
            }
            Attack::Paths => requests(&plain, &long, CONNECTIONS, CONNECTIONS).await.map(drop),
            Attack::Connections => idle_connections(&plain, &denied, 1_000).await.map(drop),
            Attack::Handshakes => half_open(address, 1_000).await.map(drop),
            Attack::Denials => requests(&plain, &denied, CONNECTIONS, 100_000).await.map(drop),
            Attack::Resets => reset(&http2).await,
            Attack::Whole => requests(&plain, &whole, CONNECTIONS, CONNECTIONS).await.map(drop),
            Attack::Readers => {
                let held = untaken_answers(&http2, (GET, large.as_bytes()), (8, 128)).await;
                tokio::time::sleep(UNREAD).await;
                held.map(drop)
            }
        };
        if done.is_err() {
            tokio::time::sleep(SLICE).await;
        }
    }
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
