//! The steps of a run, in their order, and its end.

use std::{fmt, process::ExitCode, time::Duration};

use spike_common::{
    config::{Backend, BootstrapSettings, Environment, KeeperPeers, Problem},
    daemon::{chain, check_role, harden, visibility},
    identity::Role,
    logging,
    svid::SvidSource,
};
use spike_crypto::Fingerprint;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::{
    ceremony,
    cli::{self, Invocation},
    console::{self, progress},
    decide::{Decision, NexusState, decide},
    deliver::Keepers,
    error::Error,
    exit::Exit,
    marker::{Completion, Marker},
    nexus::Nexus,
};

/// How long a Nexus that should have its key may take to show it: it may have just been started, as at boot.
const COMING_UP: Duration = Duration::from_secs(15);

/// How a run ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The memory backend has no Keepers, and makes its own key.
    NotNeeded,
    /// The marker says so.
    DoneBefore(Completion),
    /// Nexus says so.
    KeyIsLive,
    /// By this run.
    Done(Fingerprint),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNeeded => {
                f.write_str("nothing to do: the memory backend needs no root key from outside")
            }
            Self::DoneBefore(completion) => write!(
                f,
                "nothing to do: {completion}. (If Nexus stays sealed, the key was lost: bring it back with `spike operator \
                 restore`; only where nothing is to be kept, SPIKE_BOOTSTRAP_FORCE=true makes another)"
            ),
            Self::KeyIsLive => {
                f.write_str("nothing to do: Nexus has a root key already, and nothing was changed")
            }
            Self::Done(fingerprint) => {
                write!(f, "done: Nexus has proved that it can use root key {fingerprint}")
            }
        }
    }
}

/// Runs Bootstrap with these arguments and this environment, from start to exit status.
pub fn run(arguments: impl IntoIterator<Item = String>, environment: &Environment) -> ExitCode {
    match Invocation::parse(arguments) {
        Invocation::Init => init(environment).into(),
        Invocation::Nothing => {
            console::line(
                "error: nothing to do\nhint: bootstrap -init runs the ceremony; see --help",
            );
            Exit::Failed.into()
        }
        Invocation::Version => console::answer(&cli::version()),
        Invocation::Help => console::answer(&cli::help()),
        Invocation::Wrong(what) => {
            console::line(&format!("error: {what}\n\n{}", cli::help()));
            Exit::Usage.into()
        }
    }
}

fn init(environment: &Environment) -> Exit {
    let (settings, warnings) = match BootstrapSettings::load(environment) {
        Ok(loaded) => loaded,
        Err(problems) => {
            console::line(&format!("error: {problems}"));
            return Exit::Config;
        }
    };
    let _log = match logging::start("bootstrap", settings.log.level.into()) {
        Ok(log) => log,
        Err(error) => {
            console::line(&format!("error: cannot start the log: {error}"));
            return Exit::Failed;
        }
    };
    warn(&warnings);
    // It ends soon and has no health to show; the log has said what is not protected.
    let _hardening = harden();
    // One thread is enough, and fewer stacks see the key.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended =
        runtime.map_err(Error::Start).and_then(|runtime| runtime.block_on(bounded(&settings)));
    match ended {
        Ok(outcome) => {
            tracing::info!(outcome = %outcome, "bootstrap ended");
            progress(outcome);
            Exit::Done
        }
        Err(error) => {
            let (reason, exit) = (chain(&error), error.exit());
            tracing::error!(
                reason,
                status = exit.code(),
                "bootstrap ended without a proved root key"
            );
            console::line(&format!("error: {reason}"));
            if let Some(hint) = error.hint() {
                console::line(&format!("hint: {hint}"));
            }
            exit
        }
    }
}

fn warn(problems: &[Problem]) {
    for problem in problems {
        tracing::warn!(%problem, "a setting was not used as written");
        progress(format_args!("warning: {problem}"));
    }
}

