//! The parties of a run, and what they say before a root key is made.

use std::time::Duration;

use spike_daemon::settings::{Backend, BootstrapSettings};
use spike_mtls::retry::Backoff;
use tokio::time::Instant;

use crate::{
    console::progress,
    deliver::Keepers,
    error::Error,
    marker::Marker,
    nexus::Nexus,
    survey::{NexusState, Survey},
};

/// How long a Nexus that should have its key may take to get it after a start, for example at boot.
const STARTUP_LIMIT: Duration = Duration::from_secs(15);
/// How long a forced run waits for a person to start Nexus, which must say what is in its data directory.
const MANUAL_START_LIMIT: Duration = Duration::from_mins(1);
/// The first and the longest pause between two surveys in that time.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// The other parties of a run.
#[derive(Debug)]
pub(crate) struct Deployment<'a> {
    pub(crate) settings: &'a BootstrapSettings,
    pub(crate) nexus: Nexus,
    pub(crate) keepers: Keepers,
    pub(crate) marker: Marker,
}

impl Deployment<'_> {
    /// Asks Nexus and every Keeper. If a Nexus that has just started may still get its key from the Keepers, it gets the time
    /// for that. `completed`: an earlier run made a key.
    ///
    /// # Errors
    /// What keeps Nexus or a Keeper from answering.
    pub(crate) async fn survey(&self, completed: bool) -> Result<Survey, Error> {
        if self.settings.force {
            return self.survey_forced().await;
        }
        let mut survey = self.first_survey(completed).await?;
        let (end, mut backoff) = (Instant::now() + STARTUP_LIMIT, Backoff::new(PAUSES.0, PAUSES.1));
        while (completed || survey.found_something()) && survey.may_come_up() {
            if Instant::now() >= end {
                break;
            }
            tokio::time::sleep(backoff.pause()).await;
            survey = self.ask_all().await?;
        }
        Ok(survey)
    }

    /// The first survey. If nothing listens at the address of Nexus, a person is told at once which Keepers hold a share. If an
    /// earlier run made a key that the Keepers have lost, Nexus cannot get it back by itself, so this does not wait for Nexus
    /// to start.
    async fn first_survey(&self, completed: bool) -> Result<Survey, Error> {
        match self.nexus.survey_begun(STARTUP_LIMIT).await {
            Ok(nexus @ NexusState::Stopped(_)) => {
                let found = if completed {
                    self.with_keepers(nexus).await?
                } else {
                    Survey::new(self.nexus.url(), nexus, self.keepers.glance().await)
                };
                if completed && !found.may_rebuild(self.settings.quorum.threshold()) {
                    return Ok(found);
                }
                tell_of_shares(&found);
                self.ask_all().await
            }
            Ok(nexus) => self.with_keepers_of(nexus).await,
            // A Nexus that listens does run: it gets the whole time limit to answer.
            Err(Error::NexusSilent { .. }) => self.ask_all().await,
            Err(error) => Err(error),
        }
    }

    /// The survey for a person who wants another key. Nexus should have no key, but it must run: only Nexus can say what is
    /// in its data directory.
    async fn survey_forced(&self) -> Result<Survey, Error> {
        let survey = self.with_keepers(self.nexus.survey_stopped().await?).await?;
        if !survey.is_stopped() || survey.found_something() {
            return Ok(survey);
        }
        progress(
            "Nexus does not run: start it within a minute, so that it says what lies in its data directory",
        );
        self.with_keepers(self.nexus.survey_within(MANUAL_START_LIMIT).await?).await
    }

    async fn ask_all(&self) -> Result<Survey, Error> {
        self.with_keepers_of(self.nexus.survey().await?).await
    }

    /// Asks the Keepers too. If Nexus has a key, it serves, whatever they hold: then they are asked only once, and only if it may
    /// be the Nexus of other Keepers.
    async fn with_keepers_of(&self, nexus: NexusState) -> Result<Survey, Error> {
        match nexus {
            serving @ NexusState::HoldsKey(_) => {
                let names_them = matches!(&serving, NexusState::HoldsKey(Some(_)));
                let survey = Survey::new(self.nexus.url(), serving, self.keepers.unasked());
                if !names_them || !survey.keepers_of_another().is_empty() {
                    return Ok(Survey { keepers: self.keepers.glance().await, ..survey });
                }
                Ok(survey)
            }
            other => self.with_keepers(other).await,
        }
    }

    /// Asks the Keepers, of which each must answer, unless Nexus needs none of them.
    async fn with_keepers(&self, nexus: NexusState) -> Result<Survey, Error> {
        if matches!(nexus, NexusState::NeedsNone(_)) {
            return Ok(Survey::new(self.nexus.url(), nexus, self.keepers.answering().await));
        }
        let told = self.keepers.ask().await.map_err(Error::KeepersSilent)?;
        let survey = Survey::new(self.nexus.url(), nexus, told.slots);
        Ok(Survey { repeated: told.repeated, ..survey })
    }
}

/// Tells of the shares that were found while Nexus does not run.
fn tell_of_shares(survey: &Survey) {
    let filled: Vec<String> = survey.filled().map(ToString::to_string).collect();
    if !filled.is_empty() {
        progress(format_args!(
            "a root key was made before, a share of which is at {}: start Nexus, which takes its key from the Keepers by itself",
            filled.join(", ")
        ));
    }
}

/// Nexus makes its own key, and the settings of this process name a backend that needs one from here.
pub(crate) fn warn_of_other_backend(own: Backend, survey: &Survey) {
    tracing::warn!(own = %own, nexus = "memory", "is SPIKE_NEXUS_API_URL right?");
    progress(format_args!(
        "warning: Nexus at {} is on the memory backend, and SPIKE_NEXUS_BACKEND_STORE is {own} here, so no root key was made, and none \
         of the Keepers that are named here answers: is SPIKE_NEXUS_API_URL right?",
        survey.url
    ));
    warn_of_unused_data(survey);
}

/// A Nexus that stores nothing was started beside a database. Its key is no danger to that, and somebody may miss the data.
pub(crate) fn warn_of_unused_data(survey: &Survey) {
    if let Some(found) = survey.unused_data() {
        tracing::warn!(found, "is SPIKE_NEXUS_BACKEND_STORE of Nexus right?");
        progress(format_args!("warning: {found}: is SPIKE_NEXUS_BACKEND_STORE of Nexus right?"));
    }
}
