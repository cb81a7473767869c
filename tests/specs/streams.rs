//! Standard output and standard error of every program, full, closed or unread: printing never ends a program by a panic,
//! and never a daemon.

use std::{
    fs::{self, File},
    process::{ExitStatus, Stdio},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use spike_tests::{PATIENCE, Running, eventually};
use tokio::{
    net::UnixDatagram,
    process::{Child, Command},
    time::timeout,
};

use crate::scenario;

const PROGRAMS: [&str; 5] = ["nexus", "keeper", "bootstrap", "spike", "spike-dev"];

fn full() -> Result<File> {
    Ok(File::options().write(true).open("/dev/full")?)
}

/// A pipe whose other end is closed.
fn closed_pipe() -> Result<Stdio> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    Ok(writer.into())
}

/// Each of these ends a process that does not handle it, and a Keeper would lose its share.
const STRAY: [Signal; 10] = [
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::STKFLT,
    Signal::XCPU,
    Signal::VTALARM,
    Signal::PROF,
    Signal::IO,
    Signal::POWER,
];

#[tokio::test]
async fn version_and_help_never_panic_whatever_standard_output_is() -> Result<()> {
    let cluster = scenario().start().await?;
    for program in PROGRAMS {
        for argument in ["--version", "--help"] {
            for (name, stdout, code) in [("full", full()?.into(), 1), ("closed", closed_pipe()?, 0)]
            {
                let mut command = cluster.command(program);
                let (status, told) = output(command.env_clear().arg(argument), stdout).await?;
                let what = format!("{program} {argument} on a {name} standard output: {told}");
                // `spike` said 1 of a closed one, and `spike-dev` 0 of a full one.
                assert_eq!(status.code(), Some(code), "{what}");
                assert_eq!(told.contains("cannot write to standard output"), code == 1, "{what}");
                assert!(!told.contains("panicked"), "{what}");
            }
        }
    }
    cluster.stop().await
}

/// The exit status of a command, and its standard error.
async fn output(command: &mut Command, stdout: Stdio) -> Result<(ExitStatus, String)> {
    let child = command.stdout(stdout).stderr(Stdio::piped()).spawn()?;
    let output = timeout(PATIENCE, child.wait_with_output()).await??;
    Ok((output.status, String::from_utf8(output.stderr)?))
}

#[tokio::test]
async fn complaints_never_panic_whatever_standard_error_is() -> Result<()> {
    let cluster = scenario().start().await?;
    for (program, status) in
        [("nexus", 2), ("keeper", 2), ("bootstrap", 2), ("spike", 2), ("spike-dev", 2)]
    {
        let mut command = cluster.command(program);
        command.env_clear().arg("--no-such-flag").stdout(full()?).stderr(full()?);
        assert_eq!(ended(&mut command.spawn()?).await?.code(), Some(status), "{program}");
    }
    for program in ["nexus", "keeper"] {
        let mut command = cluster.command(program);
        command.env("SPIFFE_ENDPOINT_SOCKET", "nowhere").stdout(full()?).stderr(full()?);
        assert_eq!(ended(&mut command.spawn()?).await?.code(), Some(78), "{program}");
    }
    cluster.stop().await
}

async fn ended(child: &mut Child) -> Result<ExitStatus> {
    Ok(timeout(PATIENCE, child.wait()).await.context("it does not end")??)
}

/// A daemon beside the cluster, on ports that the system chooses.
fn another(cluster: &Running, program: &str) -> Command {
    let mut command = cluster.command(program);
    command
        .env("SPIKE_NEXUS_TLS_PORT", "127.0.0.1:0")
        .env("SPIKE_NEXUS_TELEMETRY_ADDR", "off")
        .env("SPIKE_NEXUS_BACKEND_STORE", "memory")
        .env("SPIKE_KEEPER_TLS_PORT", "127.0.0.1:0")
        .env("SPIKE_KEEPER_TELEMETRY_ADDR", "off")
        .env("SPIKE_SYSTEM_LOG_LEVEL", "DEBUG")
        .stderr(Stdio::null());
    command
}

fn pid(child: &Child) -> Result<Pid> {
    let pid = child.id().context("it has ended")?;
    Pid::from_raw(i32::try_from(pid)?).context("no process number")
}

#[tokio::test]
async fn a_daemon_serves_and_ends_well_whatever_its_standard_output_is() -> Result<()> {
    let cluster = scenario().start().await?;
    let dir = tempfile::tempdir()?;
    // A pipe that nobody reads, and that is full before the daemon starts.
    let (_unread, writer) = std::io::pipe()?;
    let mut filler = Command::new("dd");
    filler.args(["if=/dev/zero", "bs=4096", "oflag=nonblock"]).stderr(Stdio::null());
    filler.stdout(writer.try_clone()?).status().await?;
    let outputs: [(&str, Stdio); 3] =
        [("full", full()?.into()), ("closed", closed_pipe()?), ("unread", writer.into())];
    for (name, stdout) in outputs {
        let path = dir.path().join(name);
        let notified = UnixDatagram::bind(&path)?;
        let mut command = another(&cluster, "nexus");
        command.stdout(stdout).env("NOTIFY_SOCKET", &path);
        let registry = cluster.workload_api().registry();
        let (mut child, _registration) =
            registry.spawn(&mut command, cluster.id("/spike/nexus")?)?;
        let mut message = [0; 64];
        let length = timeout(PATIENCE, notified.recv(&mut message)).await.context(name)??;
        assert!(message[..length].starts_with(b"READY=1"), "{name}");
        kill_process(pid(&child)?, Signal::TERM)?;
        assert_eq!(ended(&mut child).await?.code(), Some(0), "{name}");
    }
    cluster.stop().await
}

/// Whether the process catches a signal.
fn catches(child: &Child, signal: Signal) -> Result<bool> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id().context("ended")?))?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).context("no mask")?;
    let mask = u64::from_str_radix(mask.trim(), 16)?;
    Ok(mask & (1 << (signal.as_raw() - 1)) != 0)
}

#[tokio::test]
async fn a_daemon_that_waits_for_its_svid_is_ended_by_sigterm_and_not_by_sighup_usr1_or_usr2()
-> Result<()> {
    let cluster = scenario().start().await?;
    for program in ["nexus", "keeper"] {
        let nobody = format!("unix://{}/nobody.sock", cluster.dir().display());
        let mut command = another(&cluster, program);
        command.env("SPIFFE_ENDPOINT_SOCKET", nobody).stdout(Stdio::null());
        let mut child = command.spawn()?;
        eventually("a process that can be told to end", PATIENCE, async || {
            Ok(catches(&child, Signal::TERM)?.then_some(()))
        })
        .await?;
        for signal in STRAY {
            kill_process(pid(&child)?, signal)?;
        }
        let number = pid(&child)?.as_raw_nonzero();
        let sent = Command::new("sh").args(["-c", &format!("kill -s RTMIN {number}")]).status();
        anyhow::ensure!(sent.await?.success(), "a real-time signal could not be sent");
        kill_process(pid(&child)?, Signal::TERM)?;
        let status = ended(&mut child).await?;
        assert_eq!(status.code(), Some(0), "{program}: {status}");
    }
    cluster.stop().await
}
