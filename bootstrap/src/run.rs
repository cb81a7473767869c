//! The steps of a run, in order, and its result.

use std::{fmt, process::ExitCode, time::Duration};

use spike_config::{Environment, Problem, Process};
use spike_crypto::Fingerprint;
use spike_daemon::{
    logging,
    process::{chain, check_role, harden, report_check, visibility, warn_of_foreign_roots},
    settings::{Backend, BootstrapSettings},
};
use spike_domain::Role;
use spike_mtls::{
    clock,
    settings::{OwnTrustDomain, foreign_roots},
    svid::SvidSource,
};
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::{
    ceremony,
    cli::{self, Invocation},
    console::{self, progress},
    decide::{Decision, decide},
    deliver::{DeliveryError, Keepers},
    deployment::{Deployment, warn_of_other_backend, warn_of_unused_data},
    error::Error,
    exit::Exit,
    marker::{ClaimResult, Completion, HeldClaim, Marker},
    nexus::Nexus,
    survey::{NexusState, Survey},
};

/// How long Nexus may take to say whether it has a key, after another run was at the Keepers at the same time.
const COLLISION_LIMIT: Duration = Duration::from_secs(5);

/// The result of a successful run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nexus is on the memory backend, which has no Keepers and makes its own key.
    NotNeeded,
    /// The settings of this process name the memory backend, and Nexus was not asked.
    NotAsked,
    /// Nexus says that it has a root key.
    KeyIsLive,
    /// This run made a root key, and Nexus proved it.
    Done(Fingerprint),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNeeded => {
                f.write_str("nothing to do: the memory backend needs no root key from Bootstrap")
            }
            Self::NotAsked => f.write_str(
                "nothing to do: the memory backend needs no root key from Bootstrap. Nexus was not asked, because \
                 SPIKE_NEXUS_BACKEND_STORE is memory in the environment of this process",
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
        Invocation::CheckConfig => check(environment),
        Invocation::Version => console::answer(&cli::version()),
        Invocation::Help => console::answer(&cli::help()),
        Invocation::Wrong(what) => {
            console::line(&format!("error: {what}\n\n{}", cli::help()));
            Exit::Usage.into()
        }
    }
}

/// Checks every setting, and does nothing else.
fn check(environment: &Environment) -> ExitCode {
    match BootstrapSettings::load(environment) {
        Ok((settings, warnings)) => {
            let roots = &settings.identity.trust_roots;
            let foreign = foreign_roots(roots, Process::Bootstrap, OwnTrustDomain::Unknown);
            report_check("bootstrap", &warnings, &foreign)
        }
        Err(problems) => {
            console::line(&format!("error: {problems}"));
            Exit::Config.into()
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
    // If both streams end in one place, as on a terminal or in the journal, a reader would see everything twice.
    let left_out = console::is_mixed_with_the_log().then_some(env!("CARGO_CRATE_NAME"));
    let _log = match logging::start_without("bootstrap", settings.log.level.into(), left_out) {
        Ok(log) => log,
        Err(error) => {
            console::line(&format!("error: cannot start the log: {error}"));
            return Exit::Failed;
        }
    };
    warn(&warnings);
    // The log names what is not protected. Bootstrap ends soon and has no health page for it.
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
        tracing::warn!(%problem, "{}", problem.headline());
        progress(format_args!("warning: {problem}"));
    }
}

/// The run, unless its time limit is over or a signal ends it. The first process of a container gets only the signals that it
/// handles.
async fn bounded(settings: &BootstrapSettings) -> Result<Outcome, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Start)?;
    let time_limit = async {
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
        limit = time_limit => Err(Error::TimedOut(limit)),
        _ = terminate.recv() => Err(Error::Interrupted),
        _ = interrupt.recv() => Err(Error::Interrupted),
    }
}

