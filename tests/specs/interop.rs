//! Programs of upstream's against our daemons.

use std::time::Duration;

use anyhow::Result;
use spike_tests::{Running, SUPERUSER, build_go, skipped};

use crate::scenario;

/// Builds the program on the unmodified Go SDK 0.19.9 into the cluster's directory. `false`: there is no Go here, and
/// nothing to test.
pub(crate) async fn build_go_sdk(cluster: &Running) -> Result<bool> {
    let out = cluster.dir().join("bin/go-sdk");
    tokio::task::spawn_blocking(move || build_go("interop/go-sdk", &[], &out)).await?
}

/// The time limit of that program. The longest run takes a minute.
const RUN_LIMIT: Duration = Duration::from_mins(3);

/// Runs that program to its end. It must succeed and print at least this many steps. Returns its output.
pub(crate) async fn run_go_sdk(
    cluster: &Running,
    id: &str,
    arguments: &[&str],
    steps: usize,
) -> Result<String> {
    let mut command = cluster.command("go-sdk");
    let output = cluster.run_as_for(id, command.args(arguments), RUN_LIMIT).await?;
    let (told, wrong) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert!(output.status.success(), "{told}{wrong}");
    assert!(told.lines().count() >= steps, "{told}");
    Ok(told)
}

#[tokio::test]
async fn the_go_sdk_does_with_secrets_what_its_documentation_says() -> Result<()> {
    let cluster = scenario().start().await?;
    if build_go_sdk(&cluster).await? {
        run_go_sdk(&cluster, SUPERUSER, &[], 16).await?;
    } else {
        skipped("no go on PATH")?;
    }
    cluster.stop().await
}
