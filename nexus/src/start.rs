//! Starts and stops Nexus.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use spike_config::{Environment, Process};
use spike_crypto::{Quorum, RootKey};
use spike_daemon::{
    audit::AuditLog,
    http::{Frame, RequestMetrics},
    process::{self as daemon, Daemon, FrameSettings, Program, StartError, chain},
    serve::{ConnectionMetrics, Listener, Serving},
    settings::{Backend, DatabaseSettings, JournalMode, NexusSettings, ReservedPaths},
    telemetry::{Effect, Telemetry},
};
use spike_domain::Role;
use spike_mtls::{
    PeerRule, clock,
    settings::{OwnTrustDomain, foreign_roots},
    svid::SvidSource,
};
use spike_wire::Operation;
use tokio::time::{Instant, timeout_at};

use crate::{
    access::Access,
    cache_metrics::CacheMetrics,
    keys::quorum::{
        Adopter, Connection, DataDirectory, KeeperMetrics, Keepers, Restoration, Tending, Timing,
        quorum_check,
    },
    keys::seal::{Hindrance, Seal, Unsealed},
    keys::{KeySource, Shares},
    offline, policies,
    policy::ReservedRule,
    serve,
    service::{Nexus, Parts, trust_domains::HeldTrustDomains},
    store::{self, Found, Home, Look, Looks, NoAnswer, Options, Store},
    store_watch::{
        StoreFileMetrics, StoreMetrics, import_check, loss_check, read_check, write_check,
    },
};

/// The program, as `--help` shows it.
pub const PROGRAM: Program = Program {
    name: "nexus",
    about: "SPIKE Nexus: the encrypted secret store\n\n\
            Backups have commands of their own: nexus backup --help",
};

/// Runs Nexus with these arguments and this environment, from start to exit status; or a command for backups.
pub fn run(arguments: impl IntoIterator<Item = String>, environment: &Environment) -> ExitCode {
    let arguments: Vec<String> = arguments.into_iter().collect();
    if let Some(status) = offline::run(&arguments) {
        return status;
    }
    let frame = |settings: &NexusSettings| FrameSettings {
        log: settings.log,
        audit: settings.audit.clone(),
        telemetry: settings.telemetry.clone(),
        drain: settings.server.drain_timeout,
        foreign_roots: foreign_roots(
            &settings.identity.trust_roots,
            Process::Nexus,
            OwnTrustDomain::Unknown,
        ),
    };
    daemon::run(PROGRAM, arguments, environment, NexusSettings::load, frame, start)
}

/// How long the store may take to close at least, however long the requests took to finish: more than a slow disk needs, and with
/// the default of the drain time less than a service manager waits.
const CLOSE_TIME: Duration = Duration::from_secs(8);

/// Why there is no root key at first.
const NO_SHARE: &str = "no Keeper has sent a share yet";

/// Where the files of the store are, for its checks.
const DISK: &str = "of the data directory";

/// A running Nexus.
#[derive(Debug)]
pub struct Running {
    seal: Arc<Seal>,
    frame: Arc<Frame>,
    serving: Serving,
    tending: Option<(Tending, Option<Tending>)>,
}

