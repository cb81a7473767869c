//! Go's HTTP client, in a process of its own: see `go-client/main.go`.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use spike_tests::{Credential, build_go};
use tokio::process::Command;

use super::{Arguments, Connections};

const SOURCE: &str = "benches/throughput/go-client";

/// The program, once it is built.
pub(super) struct GoClient {
    /// Of the program and its files.
    dir: PathBuf,
}

impl GoClient {
    /// Builds it below `dir`. It needs no module of others.
    pub(super) async fn build(dir: &Path) -> Result<Self> {
        let dir = dir.join("go-client");
        fs::create_dir(&dir)?;
        let out = dir.join("client");
        let built = tokio::task::spawn_blocking(move || build_go(SOURCE, &[], &out)).await??;
        ensure!(built, "no go on PATH; without it, measure with --client bare");
        Ok(Self { dir })
    }

    /// How many calls there were, and in what time.
    pub(super) async fn calls(
        &self,
        address: SocketAddr,
        credential: &Credential,
        (connections, arguments): (Connections, &Arguments),
    ) -> Result<(u32, Duration)> {
        let (chain, key) = (self.dir.join("leaf.der"), self.dir.join("key.der"));
        let leaf = credential.chain().into_iter().next().context("no leaf")?;
        fs::write(&chain, &leaf)?;
        fs::write(&key, credential.key().secret_der())?;
        let output = Command::new(self.dir.join("client"))
            .args(["-address", &address.to_string()])
            .arg("-chain")
            .arg(chain)
            .arg("-key")
            .arg(key)
            .args(["-connections", &arguments.connections.to_string()])
            .args(["-seconds", &arguments.seconds.to_string()])
            .args(["-secrets", &arguments.secrets.to_string()])
            .arg(format!("-new={}", connections == Connections::New))
            .output()
            .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8(output.stdout)?;
        let (calls, seconds) = told.trim().split_once(' ').context("the client told nothing")?;
        Ok((calls.parse()?, Duration::from_secs_f64(seconds.parse()?)))
    }
}
