//! The steps of a run, in their order, and its end.

use std::{fmt, process::ExitCode, time::Duration};

use spike_config::{Environment, Problem};
use spike_crypto::Fingerprint;
use spike_daemon::{
    logging,
    process::{chain, check_role, harden, visibility},
    settings::{Backend, BootstrapSettings},
};
use spike_domain::Role;
use spike_mtls::{retry::Backoff, svid::SvidSource};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};
use zeroize::Zeroizing;

use crate::{
    ceremony,
    cli::{self, Invocation},
    console::{self, progress},
    decide::{Decision, decide},
    deliver::{Keepers, NotGiven},
    error::Error,
    exit::Exit,
    marker::{Claiming, Completion, Held, Marker},
    nexus::Nexus,
    survey::{NexusState, Survey},
};

/// How long a Nexus that should have its key may take to show it: it may have just been started, as at boot.
const COMING_UP: Duration = Duration::from_secs(15);
/// How long a forced run waits for a person to start Nexus, which must say what lies in its data directory.
const BEING_STARTED: Duration = Duration::from_mins(1);
/// The first and the longest pause between two questions meanwhile.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// How a run ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The memory backend has no Keepers, and makes its own key.
    NotNeeded,
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
    // Where both streams end in one place, as on a terminal or in the journal, people would read everything twice.
    let told = console::is_seen_with_the_log().then_some(env!("CARGO_CRATE_NAME"));
    let _log = match logging::start_without("bootstrap", settings.log.level.into(), told) {
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
    let source = identify(settings).await?;
    let nexus = Nexus::new(settings, &source).map_err(Error::Client)?;
    let keepers = Keepers::new(settings, peers, &source).map_err(Error::Client)?;
    let deployment = Deployment { settings, nexus, keepers, marker };
    match deployment.look().await? {
        Next::End(outcome) => Ok(outcome),
        Next::MakeKey(survey) => deployment.make_key(&survey).await,
    }
}

/// What comes after a look around.
#[derive(Debug)]
enum Next {
    End(Outcome),
    MakeKey(Survey),
}

/// All whom a run has to do with.
#[derive(Debug)]
struct Deployment<'a> {
    settings: &'a BootstrapSettings,
    nexus: Nexus,
    keepers: Keepers,
    marker: Marker,
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