/// Starts Nexus: waits for an identity, opens the port, and gets the root key from the source of the backend.
///
/// The port is open before there is a key, and answers 503 until then.
///
/// # Errors
/// It cannot serve: it has the wrong identity, or the port is in use.
pub async fn start(
    settings: NexusSettings,
    telemetry: Telemetry,
    audit: AuditLog,
) -> Result<Running, StartError> {
    let source = daemon::identity(&telemetry, &settings.identity, Role::Nexus).await?;
    let seal = Arc::new(Seal::sealed(NO_SHARE));
    watch_seal(&seal, &telemetry);
    let key_source = key_source(&settings, &seal, &source).await?;
    let unused_data = settings.unused_data.clone().map(Home::File);
    tell_unused(settings.backend, unused_data.as_ref()).await;
    let keepers = key_source.keepers().map(Arc::clone);
    let restoration = key_source.shares().ok().map(|shares| Arc::clone(&shares.restoration));
    let frame = Frame::with_scrapers(
        audit,
        RequestMetrics::new(Operation::ALL.iter().copied().map(Operation::label)),
        settings.server.requests,
        daemon::scrapers(&settings.telemetry, &telemetry),
    );
    let nexus = Arc::new(Nexus::new(Parts {
        access: Access::new(
            Arc::clone(&settings.identity.trust_roots),
            Arc::clone(&seal),
            match settings.reserved_paths {
                ReservedPaths::Pattern => ReservedRule::Pattern,
                ReservedPaths::Literal => ReservedRule::Literal,
            },
        ),
        seal: Arc::clone(&seal),
        key_source,
        unused_data,
        max_ciphertext: settings.max_ciphertext_size,
        frame: Arc::clone(&frame),
        health: telemetry.health().view(),
        trust_domains: HeldTrustDomains::of(source.clone()),
    }));
    telemetry.register(|registry| nexus.register(registry));
    if let Some(keepers) = &keepers {
        let adopter = Arc::clone(keepers.adopter());
        telemetry.health().add("new_store", Effect::Degraded, move |_| adopter.new_store_check());
    }
    watch(&seal, keepers.as_ref(), &telemetry);
    let connections = ConnectionMetrics::default();
    telemetry.register(|registry| connections.register(registry));
    let listener = Listener::bind(&settings.listen.sockets()?).await.map_err(|error| {
        format!("cannot listen on {} (SPIKE_NEXUS_TLS_PORT): {error}", settings.listen)
    })?;
    tracing::info!(address = %listener.address(), "listening");
    let tending = match keepers {
        None => {
            seal.unseal(own_key(&settings)?);
            None
        }
        Some(keepers) => {
            let restoring = restoration.map(|restoration| restoration.tend(&keepers));
            Some((keepers.tend(), restoring))
        }
    };
    // Each request is authorized by itself, so every SVID may connect.
    let app = serve::app(&nexus);
    let serving =
        listener.serve(&source, PeerRule::AnySvid, settings.server.limits, connections, app)?;
    let threads = serving.watch();
    telemetry.health().add("serving_threads", Effect::Degraded, move |_| threads());
    Ok(Running { seal, frame, serving, tending })
}

impl Daemon for Running {
    async fn drain(self, bound: Duration) -> bool {
        let Self { seal, frame, serving, tending } = self;
        let deadline = Instant::now() + bound;
        let finished = frame.drain(&serving, bound).await;
        // Before the key is dropped: the task of a Keeper would take a Nexus without a key for one that has just started.
        drop(tending);
        let is_closed = close_store(&seal, deadline.max(Instant::now() + CLOSE_TIME)).await;
        frame.settle(serving).await;
        finished && is_closed
    }
}

/// Closes the store, if there is one, once what was handed to it is written. Returns whether it closed cleanly, by then.
async fn close_store(seal: &Seal, deadline: Instant) -> bool {
    let unsealed = seal.seal("ending");
    let Some(Ok(store)) = unsealed.as_ref().map(|unsealed| unsealed.store()) else { return true };
    match timeout_at(deadline, store.close()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(reason = chain(&error), "the store did not close cleanly");
            false
        }
        Err(_elapsed) => {
            tracing::error!(
                "the thread that writes the store is held up, most likely by its disk: it is left behind. What was acknowledged \
                 stays in the write-ahead log, which is read at the next start; a write that was not may be kept or not"
            );
            false
        }
    }
}

/// Warns of a database that this backend does not open. It looks at a directory once, before anything is served.
async fn tell_unused(backend: Backend, home: Option<&Home>) {
    let Some((home, directory)) = home.and_then(|home| Some((home.clone(), home.directory()?)))
    else {
        return;
    };
    let looked = Looks::default().take(move || home.look()).await;
    let look = looked.unwrap_or_else(|no_answer| Look::in_doubt(&no_answer.symptom()));
    if look.found != Found::Nothing {
        tracing::warn!(
            directory = %directory.display(),
            %backend,
            "there is a database, or what one has left behind, and this backend does not use it: is SPIKE_NEXUS_BACKEND_STORE right?"
        );
    }
}

/// The health check of the root key, which also tells why Nexus waits for its data directory at the start.
fn watch_seal(seal: &Arc<Seal>, telemetry: &Telemetry) {
    let sealed = Arc::clone(seal);
    telemetry.health().add("root_key", Effect::NotReady, move |_| {
        sealed.ready().map_err(|error| error.to_string())
    });
}

/// The health checks and metrics of the parts of Nexus.
fn watch(seal: &Arc<Seal>, keepers: Option<&Arc<Keepers>>, telemetry: &Telemetry) {
    watch_store(seal, telemetry);
    if let Some(keepers) = keepers {
        let metrics = KeeperMetrics(Arc::clone(keepers));
        telemetry.register(|registry| registry.register_collector(Box::new(metrics)));
        let clocks = Arc::clone(keepers);
        telemetry.compare_clocks(move || clocks.clocks());
        let keepers = Arc::clone(keepers);
        telemetry.health().add("quorum", Effect::Degraded, move |_| quorum_check(&keepers));
    }
}