async fn perform(settings: &BootstrapSettings) -> Result<Outcome, Error> {
    let (Backend::Sqlite | Backend::Lite, Some(peers)) = (settings.backend, &settings.keepers)
    else {
        return Ok(Outcome::NotAsked);
    };
    let marker = Marker::open(settings).map_err(Error::Marker)?;
    let source = identify(settings).await?;
    let nexus = Nexus::new(settings, &source).map_err(Error::Client)?;
    let keepers = Keepers::new(settings, peers, &source).map_err(Error::Client)?;
    let (url, count) = (nexus.url(), keepers.count());
    progress(format_args!("asking Nexus at {url} and {count} Keepers what there is"));
    let deployment = Deployment { settings, nexus, keepers, marker };
    match deployment.survey_and_decide().await? {
        NextStep::End(outcome) => Ok(outcome),
        NextStep::MakeKey(survey) => deployment.make_key(&survey).await,
    }
}

/// What comes after a survey.
#[derive(Debug)]
enum NextStep {
    End(Outcome),
    MakeKey(Survey),
}

/// The SVID of this process, which must be Bootstrap's.
async fn identify(settings: &BootstrapSettings) -> Result<SvidSource, Error> {
    let identity = &settings.identity;
    let endpoint = identity.endpoint.as_str();
    let source = SvidSource::follow_as(endpoint, visibility(identity));
    let material = source
        .first(endpoint, identity.source_timeout)
        .await
        .map_err(|error| Error::Identity(error.into()))?;
    check_times((material.not_before(), material.not_after()), clock::now())?;
    check_role(identity, Role::Bootstrap, &material.id().to_string()).map_err(Error::Role)?;
    warn_of_foreign_roots(identity, Role::Bootstrap, &material);
    Ok(source)
}

/// Nobody would accept this process outside of the times of its SVID, and the error would blame them.
fn check_times(
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
    now: OffsetDateTime,
) -> Result<(), Error> {
    if not_before <= now && now <= not_after {
        return Ok(());
    }
    Err(Error::OwnTimes { not_before, not_after, now })
}

