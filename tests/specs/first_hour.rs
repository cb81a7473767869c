//! The first hour of a new user: a cluster comes up wherever the clone is, and says why where it does not.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use spike_common::config::Backend;
use tokio::process::Command;

use crate::scenario;

/// How long a cluster may take to come up, do one thing, and end.
const LIMIT: Duration = Duration::from_mins(2);

/// Puts a secret and gets it back, with the programs that are on `PATH`.
const ERRAND: &str = "spike secret put a/b k=v && spike secret get a/b k";

/// Runs [`ERRAND`] in a cluster below `place`, and gives back what was printed.
async fn errand(place: &Path, shell: &str) -> Result<String> {
    let mut command = std::process::Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{shell} exec \"$0\" run --dir .spike-dev -- sh -c '{ERRAND}'"))
        .arg(env!("CARGO_BIN_EXE_spike-programs"))
        .current_dir(place)
        .stdin(Stdio::null())
        .process_group(0);
    let mut command = Command::from(command);
    let ended = tokio::time::timeout(LIMIT, command.kill_on_drop(true).output()).await;
    let output = ended.with_context(|| format!("{} does not end", place.display()))??;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}: {}\n{out}\n{err}", place.display(), output.status);
    Ok(out.into_owned())
}

fn parent() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("hour-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

#[tokio::test]
async fn a_cluster_comes_up_in_a_directory_of_any_name() -> Result<()> {
    let parent = parent()?;
    let long = "x".repeat(200);
    for name in ["with a space", "\u{fc}ml\u{e4}ut", "a#b?c%20d", "a:b", "it's", long.as_str()] {
        let place = parent.path().join(name);
        std::fs::create_dir(&place)?;
        let printed = errand(&place, "").await?;
        assert!(printed.ends_with("v\n"), "{name}: {printed}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cluster_comes_up_whatever_the_umask_is_and_with_standard_output_closed() -> Result<()> {
    let parent = parent()?;
    for (number, shell) in ["umask 000;", "umask 077;"].into_iter().enumerate() {
        let place = parent.path().join(number.to_string());
        std::fs::create_dir(&place)?;
        assert!(errand(&place, shell).await?.ends_with("v\n"), "{shell}");
    }
    let place = parent.path().join("closed");
    std::fs::create_dir(&place)?;
    errand(&place, "exec >&-;").await?;
    Ok(())
}

#[tokio::test]
async fn a_cluster_comes_up_in_the_home_of_root() -> Result<()> {
    let home = PathBuf::from("/root");
    // Only root may write there.
    let Ok(place) = tempfile::Builder::new().prefix("spike-hour-").tempdir_in(&home) else {
        return Ok(());
    };
    assert!(errand(place.path(), "").await?.ends_with("v\n"));
    Ok(())
}

#[tokio::test]
async fn when_a_daemon_ends_its_own_message_is_shown() -> Result<()> {
    let refused = scenario()
        .backend(Backend::Sqlite)
        .setting("SPIKE_NEXUS_DATA_DIR", "/etc/spike")
        .start()
        .await;
    let error = format!("{:#}", refused.err().context("it started")?);
    assert!(error.contains("nexus ended with exit status: 78"), "{error}");
    assert!(error.contains("/etc/spike belongs to the system"), "{error}");
    Ok(())
}
