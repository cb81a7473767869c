//! The environment of a crew: its certificate authority, and scripts around its programs.

use anyhow::{Result, ensure};
use spiffe::SpiffeId;
use spike_dev::ca::Ca;
use tokio::process::Command;

use super::Crew;

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
}
