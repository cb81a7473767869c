//! The life of a daemon: read the settings, start, serve until a signal, drain, exit.
//!
//! Every daemon starts, reports, drains and exits in the way defined here.

mod descriptors;
mod end;
mod frame_settings;
mod hardening;
mod identity;
mod invocation;
mod links;
mod metrics;
mod streams;

use std::{
    error::Error,
    future::Future,
    io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use spike_config::{ConfigError, EXIT_CONFIG, Environment, Problem};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use self::{
    descriptors::{descriptor_limit, fit_connections},
    frame_settings::FrameSettings,
    hardening::{Hardening, harden, lock_memory},
    identity::{check_role, identity, visibility, warn_of_foreign_roots},
    invocation::report_check,
    links::DanglingLink,
    metrics::scrapers,
};

use self::{end::EndSignals, invocation::Invocation, metrics::ProcessMetrics, streams::Streams};
use crate::{
    audit::{AuditFile, AuditLog, AuditMetrics},
    chain::Head,
    console,
    log_level::LogLevel,
    settings::TelemetrySettings,
    telemetry::{self, Effect, Telemetry, TelemetryServer},
};

/// How often [`maintain`] works on the audit log.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(1);

/// How often the head of the audit log is logged, if there were lines.
const HEAD_INTERVAL: Duration = Duration::from_mins(5);

/// The name and purpose of a daemon, as `--help` shows them.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name of the binary.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
}

/// A daemon that has started.
pub trait Daemon {
    /// Finishes what is in flight, within `bound`, and releases everything. Returns whether all finished in time.
    fn drain(self, bound: Duration) -> impl Future<Output = bool>;
}

/// Any error that ends a start.
pub type StartError = Box<dyn Error + Send + Sync>;

