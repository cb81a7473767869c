//! A Workload API that identifies processes by user and executable, like a SPIRE agent. It runs as root, serves every user, and
//! knows only the entries of its file. It is for the tests of units and images without SPIRE.

use std::{
    error::Error,
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use spiffe::{SpiffeId, TrustDomain};
use spike_dev::{
    ca::Ca,
    workload_api::{Config, Registry, WorkloadApi},
};
use spike_mtls::clock;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: workload-api SOCKET STATE_DIR TRUST_DOMAIN ENTRIES SVID_SECONDS";

/// Serves until SIGTERM. `ENTRIES` is a file with a line for each entry: user number, executable, path of the SPIFFE ID.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let served = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(serve(&arguments.collect::<Vec<_>>())));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = writeln!(std::io::stderr(), "error: {error}");
            if told.is_ok() { ExitCode::FAILURE } else { ExitCode::from(2) }
        }
    }
}

async fn serve(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [socket, state, trust_domain, entries, seconds] = arguments else {
        return Err(USAGE.into());
    };
    let trust_domain = TrustDomain::new(trust_domain)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let ca = Ca::load_or_new(Path::new(state), trust_domain.clone(), clock::now())?;
    let running = WorkloadApi::start(Config {
        socket: socket.into(),
        ca: Arc::new(ca),
        svid_ttl: Duration::from_secs(seconds.parse()?),
    })
    .await?;
    for line in fs::read_to_string(entries)?.lines().filter(|line| !line.trim().is_empty()) {
        select(running.registry(), &trust_domain, line)?;
    }
    // The last step, so that no other user can connect before the entries are there.
    fs::set_permissions(socket, Permissions::from_mode(0o666))?;
    terminate.recv().await;
    running.shutdown().await;
    Ok(())
}

fn select(
    registry: &Registry,
    trust_domain: &TrustDomain,
    line: &str,
) -> Result<(), Box<dyn Error>> {
    let mut words = line.split_whitespace();
    let (Some(uid), Some(executable), Some(path), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("{line:?}: expected a user number, an executable and a path").into());
    };
    let id = SpiffeId::new(format!("{}{path}", trust_domain.id_string()))?;
    registry.select(uid.parse()?, executable.into(), id)?;
    Ok(())
}
