//! Calls to the system that fail, or take long.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use spike_tests::{PATIENCE, crew::Crew, eventually};

/// In how many looks in a row a thread has to be stopped.
const LOOKS: u32 = 10;

/// strace, attached to Nexus, which makes calls to the system fail, or take long. Dropping it detaches it.
pub(crate) struct TamperedCalls(Child);

impl TamperedCalls {
    /// Every sync of a file. `injected` is what happens to it, as strace writes it: `error=EIO`. `None` where strace cannot be used.
    pub(crate) async fn syncs(crew: &mut Crew, injected: &str) -> Result<Option<Self>> {
        Self::syncs_of(nexus(crew)?, injected).await
    }

    /// Every read at a place of a file, which is how SQLite reads.
    pub(crate) async fn reads(crew: &mut Crew, injected: &str) -> Result<Option<Self>> {
        Self::attach(&nexus(crew)?.to_string(), ("pread64", injected), &["-f"]).await
    }

    /// Every sync of a file, by any thread of the process.
    pub(crate) async fn syncs_of(pid: u32, injected: &str) -> Result<Option<Self>> {
        Self::attach(&pid.to_string(), ("fsync,fdatasync", injected), &["-f"]).await
    }

    /// Every write to `file` by the thread `name` of the process.
    pub(crate) async fn writes_of_thread(
        (pid, name): (u32, &str),
        file: &Path,
        injected: &str,
    ) -> Result<Option<Self>> {
        let file = file.to_str().context("a path that is text")?;
        Self::attach(&thread_id(pid, name)?, ("write", injected), &["-P", file]).await
    }

    /// Every one of these calls by the thread `name` of the process does not return for minutes.
    pub(crate) async fn of_thread((pid, name): (u32, &str), calls: &str) -> Result<Option<Self>> {
        Self::attach(&thread_id(pid, name)?, (calls, "delay_enter=600000000"), &[]).await
    }

    /// Every one of these calls of the process about one of `files` does not return for minutes, as where a network file system is
    /// away.
    pub(crate) async fn of_files(pid: u32, calls: &str, files: &[&Path]) -> Result<Option<Self>> {
        let mut options = vec!["-f"];
        for file in files {
            options.extend(["-P", file.to_str().context("a path that is text")?]);
        }
        Self::attach(&pid.to_string(), (calls, "delay_enter=600000000"), &options).await
    }

    /// Waits until a thread of the process is held.
    pub(crate) async fn held(&self, pid: u32) -> Result<()> {
        let mut looks = BTreeMap::new();
        // For a moment, strace stops a thread with any call.
        eventually("a thread that is held", PATIENCE, async || {
            let mut longest = 0;
            for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
                let entry = entry?;
                let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
                let count: &mut u32 = looks.entry(entry.file_name()).or_default();
                *count = if status.contains("State:\tt") { *count + 1 } else { 0 };
                longest = longest.max(*count);
            }
            Ok((longest >= LOOKS).then_some(()))
        })
        .await
    }

    /// Waits until the process has ended, within `limit`, and lets go of it: until then, nobody else sees its end.
    pub(crate) async fn sees_the_end(self, pid: u32, limit: Duration) -> Result<()> {
        eventually("the end", limit, async || {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            Ok(status.contains("State:\tZ").then_some(()))
        })
        .await
    }

    async fn attach(
        id: &str,
        (calls, injected): (&str, &str),
        options: &[&str],
    ) -> Result<Option<Self>> {
        let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{injected}"));
        let started = Command::new("strace")
            .args(options)
            .args(["-p", id, "-e", &trace, "-e", &inject, "-o", "/dev/null"])
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else { return Ok(None) };
        let tampered = Self(child);
        let status = format!("/proc/{id}/status");
        let attached = eventually("strace", PATIENCE, async || {
            let status = fs::read_to_string(&status)?;
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            Ok(tracer.is_some_and(|tracer| tracer.trim() != "0").then_some(()))
        });
        Ok(attached.await.is_ok().then_some(tampered))
    }
}

fn nexus(crew: &mut Crew) -> Result<u32> {
    crew.nexus().pid().context("no Nexus")
}

fn thread_id(pid: u32, name: &str) -> Result<String> {
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let entry = entry?;
        if fs::read_to_string(entry.path().join("comm"))?.trim() == name {
            return entry.file_name().into_string().ok().context("a number");
        }
    }
    anyhow::bail!("no thread {name}")
}

impl Drop for TamperedCalls {
    fn drop(&mut self) {
        // Detaches, and Nexus goes on; it has ended where that fails.
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}