/// The health checks and metrics of the store.
fn watch_store(seal: &Arc<Seal>, telemetry: &Telemetry) {
    let (writing, reading) = (Arc::clone(seal), Arc::clone(seal));
    let (lost, imported) = (Arc::clone(seal), Arc::clone(seal));
    let health = telemetry.health();
    health.add_on_disk("store_write", Effect::NotReady, DISK, move |_| write_check(&writing));
    health.add_on_disk("store_read", Effect::NotReady, DISK, move |_| read_check(&reading));
    health.add_on_disk("store_loss", Effect::Degraded, DISK, move |_| loss_check(&lost));
    health.add_on_disk("import", Effect::Degraded, DISK, move |_| import_check(&imported));
    let cache = CacheMetrics(Arc::clone(seal));
    telemetry.register(|registry| registry.register_collector(Box::new(cache)));
    let store = StoreMetrics(Arc::clone(seal));
    telemetry.register(|registry| registry.register_collector(Box::new(store)));
    let files = StoreFileMetrics(Arc::clone(seal));
    telemetry.register_on_disk(|registry| registry.register_collector(Box::new(files)));
}

/// The source of the root key.
async fn key_source(
    settings: &NexusSettings,
    seal: &Arc<Seal>,
    source: &SvidSource,
) -> Result<KeySource, StartError> {
    let home = match (settings.backend, &settings.data) {
        (Backend::Memory, _) => return Ok(KeySource::Own),
        (Backend::Lite, _) => None,
        (Backend::Sqlite, Some(data)) => {
            tracing::info!(path = %data.path.display(), origin = %data.origin, "data directory");
            Some(Home::File(data.path.clone()))
        }
        (Backend::Sqlite, None) => return Err("no data directory".into()),
    };
    if settings.quorum.threshold() == 1 {
        tracing::warn!(
            "SPIKE_NEXUS_SHAMIR_THRESHOLD is 1: each Keeper, and each recovery file, is the whole root key"
        );
    }
    let peers = settings.keepers.as_ref().ok_or("no Keepers are configured")?;
    let options = options(&settings.database, settings.max_secret_versions, Some(settings.quorum));
    let accept_new_store = settings.database.accept_new_store;
    let explain = |why: &NoAnswer| seal.explain(Hindrance::Store, &why.to_string());
    let data = DataDirectory::first_seen(home.clone(), explain).await;
    seal.explain(Hindrance::Shares, NO_SHARE);
    let adopter = Arc::new(Adopter::new(Arc::clone(seal), data, options, accept_new_store));
    let connection = Connection {
        source,
        roots: &settings.identity.trust_roots,
        timeouts: settings.client.timeouts,
    };
    let keepers = Keepers::new(
        peers,
        &connection,
        (Arc::clone(seal), Arc::clone(&adopter)),
        settings.quorum,
        Timing {
            update_interval: settings.keeper_update_interval,
            longest_pause: settings.recovery_max_interval,
        },
    )?;
    Ok(KeySource::Shares(Shares {
        backend: settings.backend,
        quorum: settings.quorum,
        max_index: settings.max_share_index,
        home,
        keepers: Arc::new(keepers),
        adopter: Arc::clone(&adopter),
        restoration: Arc::new(Restoration::new(Arc::clone(seal), adopter, settings.quorum)),
    }))
}

/// The memory backend makes its own key, which no other process ever has.
fn own_key(settings: &NexusSettings) -> Result<Unsealed, StartError> {
    tracing::warn!("memory backend: everything is lost at the end; not for production");
    let root_key = RootKey::generate()?;
    let options = options(&settings.database, settings.max_secret_versions, None);
    let store = Store::create(&Home::Memory, &root_key, &options, clock::unix_nanos())?;
    Ok(Unsealed::with_store(root_key, store)?)
}

fn options(database: &DatabaseSettings, max_versions: u32, quorum: Option<Quorum>) -> Options {
    let fallback = Options::default();
    Options {
        max_versions: NonZeroU32::new(max_versions).unwrap_or(fallback.max_versions),
        journal_mode: match database.journal_mode {
            JournalMode::Wal => store::JournalMode::Wal,
            JournalMode::Delete => store::JournalMode::Delete,
            JournalMode::Truncate => store::JournalMode::Truncate,
            JournalMode::Persist => store::JournalMode::Persist,
        },
        busy_timeout: database.busy_timeout,
        operation_timeout: database.operation_timeout,
        // One of the connections belongs to the writer.
        readers: NonZeroUsize::new(database.max_open_connections.saturating_sub(1))
            .unwrap_or(NonZeroUsize::MIN),
        read_cache: database.read_cache_size,
        create: !database.skip_schema_creation,
        import_with_losses: database.import.with_losses,
        judge_policy: policies::judge,
        prune_imported: database.import.prune_versions,
        quorum,
    }
}