/// Runs a daemon from start to exit. Call it first in `main`.
///
/// `load` reads the settings; all their problems are reported at once. `start` starts the daemon without a time limit.
/// Health and metrics are served meanwhile, and a signal ends it.
///
/// A file of the audit log that cannot be opened counts as a bad setting.
///
/// SIGTERM and SIGINT end the daemon, within a bound that no disk changes; a second one ends it at once. SIGHUP opens the log and
/// the audit log again if they are regular files, so that they can be rotated. SIGUSR1 and SIGUSR2 do nothing.
///
/// Exit status: 0 after a clean end, 1 when the start or the drain failed, 2 for a bad command line, 78 for bad
/// settings.
pub fn run<S, D: Daemon>(
    program: Program,
    arguments: impl IntoIterator<Item = String>,
    environment: &Environment,
    load: impl FnOnce(&Environment) -> Result<(S, Vec<Problem>), ConfigError>,
    frame: impl FnOnce(&S) -> FrameSettings,
    start: impl AsyncFnOnce(S, Telemetry, AuditLog) -> Result<D, StartError>,
) -> ExitCode {
    let check_only = match Invocation::parse(arguments) {
        Invocation::Serve => false,
        Invocation::CheckConfig => true,
        other => return other.answer(program),
    };
    let (settings, warnings) = match load(environment) {
        Ok(loaded) => loaded,
        Err(problems) => {
            console::print_error(&format!("error: {problems}"));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if check_only {
        return report_check(program.name, &warnings, &frame(&settings).foreign_roots);
    }
    let frame = frame(&settings);
    let level: tracing::Level = frame.log.level.into();
    if frame.log.banner {
        invocation::banner(program, level);
    }
    let audit_file = match AuditFile::open_chosen(&frame.audit) {
        Ok(file) => file,
        Err(error) => {
            console::print_error(&format!("error: {}", chain(&error)));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let streams = match Streams::start(program.name, level, &frame.audit, audit_file) {
        Ok(streams) => Arc::new(streams),
        Err(error) => {
            console::print_error(&format!(
                "error: cannot start the log and the audit log: {error}"
            ));
            return ExitCode::FAILURE;
        }
    };
    for warning in &warnings {
        tracing::warn!(problem = %warning, "{}", warning.headline());
    }
    let hardening = harden();
    let status = match runtime() {
        // Every request that was cut has been dropped with its thread, and has written its audit line.
        Ok(runtime) => {
            let status =
                runtime.block_on(serve(program, settings, frame, (hardening, &streams), start));
            if end::end_runtime(runtime) { status } else { ExitCode::FAILURE }
        }
        Err(error) => {
            tracing::error!(reason = %error, "cannot start the runtime");
            ExitCode::FAILURE
        }
    };
    streams.audit().flush();
    log_heads(streams.audit(), &mut Vec::new());
    streams.flush_log();
    status
}

/// Threads of the runtime for everything besides connections, which have their own. One of them may be blocked by a disk
/// that hangs.
const THREADS: usize = 2;

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()
}

async fn serve<S, D: Daemon>(
    program: Program,
    settings: S,
    frame: FrameSettings,
    (hardening, streams): (Hardening, &Arc<Streams>),
    start: impl AsyncFnOnce(S, Telemetry, AuditLog) -> Result<D, StartError>,
) -> ExitCode {
    let ended = async {
        // Before anything slow: a signal for the log must not end a daemon that waits for its SVID.
        let hangup = survive_signals()?;
        let signals = EndSignals::start()?;
        tokio::spawn(maintain(Arc::clone(streams), hangup));
        let telemetry = Telemetry::new(program.name);
        hardening.watch(&telemetry);
        watch(streams, &telemetry);
        let _server = telemetry_server(&telemetry, &frame.telemetry, streams.log_level())?;
        start_and_serve(settings, &telemetry, streams.audit(), (frame.drain, signals), start).await
    };
    match ended.await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            tracing::error!(
                "requests were still in flight at the end of the drain time, and were cut"
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(reason = %chain(&*error), "cannot start");
            ExitCode::FAILURE
        }
    }
}

/// Starts the daemon, serves and drains. Returns whether everything finished in time.
async fn start_and_serve<S, D: Daemon>(
    settings: S,
    telemetry: &Telemetry,
    audit: &AuditLog,
    (drain, mut signals): (Duration, EndSignals),
    start: impl AsyncFnOnce(S, Telemetry, AuditLog) -> Result<D, StartError>,
) -> Result<bool, StartError> {
    let phase = Phase::watched_by(telemetry);
    let daemon = tokio::select! {
        started = start(settings, telemetry.clone(), audit.clone()) => started?,
        () = signals.recv() => return Ok(true),
    };
    signals.allow(drain);
    telemetry.health().complete();
    phase.enter(Phase::SERVING);
    notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = tokio::spawn(watchdog());
    tracing::info!("started");
    signals.recv().await;
    phase.enter(Phase::ENDING);
    notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("ending: no new connections, requests in flight finish");
    let clean = tokio::select! {
        clean = daemon.drain(drain) => clean,
        // A second signal ends the drain.
        () = signals.recv() => false,
    };
    watchdog.abort();
    Ok(clean)
}

/// USR1, USR2, ALRM, STKFLT, XCPU, XFSZ, VTALRM, PROF, IO, PWR: by default each ends a process, and a Keeper would lose its share.
/// XFSZ comes with a write beyond the limit of file sizes, which fails too.
const STRAY_SIGNALS: [i32; 10] = [10, 12, 14, 16, 24, 25, 26, 27, 29, 30];
/// A C library keeps the first of them for itself, one more in musl than in glibc.
const REAL_TIME_SIGNALS: std::ops::RangeInclusive<i32> = 34..=64;

/// Handles the signals that must not end a daemon, and returns SIGHUP. A handler stays for the life of the process,
/// even if nothing waits for the signal.
fn survive_signals() -> io::Result<Signal> {
    for number in STRAY_SIGNALS.into_iter().chain(REAL_TIME_SIGNALS) {
        // One that the C library keeps for itself is no other process's to send by mistake.
        if let Err(error) = signal(SignalKind::from_raw(number)) {
            tracing::debug!(number, reason = %error, "a signal cannot be handled");
        }
    }
    signal(SignalKind::hangup())
}

/// Maintains the log and the audit log for the life of the daemon.
async fn maintain(streams: Arc<Streams>, mut hangup: Signal) {
    let mut logged = Vec::new();
    let mut next_log = tokio::time::interval(HEAD_INTERVAL);
    next_log.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut every = tokio::time::interval(MAINTENANCE_INTERVAL);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            received = hangup.recv() => {
                if received.is_none() {
                    return;
                }
                let streams = Arc::clone(&streams);
                // Opening a file may be slow.
                tokio::task::spawn_blocking(move || streams.reopen());
            }
            _ = next_log.tick() => log_heads(streams.audit(), &mut logged),
            _ = every.tick() => {
                streams.audit().tick(std::time::Instant::now());
                if streams.has_audit_file() {
                    let streams = Arc::clone(&streams);
                    tokio::task::spawn_blocking(move || streams.follow_audit_file());
                }
            }
        }
    }
}

