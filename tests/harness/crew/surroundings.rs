//! What is around the daemons of a crew: who vouches for them, and what they run in.

use anyhow::{Result, ensure};
use spiffe::SpiffeId;
use spike_dev::ca::Ca;
use tokio::process::Command;

use super::Crew;

impl Crew {
    /// Puts a shell script in the place of a program, which is started by it: `"$PROGRAM" "$@"`.
    ///
    /// # Errors
    /// Where the script cannot be written.
    pub async fn wrap(&self, program: &str, script: &str) -> Result<()> {
        let (bin, real) = (self.dir().join("bin"), self.dir().join("wrapped"));
        std::fs::create_dir_all(&real)?;
        let (program, moved) = (bin.join(program), real.join(program));
        std::fs::rename(&program, &moved)?;
        let script = format!("#!/bin/sh\nPROGRAM='{}'\n{script}\n", moved.display());
        // By another process: a file that this one has open for writing cannot be run by a child that is forked meanwhile.
        let written = Command::new("sh")
            .args(["-c", r#"printf %s "$1" > "$2" && chmod 755 "$2""#, "sh", &script])
            .arg(&program)
            .status()
            .await?;
        ensure!(written.success(), "cannot write {}", program.display());
        Ok(())
    }

    /// Puts the program of [`Self::wrap`] back.
    ///
    /// # Errors
    /// Where it was not wrapped.
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
    /// Where it is none.
    pub fn spiffe_id(&self, path: &str) -> Result<SpiffeId> {
        Ok(self.cluster.spiffe_id(path)?)
    }
}
