//! A socket of the Workload API that the user of a program may not open: the program says which file keeps it out, and does not
//! wait for that to change.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::UnixListener,
        process::CommandExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, Result};
use spike_tests::PATIENCE;
use tempfile::TempDir;

const NOBODY: u32 = 65534;

/// Programs that an unprivileged user may run, and a socket that it may not open.
struct Place {
    directory: TempDir,
    user: Option<u32>,
    _listener: UnixListener,
}

impl Place {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("spike-forbidden-").tempdir()?;
        let at = directory.path();
        fs::set_permissions(at, Permissions::from_mode(0o755))?;
        for program in ["spike", "bootstrap"] {
            fs::copy(env!("CARGO_BIN_EXE_spike-programs"), at.join(program))?;
        }
        // A user who is not root may open a socket of its own unless its mode forbids that.
        let user = rustix::process::geteuid().is_root().then_some(NOBODY);
        let listener = UnixListener::bind(at.join("agent.sock"))?;
        let mode = if user.is_some() { 0o600 } else { 0 };
        fs::set_permissions(at.join("agent.sock"), Permissions::from_mode(mode))?;
        fs::create_dir(at.join("state"))?;
        chown(at.join("state"), user, user)?;
        Ok(Self { directory, user, _listener: listener })
    }

    fn at(&self) -> &Path {
        self.directory.path()
    }

    /// Runs the program, which would wait for hours, and returns its exit status and messages.
    async fn run(&self, program: &str, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = std::process::Command::new(self.at().join(program));
        command
            .args(arguments)
            .current_dir(self.at())
            .env_clear()
            .env("SPIFFE_ENDPOINT_SOCKET", format!("unix://{}/agent.sock", self.at().display()))
            .env("SPIKE_SPIFFE_SOURCE_TIMEOUT", "5h")
            .env("SPIKE_NEXUS_KEEPER_PEERS", "https://localhost:1")
            .env("SPIKE_NEXUS_SHAMIR_SHARES", "1")
            .env("SPIKE_NEXUS_SHAMIR_THRESHOLD", "1")
            .env("SPIKE_BOOTSTRAP_STATE_DIR", self.at().join("state"));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut command = tokio::process::Command::from(command);
        let ended = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output());
        let output = ended.await.context("it waits for a change that does not come")??;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    }

    fn says(&self, told: &str) {
        let user = self.user.unwrap_or_else(|| rustix::process::geteuid().as_raw());
        let mode = if self.user.is_some() { "0600" } else { "0000" };
        let socket = self.at().join("agent.sock");
        for part in [
            format!("this user (uid {user}) may not open the socket {}", socket.display()),
            format!("which has mode {mode} and belongs to uid "),
            "hint: give this user the right to reach the socket".to_owned(),
        ] {
            assert!(told.contains(&part), "{part}: {told}");
        }
        assert!(!told.contains("does the SPIFFE agent run"), "{told}");
    }
}

/// It asked whether the agent runs, after the whole time.
#[tokio::test]
async fn spike_says_which_socket_its_user_may_not_open_and_does_not_wait() -> Result<()> {
    let place = Place::new()?;
    let (status, told) = place.run("spike", &["secret", "list"]).await?;
    assert_eq!(status, Some(6), "{told}");
    place.says(&told);
    Ok(())
}

#[tokio::test]
async fn bootstrap_says_which_socket_its_user_may_not_open_and_does_not_wait() -> Result<()> {
    let place = Place::new()?;
    let (status, told) = place.run("bootstrap", &["-init"]).await?;
    assert_eq!(status, Some(1), "{told}");
    place.says(&told);
    Ok(())
}