/// Adds the health check and the metrics of the audit log, and the metrics of the process.
fn watch(streams: &Arc<Streams>, telemetry: &Telemetry) {
    let (audit, checked) = (streams.audit(), Arc::clone(streams));
    let effect = if audit.is_optional() { Effect::Degraded } else { Effect::NotReady };
    telemetry.health().add("audit", effect, move |_| checked.check_audit());
    let chained = audit.clone();
    telemetry.health().show("auditHeads", move || heads(&chained));
    let (lines, process) = (AuditMetrics(audit.clone()), ProcessMetrics::new());
    telemetry.register(|registry| {
        registry.register_collector(Box::new(lines));
        registry.register_collector(Box::new(process));
    });
}

/// The last audit line of each output, by number and hash, to be kept where nobody who can change the lines can change it.
fn heads(audit: &AuditLog) -> Value {
    let head = |(output, head): (&str, Head)| {
        json!({
            "output": output,
            "chain": head.chain.as_str(),
            "seq": head.number,
            "hash": head.hash.to_string(),
        })
    };
    audit.heads().into_iter().map(head).collect()
}

/// Logs the heads, unless the log has them.
fn log_heads(audit: &AuditLog, logged: &mut Vec<(&'static str, Head)>) {
    let heads = audit.heads();
    for entry in heads.iter().filter(|entry| !logged.contains(entry)) {
        let (output, Head { chain, number, hash }) = entry;
        tracing::info!(output, chain = chain.as_str(), seq = number, %hash, "the audit log so far");
    }
    *logged = heads;
}

/// The phase of a daemon's life. Before it serves, and once it ends, it is not ready, whatever its other checks say.
struct Phase(Arc<AtomicU8>);

impl Phase {
    const STARTING: u8 = 0;
    const SERVING: u8 = 1;
    const ENDING: u8 = 2;

    fn watched_by(telemetry: &Telemetry) -> Self {
        let phase = Arc::new(AtomicU8::new(Self::STARTING));
        let watched = Arc::clone(&phase);
        telemetry.health().add("serving", Effect::NotReady, move |_| {
            match watched.load(Ordering::Relaxed) {
                Self::STARTING => Err("starting".to_owned()),
                Self::SERVING => Ok(()),
                _ => Err("ending".to_owned()),
            }
        });
        Self(phase)
    }

    fn enter(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// Serves health and metrics. A configured address must work; the default one may be in use by another daemon.
fn telemetry_server(
    telemetry: &Telemetry,
    settings: &TelemetrySettings,
    level: &LogLevel,
) -> Result<Option<TelemetryServer>, StartError> {
    let Some(address) = &settings.listen else { return Ok(None) };
    let bound = address.sockets().and_then(|sockets| telemetry::bind(telemetry, &sockets, level));
    match bound {
        Ok(server) => {
            tracing::info!(address = %server.address(), "serving health and metrics");
            Ok(Some(server))
        }
        Err(error) if settings.chosen => {
            Err(format!("cannot listen on {address} for health and metrics: {error}").into())
        }
        Err(error) => {
            tracing::warn!(%address, reason = %error, "no health and metrics: the default address is in use");
            Ok(None)
        }
    }
}

/// Notifies systemd, if it asks for that.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(reason = %error, "cannot notify the service manager");
    }
}

/// Notifies systemd's watchdog twice in each of its intervals.
async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut every = tokio::time::interval(limit / 2);
    loop {
        every.tick().await;
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
