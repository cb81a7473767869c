//! The example of a service, as a process of its own, while everything it depends on fails in turn.
//!
//! `SPIKE_SERVICE_SECONDS=60 cargo test -p spike-tests --test specs sdk::service -- --nocapture` is the long form.

use std::{os::unix::process::CommandExt, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use spike_config::Environment;
use spike_daemon::settings::Backend;
use spike_dev::workload_api::Registration;
use spike_mtls::client::NexusClient;
use spike_tests::{
    PATIENCE, Running,
    policies::allow,
    secrets::{self, put},
};
use spike_wire::PolicyNameRequest;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{Instant, timeout},
};

use crate::{WORKLOAD, scenario};

const PATH: &str = "tenants/acme/db";
/// The default length of the faults, in seconds. One round of them is done in any case.
const SECONDS: u64 = 8;
/// How long the service keeps a password that it cannot read, in milliseconds. Longer than any fault here.
const KEEP: &str = "600000";

/// The service, and what it prints.
struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _registration: Registration,
}

impl Service {
    fn start(cluster: &Running, keep: &str) -> Result<Self> {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_spike-programs"));
        command.arg0("service").args([PATH, keep]).env_clear().envs(cluster.client_settings());
        let mut command = Command::from(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command.kill_on_drop(true);
        let id = cluster.id(WORKLOAD)?;
        let (mut child, registration) =
            cluster.workload_api().registry().spawn(&mut command, id)?;
        let out = child.stdout.take().context("no output")?;
        Ok(Self { child, lines: BufReader::new(out).lines(), _registration: registration })
    }

    /// Reads what it prints until a line begins like this. Returns all of it.
    async fn until(&mut self, beginning: &str) -> Result<Vec<String>> {
        let mut read = Vec::new();
        let found = timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await? {
                read.push(line.clone());
                if line.starts_with(beginning) {
                    return Ok(());
                }
            }
            bail!("the service has ended")
        });
        match found.await {
            Ok(Ok(())) => Ok(read),
            Ok(Err(error)) => Err(error.context(format!("{read:?}"))),
            Err(_) => bail!("no line begins with {beginning:?}: {read:?}"),
        }
    }

    /// Ends it in order. Returns its last line.
    async fn stop(mut self) -> Result<String> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        kill_process(pid.context("it has ended by itself")?, Signal::TERM)?;
        let last = self.until("ended").await?.pop().unwrap_or_default();
        ensure!(timeout(PATIENCE, self.child.wait()).await??.success(), "{last}");
        Ok(last)
    }
}

async fn put_version(superuser: &NexusClient, pass: &str) -> Result<i64> {
    superuser.put_secret(&put(PATH, &[("user", "acme"), ("pass", pass)])).await?;
    let metadata = superuser.secret_metadata(&secrets::get(PATH, 0)).await?;
    Ok(metadata.metadata.current_version)
}

async fn grant(superuser: &NexusClient) -> Result<()> {
    superuser.put_policy(&allow("own", WORKLOAD, "^tenants/acme/.*$", &["read"])).await?;
    Ok(())
}

async fn withdraw(superuser: &NexusClient) -> Result<()> {
    Ok(superuser.delete_policy(&PolicyNameRequest { name: "own".to_owned() }).await?)
}

/// One of each fault, with a new version after it that the service has to take into use.
async fn one_round(cluster: &mut Running, service: &mut Service) -> Result<()> {
    let superuser = cluster.superuser()?;
    let version = put_version(&superuser, "in peace").await?;
    service.until(&format!("rotated to version {version}")).await?;

    cluster.nexus().kill().await?;
    service.until("trouble: ").await?;
    cluster.restart_nexus().await?;
    let superuser = cluster.superuser()?;
    let version = put_version(&superuser, "after kill -9").await?;
    service.until(&format!("rotated to version {version}")).await?;

    withdraw(&superuser).await?;
    service.until("trouble: denied").await?;
    grant(&superuser).await?;
    service.until("recovered").await?;

    cluster.workload_api().rotate();
    cluster.workload_api().pause().await;
    cluster.workload_api().resume().await?;
    let version = put_version(&superuser, "after a rotation").await?;
    service.until(&format!("rotated to version {version}")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_outlives_kill_9_of_nexus_rotations_and_a_withdrawn_right() -> Result<()> {
    let environment = Environment::of_process();
    let seconds = environment.get("SPIKE_SERVICE_SECONDS").and_then(|text| text.to_str());
    let seconds = seconds.map_or(Ok(SECONDS), str::parse)?;
    let svid_ttl = Duration::from_secs(6);
    let mut cluster = scenario().backend(Backend::Sqlite).svid_ttl(svid_ttl).start().await?;
    let superuser = cluster.superuser()?;
    grant(&superuser).await?;
    put_version(&superuser, "first").await?;
    let mut service = Service::start(&cluster, KEEP)?;
    service.until("ready with version 1").await?;

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        one_round(&mut cluster, &mut service).await?;
        rounds += 1;
    }
    let last = service.stop().await?;
    println!("{rounds} rounds of faults; {last}");
    // Whoever it serves has noticed nothing.
    ensure!(last.ends_with(", refused 0") && !last.contains("served 0,"), "{last}");
    cluster.stop().await
}

#[tokio::test]
async fn a_service_whose_right_does_not_come_back_lets_go_of_the_password() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    grant(&superuser).await?;
    put_version(&superuser, "first").await?;
    let mut service = Service::start(&cluster, "200")?;
    service.until("ready with version 1").await?;
    withdraw(&superuser).await?;
    service.until("let go of the password").await?;
    grant(&superuser).await?;
    service.until("rotated to version 1").await?;
    service.stop().await?;
    cluster.stop().await
}
