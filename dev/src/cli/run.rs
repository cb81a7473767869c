//! `spike-dev run`: a cluster that lasts as long as one command.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitCode, ExitStatus},
};

use tokio::process::Command;

use super::{
    Failure, Options, complain, runtime,
    up::{READY_LIMIT, federate, join_settings, open_control},
};
use crate::{cluster::Cluster, temporary::TemporaryDir};

pub(super) fn run(
    dir: Option<PathBuf>,
    options: &Options,
    command: &[OsString],
) -> Result<ExitCode, Failure> {
    // Removed when it is dropped.
    let (dir, _fresh) = if let Some(dir) = dir {
        (dir, None)
    } else {
        let fresh = TemporaryDir::new()?;
        (fresh.path().to_owned(), Some(fresh))
    };
    let config = options.config(dir, false)?;
    let status = runtime()?.block_on(async {
        let mut cluster = Cluster::start(&config).await?;
        federate(&cluster, options).await?;
        let _control = open_control(&cluster)?;
        cluster.unseal(READY_LIMIT).await?;
        cluster.ready(READY_LIMIT).await?;
        let status = run_in(&cluster, command).await;
        if !cluster.stop().await {
            complain("a daemon did not end cleanly");
        }
        status
    })?;
    Ok(as_exit_code(status))
}

async fn run_in(cluster: &Cluster, command: &[OsString]) -> Result<ExitStatus, Failure> {
    let [program, arguments @ ..] = command else {
        return Err("no command".into());
    };
    // PATH belongs to the shell, so it is no setting of the cluster.
    #[expect(clippy::disallowed_methods, reason = "PATH is not a setting of SPIKE")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let bin = cluster.bin().to_owned();
    let paths = std::iter::once(bin).chain(std::env::split_paths(&path));
    let status = Command::new(program)
        .args(arguments)
        .envs(join_settings(cluster))
        .env("PATH", std::env::join_paths(paths)?)
        .status()
        .await
        .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    Ok(status)
}

/// The exit code of a shell: the status itself, or 128 plus the number of the signal.
fn as_exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
