//! Runs the `spike` command of the cluster with the environment of a terminal.

use std::{process::Stdio, str};

use anyhow::{Context, Result};
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{PATIENCE, Running};

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PilotRun {
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl PilotRun {
    /// Standard output as text.
    ///
    /// # Errors
    /// If it is not text.
    pub fn text(&self) -> Result<&str> {
        Ok(str::from_utf8(&self.stdout)?)
    }

    /// The output of a command that must succeed.
    ///
    /// # Errors
    /// Both outputs, if it failed.
    pub fn done(&self) -> Result<&str> {
        anyhow::ensure!(self.status == Some(0), "{self:?}");
        self.text()
    }
}

impl Running {
    /// Runs `spike` with these arguments and nothing on standard input.
    ///
    /// # Errors
    /// If it does not end within [`PATIENCE`].
    pub async fn spike(&self, arguments: &[&str]) -> Result<PilotRun> {
        self.spike_with(arguments, b"").await
    }

    /// Runs `spike` with these arguments and `input` on standard input, as the superuser: the Workload API gives it that SPIFFE
    /// ID by its name.
    ///
    /// # Errors
    /// If it does not end within [`PATIENCE`].
    pub async fn spike_with(&self, arguments: &[&str], input: &[u8]) -> Result<PilotRun> {
        let mut command = self.command("spike");
        command.args(arguments).current_dir(self.dir());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        let fed = async {
            let written = stdin.write_all(input).await;
            drop(stdin);
            match written {
                // A command that does not read its input may have ended.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        };
        let ended = async { tokio::try_join!(fed, child.wait_with_output()) };
        let ((), output) = timeout(PATIENCE, ended).await.context("spike does not end")??;
        Ok(PilotRun {
            status: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr)?,
        })
    }
}
