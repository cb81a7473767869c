//! The examples of the SDK, as programs, against real daemons.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use spike_tests::{PATIENCE, Running, policies::allow, secrets::put, skipped};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{WORKLOAD, scenario};

/// An example, if it was built: `cargo test --workspace` builds all, `cargo test -p spike-tests` does not.
fn example(name: &str) -> Result<Option<PathBuf>> {
    let deps = std::env::current_exe()?;
    let built = deps.parent().and_then(|deps| deps.parent()).context("no target directory")?;
    let path = built.join("examples").join(name);
    if path.exists() {
        return Ok(Some(path));
    }
    skipped("the examples were not built: cargo build -p spike-sdk --examples")?;
    Ok(None)
}

fn command(cluster: &Running, program: PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(cluster.client_settings());
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs an example to its end, as the workload. Returns what it printed.
async fn run(cluster: &Running, name: &str, arguments: &[&str]) -> Result<Option<String>> {
    let Some(program) = example(name)? else { return Ok(None) };
    let output = cluster.run_as(WORKLOAD, &mut command(cluster, program, arguments)).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(Some(String::from_utf8(output.stdout)?))
}

#[tokio::test]
async fn the_examples_do_what_they_say() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_policy(&allow("own", WORKLOAD, "^tenants/.*$", &["read", "write"])).await?;
    superuser.put_secret(&put("tenants/acme/db", &[("pass", "s3cr3t"), ("user", "app")])).await?;

    if let Some(printed) = run(&cluster, "get", &["tenants/acme/db"]).await? {
        assert_eq!(
            printed,
            "tenants/acme/db: pass has 6 bytes\ntenants/acme/db: user has 3 bytes\n"
        );
    }
    // In the words that upstream's scripts look for.
    if let Some(printed) = run(&cluster, "demo", &[]).await? {
        assert_eq!(
            printed,
            "SPIKE Demo\nConnected to SPIKE Nexus.\nSecret found:\npassword: SPIKE_Rocks\nusername: SPIKE\n"
        );
    }
    if let Some(program) = example("watch")? {
        let mut command = command(&cluster, program, &["tenants/acme/db"]);
        command.stdout(Stdio::piped());
        let id = cluster.id(WORKLOAD)?;
        let (mut child, _registration) =
            cluster.workload_api().registry().spawn(&mut command, id)?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let first = timeout(PATIENCE, lines.next_line()).await??;
        assert_eq!(first.as_deref(), Some("tenants/acme/db has a new version with 2 values"));
        child.kill().await?;
    }
    cluster.stop().await
}
