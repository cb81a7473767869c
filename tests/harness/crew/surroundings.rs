//! The environment of a crew: its certificate authority, scripts around its programs, and programs that run beside them.

use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use spiffe::SpiffeId;
use spike_dev::ca::Ca;
use tokio::process::Command;

use super::Crew;
use crate::PATIENCE;

impl Crew {
    /// Replaces a program by a shell script, which starts it with `"$PROGRAM" "$@"`.
    ///
    /// # Errors
    /// If the script cannot be written.
    pub async fn wrap(&self, program: &str, script: &str) -> Result<()> {
        let (bin, real) = (self.dir().join("bin"), self.dir().join("wrapped"));
        std::fs::create_dir_all(&real)?;
        let (program, moved) = (bin.join(program), real.join(program));
        std::fs::rename(&program, &moved)?;
        let script = format!("#!/bin/sh\nPROGRAM='{}'\n{script}\n", moved.display());
        // Another process writes it: a child that is forked meanwhile could not run a file that this process has open for writing.
        let written = Command::new("sh")
            .args(["-c", r#"printf %s "$1" > "$2" && chmod 755 "$2""#, "sh", &script])
            .arg(&program)
            .status()
            .await?;
        ensure!(written.success(), "cannot write {}", program.display());
        Ok(())
    }

    /// Restores the program that [`Self::wrap`] replaced.
    ///
    /// # Errors
    /// If it was not wrapped.
    pub fn undo_wrap(&self, program: &str) -> Result<()> {
        std::fs::rename(
            self.dir().join("wrapped").join(program),
            self.dir().join("bin").join(program),
        )?;
        Ok(())
    }

    /// The authority that every daemon of the crew trusts.
    pub fn ca(&self) -> &Ca {
        self.cluster.workload_api().ca()
    }

    /// The SPIFFE ID with this path.
    ///
    /// # Errors
    /// If there is no SPIFFE ID with this path.
    pub fn spiffe_id(&self, path: &str) -> Result<SpiffeId> {
        Ok(self.cluster.spiffe_id(path)?)
    }

    /// Runs `spike` under the SPIFFE ID with this path, to its end.
    ///
    /// # Errors
    /// Where it does not start, or does not end.
    pub async fn pilot(&self, path: &str, arguments: &[&str]) -> Result<Output> {
        self.pilot_with(path, arguments, &[]).await
    }

    /// The same, with settings in place of those that a client of the crew has.
    ///
    /// # Errors
    /// As [`Self::pilot`].
    pub async fn pilot_with(
        &self,
        path: &str,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Result<Output> {
        let mut command = self.client("spike");
        command.args(arguments).envs(settings.iter().copied());
        let id = self.cluster.spiffe_id(path)?;
        let registry = self.cluster.workload_api().registry();
        let (child, _registration) = registry.spawn(&mut command, id)?;
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output());
        Ok(ended.await.context("spike does not end")??)
    }

    /// A program with the settings of a client, to be started by the test under an identity of its choice, or without one.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.dir().join("bin").join(program));
        command.env_clear().envs(self.cluster.client_settings());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }
}
