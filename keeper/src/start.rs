//! Starts and ends a Keeper.

use std::{process::ExitCode, sync::Arc, time::Duration};

use spike_config::{Environment, Process};
use spike_daemon::{
    audit::AuditLog,
    http::{Frame, RequestMetrics},
    process::{self as daemon, Daemon, FrameSettings, Program, StartError},
    serve::{ConnectionMetrics, Listener, Serving},
    settings::KeeperSettings,
    telemetry::{Effect, Telemetry},
};
use spike_domain::Role;
use spike_mtls::{
    PeerRule,
    settings::{OwnTrustDomain, foreign_roots},
};
use spike_wire::KeeperOperation;

use crate::{keeper::Keeper, note::BootstrapNote, routes};

/// The program, as `--help` shows it.
pub const PROGRAM: Program = Program {
    name: "keeper",
    about: "SPIKE Keeper: holds one share of the root key, in memory only",
};

/// The roles that may connect, beside those that read the metrics. Any other peer fails in the handshake.
const CALLERS: &[Role] = &[Role::Nexus, Role::Bootstrap];

/// Runs a Keeper with these arguments and this environment, from start to exit status.
pub fn run(arguments: impl IntoIterator<Item = String>, environment: &Environment) -> ExitCode {
    let frame = |settings: &KeeperSettings| FrameSettings {
        log: settings.log,
        audit: settings.audit.clone(),
        telemetry: settings.telemetry.clone(),
        drain: settings.server.drain_timeout,
        foreign_roots: foreign_roots(
            &settings.identity.trust_roots,
            Process::Keeper,
            OwnTrustDomain::Unknown,
        ),
    };
    daemon::run(PROGRAM, arguments, environment, KeeperSettings::load, frame, start)
}

/// A running Keeper.
#[derive(Debug)]
pub struct Running {
    keeper: Arc<Keeper>,
    serving: Serving,
}

/// Starts a Keeper: waits for an identity, opens the port, and then waits for a share.
///
/// # Errors
/// It cannot serve: it has the wrong identity, or the port is in use.
pub async fn start(
    settings: KeeperSettings,
    telemetry: Telemetry,
    audit: AuditLog,
) -> Result<Running, StartError> {
    let source = daemon::identity(&telemetry, &settings.identity, Role::Keeper).await?;
    let roots = settings.identity.trust_roots;
    let labels = KeeperOperation::ALL.iter().copied().map(KeeperOperation::label);
    let frame = Frame::with_scrapers(
        audit,
        RequestMetrics::new(labels),
        settings.server.requests,
        daemon::scrapers(&settings.telemetry, &telemetry),
    );
    let keeper = Arc::new(Keeper::new(Arc::clone(&roots), frame));
    let connections = ConnectionMetrics::default();
    watch(&keeper, BootstrapNote::at(settings.bootstrap_note), &telemetry);
    telemetry.register(|registry| connections.register(registry));
    let listener = Listener::bind(&settings.listen.sockets()?).await.map_err(|error| {
        format!("cannot listen on {} (SPIKE_KEEPER_TLS_PORT): {error}", settings.listen)
    })?;
    tracing::info!(address = %listener.address(), "listening");
    let rule = PeerRule::RolesOr(CALLERS, roots, settings.telemetry.scrapers);
    let app = routes::app(&keeper);
    let serving = listener.serve(&source, rule, settings.server.limits, connections, app)?;
    let threads = serving.watch();
    telemetry.health().add("serving_threads", Effect::Degraded, move |_| threads());
    Ok(Running { keeper, serving })
}

impl Daemon for Running {
    async fn drain(self, bound: Duration) -> bool {
        let frame = self.keeper.frame();
        let finished = frame.drain(&self.serving, bound).await;
        self.keeper.wipe();
        frame.settle(self.serving).await;
        finished
    }
}

/// Adds the health checks and metrics of a Keeper.
fn watch(keeper: &Arc<Keeper>, note: BootstrapNote, telemetry: &Telemetry) {
    let health = telemetry.health();
    let share = Arc::clone(keeper);
    let disk = "of SPIKE_KEEPER_BOOTSTRAP_NOTE";
    health.add_on_disk("share", Effect::NotReady, disk, move |_| note.excuse(share.check()));
    telemetry.register(|registry| keeper.register(registry));
}
