//! `spike-dev up`: a cluster that stays until Ctrl-C.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use super::{DEFAULT_DIR, DIR_VARIABLE, Failure, Options, complain, runtime, say};
use crate::{
    cluster::{Cluster, Ended, FederationError},
    control::{self, Control},
    private,
    shell_word::{quoted, word},
};

/// How long a cluster may take to become ready.
pub(super) const READY_LIMIT: Duration = Duration::from_mins(1);
/// The pause before a daemon that has ended is started again, so that a daemon that cannot start does not use all CPU time.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

pub(super) fn up(dir: Option<PathBuf>, options: &Options) -> Result<ExitCode, Failure> {
    let dir = dir.unwrap_or_else(|| PathBuf::from(DEFAULT_DIR));
    let config = options.config(dir, true)?;
    runtime()?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut cluster = Cluster::start(&config).await?;
        federate(&cluster, options).await?;
        let _control = open_control(&cluster)?;
        let come_up = async {
            cluster.unseal(READY_LIMIT).await?;
            cluster.ready(READY_LIMIT).await
        };
        tokio::select! {
            ready = come_up => ready?,
            _ = interrupt.recv() => return end(cluster).await,
            _ = terminate.recv() => return end(cluster).await,
        }
        write_env(&cluster)?;
        say(&what_runs(&cluster, options));
        loop {
            tokio::select! {
                restarted = cluster.restart_next(RESTART_PAUSE) => {
                    let Ended { name, status, told, next } = restarted?;
                    let reason = if told.is_empty() { String::new() } else { format!(":\n{told}") };
                    let pid = next.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                    complain(&format!("{name} ended with {status}{reason}\n{name} was started again{pid}"));
                }
                _ = interrupt.recv() => return end(cluster).await,
                _ = terminate.recv() => return end(cluster).await,
            }
        }
    })
}

async fn end(cluster: Cluster) -> Result<ExitCode, Failure> {
    complain("ending");
    let env = cluster.dir().join("env");
    let logs = cluster.dir().join("logs");
    let clean = cluster.stop().await;
    if !clean {
        complain(&format!("a daemon did not end cleanly; its log is in {}", logs.display()));
    }
    // A second terminal must not use a cluster that has ended.
    if let Err(error) = fs::remove_file(&env)
        && error.kind() != ErrorKind::NotFound
    {
        complain(&format!("{} stays behind: {error}", env.display()));
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) fn open_control(cluster: &Cluster) -> std::io::Result<Control> {
    control::listen(cluster.dir(), Arc::clone(cluster.trust_domains()))
}

/// Federates the trust domains that the options name.
pub(super) async fn federate(cluster: &Cluster, options: &Options) -> Result<(), FederationError> {
    for domain in &options.federate {
        cluster.trust_domains().federate(domain).await?;
    }
    Ok(())
}

/// Writes `DIR/env`, by which a shell joins the cluster. It is written when everything is ready, and whole.
fn write_env(cluster: &Cluster) -> std::io::Result<()> {
    let bin = quoted(&cluster.bin().display().to_string());
    let exports = join_settings(cluster)
        .into_iter()
        .map(|(name, value)| format!("export {name}={}", quoted(&value)));
    let lines: Vec<String> =
        std::iter::once("# Use the cluster in this shell: . DIR/env".to_owned())
            .chain(exports)
            .chain([format!("export PATH={bin}\":$PATH\""), String::new()])
            .collect();
    // A shell runs what is in it, so nobody else may write it.
    private::replace(&cluster.dir().join("env"), &lines.join("\n"))
}

/// Everything that a command needs to use the cluster, except `PATH`.
pub(super) fn join_settings(cluster: &Cluster) -> Vec<(String, String)> {
    let mut settings = cluster.client_settings();
    settings.push((DIR_VARIABLE.to_owned(), cluster.dir().display().to_string()));
    settings
}

fn what_runs(cluster: &Cluster, options: &Options) -> String {
    let mut lines = vec![
        format!(
            "SPIKE is up: trust domain {}, SVIDs last {:?}.",
            options.trust_domain, options.svid_ttl
        ),
        String::new(),
        format!("  {:<14}{}", "Workload API", cluster.workload_api().endpoint()),
    ];
    let federated = options.federate.iter().map(|domain| format!("  {:<14}{domain}", "federated"));
    lines.extend(federated);
    for daemon in cluster.daemons() {
        let pid = daemon.pid().map_or_else(String::new, |pid| format!("pid {pid}, "));
        let (name, port, telemetry) = (daemon.name(), daemon.tls().port(), daemon.telemetry());
        lines.push(format!(
            "  {name:<14}https://localhost:{port} ({pid}health http://{telemetry}/healthz)"
        ));
        lines.push(format!("  {:<14}log {}", "", shown(daemon.log())));
    }
    lines.push(format!(
        "\nIn a second terminal:\n\n  \
           . {}\n  \
           spike secret put tenants/acme/db user=app pass=s3cr3t\n  \
           spike secret get tenants/acme/db\n\n\
         Ctrl-C ends everything.",
        word(&shown(&cluster.dir().join("env"))),
    ));
    lines.join("\n")
}

/// A path, relative to the current directory if it is below.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