impl Deployment<'_> {
    /// Looks at what there is, and decides.
    async fn look(&self) -> Result<Next, Error> {
        let forced = self.settings.force;
        let completed =
            if forced { None } else { self.marker.read().await.map_err(Error::Marker)? };
        if let Some(unreadable) = completed.as_ref().filter(|it| it.is_unreadable()) {
            tracing::warn!(reason = %unreadable, "the marker cannot be read");
            progress(format_args!("warning: {unreadable}"));
        }
        let survey = self.survey(completed.is_some()).await?;
        match decide(forced, completed.as_ref(), &survey, self.settings.quorum.threshold())? {
            Decision::NotNeeded => Ok(Next::End(Outcome::NotNeeded)),
            Decision::KeyIsLive => {
                if completed.as_ref().is_none_or(Completion::is_unreadable) {
                    // Whoever made the key did so earlier, or came to no end.
                    let by = self.settings.host_name.as_deref();
                    self.remember(&Completion::found_now(by)).await?;
                }
                Ok(Next::End(Outcome::KeyIsLive))
            }
            Decision::MakeKey => Ok(Next::MakeKey(survey)),
        }
    }

    /// What Nexus and every Keeper say. Where there is something that a Nexus which has just been started may take its key
    /// from, it gets the time for that.
    async fn survey(&self, completed: bool) -> Result<Survey, Error> {
        let (url, count) = (self.nexus.url(), self.keepers.count());
        progress(format_args!("asking Nexus at {url} and {count} Keepers what there is"));
        if self.settings.force {
            return self.survey_forced().await;
        }
        if completed {
            // A key was made. Where Nexus is away and the Keepers have lost it, waiting for Nexus brings nothing.
            let nexus = match self.nexus.survey_within(COMING_UP).await {
                Err(Error::NexusSilent { reason, .. }) => NexusState::Stopped(reason),
                answer => answer?,
            };
            if matches!(nexus, NexusState::Stopped(_)) {
                let survey = self.with_keepers(nexus).await?;
                if !survey.may_rebuild(self.settings.quorum.threshold()) {
                    return Ok(survey);
                }
            }
        }
        let mut survey = self.ask_all().await?;
        let (end, mut backoff) = (Instant::now() + COMING_UP, Backoff::new(PAUSES.0, PAUSES.1));
        while (completed || survey.found_something()) && survey.may_come_up() {
            if Instant::now() >= end {
                break;
            }
            tokio::time::sleep(backoff.pause()).await;
            survey = self.ask_all().await?;
        }
        Ok(survey)
    }

    /// What there is, for a person who wants another key. Nexus should not have one; but it must run, because nobody else
    /// can say what lies in its data directory.
    async fn survey_forced(&self) -> Result<Survey, Error> {
        let survey = self.with_keepers(self.nexus.survey_stopped().await?).await?;
        if !survey.is_stopped() || survey.found_something() {
            return Ok(survey);
        }
        progress("Nexus does not run: start it, so that it says what lies in its data directory");
        self.with_keepers(self.nexus.survey_within(BEING_STARTED).await?).await
    }

    async fn ask_all(&self) -> Result<Survey, Error> {
        match self.nexus.survey().await? {
            // It serves, whatever the Keepers hold.
            serving @ (NexusState::HoldsKey | NexusState::NeedsNone) => {
                Ok(Survey::new(self.nexus.url(), serving, Vec::new()))
            }
            other => self.with_keepers(other).await,
        }
    }

    async fn with_keepers(&self, nexus: NexusState) -> Result<Survey, Error> {
        let own = self.keepers.ask().await.map_err(Error::KeepersSilent)?;
        Ok(Survey::new(self.nexus.url(), nexus, own))
    }

    /// Makes a key, when this run is the only one that may, and there still is nothing that it would take the place of.
    async fn make_key(&self, survey: &Survey) -> Result<Outcome, Error> {
        if self.settings.force {
            progress("forced: making a root key although there may have been another");
        }
        for gap in survey.gaps() {
            tracing::warn!(gap, "not everything is known");
            progress(format_args!("warning: {gap}"));
        }
        if let Some(trouble) = self.marker.trouble() {
            tracing::warn!(trouble, "it cannot be remembered that bootstrap is done");
            progress(format_args!(
                "warning: it will not be remembered that this is done: {trouble}. Mend that, or set \
                 SPIKE_BOOTSTRAP_STATE_DIR"
            ));
        }
        let held = self.claim().await?;
        // Somebody may have been at work until now.
        let ended = match self.look().await {
            Ok(Next::End(outcome)) => Ok(outcome),
            Ok(Next::MakeKey(_)) => self.deliver(held.as_ref()).await,
            Err(error) => Err(error),
        };
        if let Some(held) = held {
            // What was delivered is found by the next run, so that no claim has to guard it.
            self.marker.give_back(held).await;
        }
        ended
    }

    /// Takes this run's turn. On a machine that has no place for a claim there is none.
    async fn claim(&self) -> Result<Option<Held>, Error> {
        match self.marker.claim(self.settings.host_name.as_deref()).await {
            Ok(Claiming::Mine(held)) => Ok(Some(held)),
            #[cfg(feature = "kubernetes")]
            Ok(Claiming::Done) => Ok(None),
            Ok(Claiming::Taken) => Err(Error::Claimed),
            Err(error) if self.marker.must_remember() => Err(Error::Marker(error)),
            Err(error) => {
                let reason = chain(&error);
                tracing::warn!(reason, "another Bootstrap at work would not be noticed");
                progress(format_args!(
                    "warning: another Bootstrap at work would not be noticed: {reason}"
                ));
                Ok(None)
            }
        }
    }

    /// The ceremony: key, shares, proof. Every Keeper has answered by now.
    async fn deliver(&self, held: Option<&Held>) -> Result<Outcome, Error> {
        let (count, quorum) = (self.keepers.count(), self.settings.quorum);
        let mut text = Zeroizing::new([0; 32]);
        getrandom::fill(text.as_mut_slice()).map_err(Error::NoText)?;
        let ceremony = ceremony::perform(quorum, &text)?;
        drop(text);
        if let Some(held) = held
            && !self.marker.still_holds(held).await.map_err(Error::Marker)?
        {
            return Err(Error::ClaimLost);
        }
        progress(format_args!(
            "made root key {}; giving {count} shares to the Keepers, {} of which rebuild it",
            ceremony.fingerprint,
            quorum.threshold()
        ));
        self.keepers.deliver(ceremony.shares).await.map_err(|error| match error {
            NotGiven::HoldAnother(keepers) => Error::HoldAnother(keepers),
            NotGiven::Unreached(keepers) => Error::Undelivered(keepers),
        })?;
        progress("every Keeper has its share; waiting for the proof of Nexus");
        self.nexus.verify(&ceremony.proof, self.settings.force).await?;
        self.remember(&Completion::now(self.settings.host_name.as_deref())).await?;
        Ok(Outcome::Done(ceremony.fingerprint))
    }

    /// Remembers that there is a root key now. Upstream needs no place for that on a machine, so that one that cannot be
    /// written is told of there and no more; a cluster must not forget.
    async fn remember(&self, completion: &Completion) -> Result<(), Error> {
        let marker = &self.marker;
        match marker.write(completion).await {
            Ok(()) => progress(format_args!("remembered: {marker}")),
            Err(error) if marker.must_remember() => return Err(Error::Unremembered(error)),
            Err(error) => {
                let reason = chain(&error);
                tracing::warn!(reason, "it cannot be remembered that bootstrap is done");
                progress(format_args!(
                    "warning: it cannot be remembered that this is done: {reason}"
                ));
            }
        }
        Ok(())
    }
}
