//! The `spike` command as a person runs it: the program of the cluster, in a terminal's environment and no other.

use std::{process::Stdio, str};

use anyhow::{Context, Result};
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{PATIENCE, Running};

/// How a command ended and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The exit status; none when a signal ended it.
    pub status: Option<i32>,
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// Standard output as text.
    ///
    /// # Errors
    /// Where it is none.
    pub fn text(&self) -> Result<&str> {
        Ok(str::from_utf8(&self.stdout)?)
    }

    /// What a command that must succeed printed.
    ///
    /// # Errors
    /// Where it did not succeed, with what it said.
    pub fn done(&self) -> Result<&str> {
        anyhow::ensure!(self.status == Some(0), "{self:?}");
        self.text()
    }
}

impl Running {
    /// Runs `spike` with these arguments and nothing on standard input.
    ///
    /// # Errors
    /// Where it does not end within [`PATIENCE`].
    pub async fn spike(&self, arguments: &[&str]) -> Result<Said> {
        self.spike_with(arguments, b"").await
    }

    /// Runs `spike` with these arguments and `input` on standard input. The Workload API knows it by its name: it is the
    /// superuser.
    ///
    /// # Errors
    /// Where it does not end within [`PATIENCE`].
    pub async fn spike_with(&self, arguments: &[&str], input: &[u8]) -> Result<Said> {
        let mut command = self.command("spike");
        command.args(arguments).current_dir(self.dir());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        let fed = async {
            let written = stdin.write_all(input).await;
            drop(stdin);
            match written {
                // A command that does not read its input may be gone by now.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        };
        let ended = async { tokio::try_join!(fed, child.wait_with_output()) };
        let ((), output) = timeout(PATIENCE, ended).await.context("spike does not end")??;
        Ok(Said {
            status: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr)?,
        })
    }
}
