//! The first hour of a new user: a cluster comes up wherever the clone is, and says why where it does not.

use std::{
    fs::Permissions,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
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

/// Nobody, to the system.
const NOBODY: u32 = 65534;

/// Puts a secret and gets it back, with the programs that are on `PATH`.
const ERRAND: &str = "spike secret put a/b k=v && spike secret get a/b k";

/// One run of [`ERRAND`].
struct Errand<'a> {
    program: &'a Path,
    /// The current directory.
    place: &'a Path,
    /// The state directory.
    dir: &'a Path,
    /// What the shell does first.
    shell: &'a str,
    /// Another user than that of the tests.
    user: Option<u32>,
}

impl Errand<'_> {
    /// Gives back what was printed.
    async fn run(&self) -> Result<String> {
        let mut command = std::process::Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{} exec \"$0\" run --dir \"$1\" -- sh -c '{ERRAND}'", self.shell))
            .args([self.program, self.dir])
            .current_dir(self.place)
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut command = Command::from(command);
        let ended = tokio::time::timeout(LIMIT, command.kill_on_drop(true).output()).await;
        let output = ended.with_context(|| format!("{} does not end", self.place.display()))??;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        let place = self.place.display();
        ensure!(output.status.success(), "{place}: {}\n{printed}\n{told}", output.status);
        Ok(printed)
    }
}

/// Runs [`ERRAND`] in a cluster below `place`.
async fn errand(place: &Path, shell: &str) -> Result<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_spike-programs"));
    Errand { program, place, dir: Path::new(".spike-dev"), shell, user: None }.run().await
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
async fn a_cluster_of_an_unprivileged_user_comes_up_beside_a_source_tree_that_is_read_only()
-> Result<()> {
    let parent = tempfile::Builder::new().prefix("spike-hour-").tempdir()?;
    let (tree, elsewhere) = (parent.path().join("tree"), parent.path().join("elsewhere"));
    std::fs::create_dir(&tree)?;
    std::fs::create_dir(&elsewhere)?;
    let program = tree.join("spike-dev");
    std::fs::copy(env!("CARGO_BIN_EXE_spike-programs"), &program)?;
    std::fs::set_permissions(&tree, Permissions::from_mode(0o555))?;
    // Nothing is read-only to root.
    let user = rustix::process::geteuid().is_root().then_some(NOBODY);
    if user.is_some() {
        std::fs::set_permissions(parent.path(), Permissions::from_mode(0o755))?;
        chown(&elsewhere, user, user)?;
    }
    let errand = Errand { program: &program, place: &tree, dir: &elsewhere, shell: "", user };
    let printed = errand.run().await;
    std::fs::set_permissions(&tree, Permissions::from_mode(0o755))?;
    assert!(printed?.ends_with("v\n"));
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