/// The run, unless its time is over or somebody ends it. As the first process of a container it hears no signal that it
/// does not ask for.
async fn bounded(settings: &BootstrapSettings) -> Result<Outcome, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Start)?;
    let over = async {
        match settings.timeout {
            Some(limit) => {
                tokio::time::sleep(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = perform(settings) => ended,
        limit = over => Err(Error::TimedOut(limit)),
        _ = terminate.recv() => Err(Error::Interrupted),
        _ = interrupt.recv() => Err(Error::Interrupted),
    }
}

async fn perform(settings: &BootstrapSettings) -> Result<Outcome, Error> {
    let (Backend::Sqlite | Backend::Lite, Some(peers)) = (settings.backend, &settings.keepers)
    else {
        return Ok(Outcome::NotNeeded);
    };
    let marker = Marker::open(settings).map_err(Error::Marker)?;
    let completed =
        if settings.force { None } else { marker.read().await.map_err(Error::Marker)? };
    if let Some(completion) = completed.clone().filter(|_| marker.is_final()) {
        return Ok(Outcome::DoneBefore(completion));
    }
    let source = identify(settings).await?;
    let nexus = Nexus::new(settings, &source).map_err(Error::Client)?;
    progress(format_args!("asking Nexus at {} whether it has a root key", nexus.url()));
    let state = match (settings.force, &completed) {
        (true, _) => nexus.state_now().await,
        (false, Some(_)) => nexus.state_after(COMING_UP).await,
        (false, None) => nexus.state().await,
    };
    if let (true, Ok(NexusState::HoldsKey)) = (settings.force, &state) {
        progress("warning: Nexus has a root key and keeps it until it is restarted");
    }
    match decide(settings.force, completed.as_ref(), state)? {
        Decision::MakeKey => make_key(settings, peers, &source, &nexus, &marker).await,
        Decision::KeyIsLive if completed.is_some() => Ok(Outcome::KeyIsLive),
        Decision::KeyIsLive => {
            remember(settings, &marker).await?;
            Ok(Outcome::KeyIsLive)
        }
    }
}

/// The identity of this process, which must be Bootstrap's.
async fn identify(settings: &BootstrapSettings) -> Result<SvidSource, Error> {
    let identity = &settings.identity;
    let endpoint = identity.endpoint.as_str();
    let source = SvidSource::follow_as(endpoint, visibility(identity));
    let material = source
        .first(endpoint, identity.source_timeout)
        .await
        .map_err(|error| Error::Identity(error.into()))?;
    check_role(identity, Role::Bootstrap, &material.id().to_string()).map_err(Error::Identity)?;
    Ok(source)
}

/// The ceremony. Nothing is changed before every Keeper has answered.
async fn make_key(
    settings: &BootstrapSettings,
    peers: &KeeperPeers,
    source: &SvidSource,
    nexus: &Nexus,
    marker: &Marker,
) -> Result<Outcome, Error> {
    let keepers = Keepers::new(settings, peers, source).map_err(Error::Client)?;
    let (count, threshold) = (keepers.count(), settings.quorum.threshold());
    if settings.force {
        progress("forced: making a root key whether there is another or not");
    }
    progress(format_args!("asking {count} Keepers whether they are there"));
    keepers.ask().await.map_err(Error::KeepersSilent)?;
    // An earlier run may have got far enough, and Nexus may have come up with its key meanwhile.
    if !settings.force && nexus.state().await? == NexusState::HoldsKey {
        remember(settings, marker).await?;
        return Ok(Outcome::KeyIsLive);
    }
    let mut text = Zeroizing::new([0; 32]);
    getrandom::fill(text.as_mut_slice()).map_err(Error::NoText)?;
    let ceremony = ceremony::perform(settings.quorum, &text)?;
    drop(text);
    progress(format_args!(
        "made root key {}; giving {count} shares to the Keepers, {threshold} of which rebuild it",
        ceremony.fingerprint
    ));
    keepers.deliver(ceremony.shares).await.map_err(Error::Undelivered)?;
    progress("every Keeper has its share; waiting for the proof of Nexus");
    nexus.verify(&ceremony.proof, settings.force).await?;
    remember(settings, marker).await?;
    Ok(Outcome::Done(ceremony.fingerprint))
}

/// Remembers that there is a root key now. Upstream needs no place for that on a machine, so that one that cannot be
/// written is told of there and no more; a cluster must not forget.
async fn remember(settings: &BootstrapSettings, marker: &Marker) -> Result<(), Error> {
    let completion = Completion::now(settings.host_name.as_deref());
    match marker.write(&completion).await {
        Ok(()) => progress(format_args!("remembered: {marker}")),
        Err(error) if marker.is_final() => return Err(Error::Unremembered(error)),
        Err(error) => {
            let reason = chain(&error);
            tracing::warn!(reason, "it cannot be remembered that bootstrap is done");
            progress(format_args!("warning: it cannot be remembered that this is done: {reason}"));
        }
    }
    Ok(())
}