impl Deployment<'_> {
    /// Surveys and decides.
    async fn survey_and_decide(&self) -> Result<NextStep, Error> {
        let forced = self.settings.force;
        let completed =
            if forced { None } else { self.marker.read().await.map_err(Error::Marker)? };
        if let Some(unreadable) = completed.as_ref().filter(|it| it.is_unreadable()) {
            tracing::warn!(reason = %unreadable, "the marker cannot be read");
            progress(format_args!("warning: {unreadable}"));
        }
        let survey = self.survey(completed.is_some()).await?;
        match decide(forced, completed.as_ref(), &survey, self.settings.quorum.threshold())? {
            Decision::NotNeeded => {
                warn_of_other_backend(self.settings.backend, &survey);
                Ok(NextStep::End(Outcome::NotNeeded))
            }
            Decision::KeyIsLive => {
                warn_of_unused_data(&survey);
                for line in survey.disagreements(self.settings.quorum.threshold()) {
                    tracing::warn!(
                        difference = line,
                        "Nexus, whose key is in use, is configured in another way"
                    );
                    progress(format_args!(
                        "warning: {line}. The key is in use as Nexus has it: give both the same settings"
                    ));
                }
                if completed.as_ref().is_none_or(Completion::is_unreadable) {
                    // An earlier run made the key, or did not finish.
                    let by = self.settings.host_name.as_deref();
                    self.remember(&Completion::found_now(by)).await?;
                }
                Ok(NextStep::End(Outcome::KeyIsLive))
            }
            Decision::MakeKey => Ok(NextStep::MakeKey(survey)),
        }
    }

    /// Makes a key, if this run gets the claim and the key would still replace nothing.
    async fn make_key(&self, survey: &Survey) -> Result<Outcome, Error> {
        if self.settings.force {
            progress("forced: making a root key although one may have been made before");
        }
        for gap in survey.gaps() {
            tracing::warn!(gap, "not everything is known");
            progress(format_args!("warning: {gap}"));
        }
        if self.settings.quorum.threshold() == 1 {
            tracing::warn!("SPIKE_NEXUS_SHAMIR_THRESHOLD is 1");
            progress(
                "warning: SPIKE_NEXUS_SHAMIR_THRESHOLD is 1: each Keeper, and each recovery file, is the whole root key",
            );
        }
        if let Some(trouble) = self.marker.trouble() {
            tracing::warn!(trouble, "it cannot be remembered that bootstrap is done");
            progress(format_args!(
                "warning: it will not be remembered that this is done: {trouble}. Mend that, or set \
                 SPIKE_BOOTSTRAP_STATE_DIR"
            ));
        }
        let held = self.claim().await?;
        progress("asking once more: another Bootstrap may have worked until now");
        let ended = match self.survey_and_decide().await {
            Ok(NextStep::End(outcome)) => Ok(outcome),
            Ok(NextStep::MakeKey(_)) => self.deliver(held.as_ref()).await,
            Err(error) => Err(error),
        };
        if let Some(held) = held {
            // The next run finds what was delivered, so no claim has to protect it.
            self.marker.give_back(held).await;
        }
        ended
    }

    /// Claims the work for this run. Without a place for a claim, on a machine, it goes on without one.
    async fn claim(&self) -> Result<Option<HeldClaim>, Error> {
        match self.marker.claim(self.settings.host_name.as_deref()).await {
            Ok(ClaimResult::Mine(held)) => Ok(Some(held)),
            #[cfg(feature = "kubernetes")]
            Ok(ClaimResult::Done) => Ok(None),
            Ok(ClaimResult::Taken) => Err(Error::Claimed),
            Err(error) if self.marker.must_remember() => Err(Error::Marker(error)),
            Err(error) => {
                let reason = chain(&error);
                tracing::warn!(reason, "a second Bootstrap at the same time would not be noticed");
                progress(format_args!(
                    "warning: a second Bootstrap at the same time would not be noticed: {reason}"
                ));
                Ok(None)
            }
        }
    }

    /// Makes the key, delivers the shares and waits for the proof. Every Keeper has answered before.
    async fn deliver(&self, held: Option<&HeldClaim>) -> Result<Outcome, Error> {
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
        match self.keepers.deliver(ceremony.shares).await {
            Ok(()) => {}
            Err(DeliveryError::HoldAnother { took, kept }) if took.is_empty() => {
                return Err(Error::HoldAnother(kept));
            }
            Err(DeliveryError::HoldAnother { took, kept }) => {
                // A restore that was faster has unsealed Nexus. Otherwise nobody can prove either key.
                let nexus = self.nexus.survey_within(COLLISION_LIMIT).await;
                let is_live = matches!(nexus, Ok(NexusState::HoldsKey(_)));
                return Err(Error::TwoKeys { took, kept, is_live });
            }
            Err(DeliveryError::Unreached(keepers)) => return Err(Error::Undelivered(keepers)),
        }
        progress("every Keeper has its share; waiting for the proof of Nexus");
        self.nexus.verify(&ceremony.proof, self.settings.force).await?;
        self.remember(&Completion::now(self.settings.host_name.as_deref())).await?;
        Ok(Outcome::Done(ceremony.fingerprint))
    }

    /// Remembers that there is a root key. On a machine upstream needs no marker, so a failure is only reported there. In a
    /// cluster it is an error.
    async fn remember(&self, completion: &Completion) -> Result<(), Error> {
        let marker = &self.marker;
        match marker.write(completion).await {
            Ok(()) => progress(marker.outcome()),
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

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    // It waited for Nexus, whose certificate it took for the wrong one.
    #[test]
    fn a_clock_outside_of_the_own_svid_is_told_before_anybody_is_asked() {
        let from = OffsetDateTime::UNIX_EPOCH;
        let times = (from, from + Duration::HOUR);
        assert!(check_times(times, from + Duration::MINUTE).is_ok());
        for now in [from - Duration::SECOND, from + Duration::hours(2)] {
            let error = check_times(times, now).unwrap_err();
            let told = error.to_string();
            assert!(told.contains("valid from 1970-01-01T00:00:00Z until"), "{told}");
            assert!(error.hint().unwrap().contains("compare the clock"), "{error:?}");
        }
    }
}
