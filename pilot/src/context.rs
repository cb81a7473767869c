//! The context of a command: the streams, the settings and the connection to Nexus.
//!
//! Settings are read, and the Workload API is asked, only when a command asks for Nexus. So a command can check everything else
//! before.

mod session;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use spike_config::{Environment, table::SPIKE_SPIFFE_SOURCE_TIMEOUT};
#[cfg(not(test))]
use spike_daemon::process::visibility;
use spike_daemon::settings::PilotSettings;
use spike_domain::Role;
use spike_mtls::{
    ClientTimeouts,
    client::{CallError, NexusClient},
    clock,
    svid::{Material, SvidError, SvidSource},
};
use time::OffsetDateTime;

pub(crate) use session::Session;
pub use streams::Streams;
pub(crate) use streams::{ask_hidden, read_bounded};

use crate::error::{Asked, Error};

/// How long a command waits for an agent that it cannot reach, for example during a restart, if
/// [`SPIKE_SPIFFE_SOURCE_TIMEOUT`] is not set. The default of that setting limits the wait for an agent that is there and
/// is slow.
const AGENT_LIMIT: Duration = Duration::from_secs(5);

/// How long a restore may take: Nexus checks the key and opens its store before it answers (cli-config-deploy 10.2 no. 7).
const RESTORE_LIMIT: Duration = Duration::from_mins(1);

/// The context of one command.
pub(crate) struct Context<'e> {
    pub(crate) streams: Streams,
    environment: &'e Environment,
    settings: Option<PilotSettings>,
    /// The Nexus that was asked, if any was.
    asked: Option<NexusClient>,
    /// An identity that needs no Workload API.
    #[cfg(test)]
    pub(crate) fixed: Option<SvidSource>,
}

impl<'e> Context<'e> {
    pub(crate) fn new(environment: &'e Environment, streams: Streams) -> Self {
        Self {
            streams,
            environment,
            settings: None,
            asked: None,
            #[cfg(test)]
            fixed: None,
        }
    }

    /// The settings. Warnings about them are printed once.
    pub(crate) fn settings(&mut self) -> Result<PilotSettings, Error> {
        if let Some(settings) = &self.settings {
            return Ok(settings.clone());
        }
        let (settings, warnings) = PilotSettings::load(self.environment)?;
        for warning in warnings {
            self.streams.message("warning:", &warning.to_string());
        }
        Ok(self.settings.insert(settings).clone())
    }

    /// Reads the settings, and says nothing of their warnings, now or later.
    pub(crate) fn settings_unseen(&mut self) -> Result<(), Error> {
        let (settings, _) = PilotSettings::load(self.environment)?;
        self.settings = Some(settings);
        Ok(())
    }

    /// The environment of this process.
    pub(crate) const fn environment(&self) -> &'e Environment {
        self.environment
    }

    /// Connects to Nexus, for a command of any of `roles`. Nexus decides about the role. It is also checked here, as upstream
    /// does, because here the reason can be shown.
    pub(crate) async fn nexus(&mut self, roles: &'static [Role]) -> Result<Session, Error> {
        let settings = self.settings()?;
        self.nexus_by(&self.source(&settings), roles).await
    }

    /// The same with an identity that the command keeps.
    pub(crate) async fn nexus_by(
        &mut self,
        source: &SvidSource,
        roles: &'static [Role],
    ) -> Result<Session, Error> {
        self.connect(source, roles, |_| false).await
    }

    /// Connects to Nexus, for a command that a policy may grant to any SPIFFE ID: an operator, or a workload under its own ID.
    /// Only an ID that names another role of SPIKE is refused here, because that is a mistake in its registration, or in
    /// `SPIKE_TRUST_ROOT_PILOT`.
    pub(crate) async fn nexus_by_policy(&mut self) -> Result<Session, Error> {
        let settings = self.settings()?;
        let is_workload = |id: &str| matches!(Role::named_in(id), None | Some(Role::LiteWorkload));
        self.connect(&self.source(&settings), &[Role::PilotSuperuser], is_workload).await
    }

    async fn connect(
        &mut self,
        source: &SvidSource,
        roles: &'static [Role],
        is_admitted: impl Fn(&str) -> bool,
    ) -> Result<Session, Error> {
        let settings = self.settings()?;
        let endpoint = settings.identity.endpoint.as_str();
        let limit = settings.identity.source_timeout;
        let is_set = self.environment.get(SPIKE_SPIFFE_SOURCE_TIMEOUT.name).is_some();
        let away = agent_limit(limit, is_set);
        let material = first_svid(source, endpoint, limit, away).await?;
        let roots = settings.identity.trust_roots;
        let id = material.id().to_string();
        if !roles.iter().any(|role| roots.hold(*role, &id)) && !is_admitted(&id) {
            let expected = roles.iter().flat_map(|role| roots.of(*role).ids(*role)).collect();
            return Err(Error::WrongRole { roles, id, expected });
        }
        check_times(&material, clock::now())?;
        let timeouts = timeouts(settings.client.timeouts, roles);
        let session = Session::open(source, roots, settings.api_url, timeouts, &material)?;
        self.asked = Some(session.nexus.clone());
        Ok(session)
    }

    /// Whether the identity comes from a Workload API. It does not in some tests.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests look for a fixed identity here")]
    pub(crate) const fn has_agent(&self) -> bool {
        true
    }

    #[cfg(test)]
    pub(crate) const fn has_agent(&self) -> bool {
        self.fixed.is_none()
    }

    /// Asks Nexus why it is not ready, if that was the failure, and adds the answer to the error.
    pub(crate) async fn explain(&self, error: &mut Error) {
        let (Some(nexus), Some(asked)) = (&self.asked, not_ready(error)) else { return };
        asked.status = nexus.status().await.ok();
    }

    /// The identity of this process, from the Workload API.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests look for a fixed identity here")]
    pub(crate) fn source(&self, settings: &PilotSettings) -> SvidSource {
        let identity = &settings.identity;
        SvidSource::follow_as(identity.endpoint.as_str(), visibility(identity))
    }

    #[cfg(test)]
    pub(crate) fn source(&self, settings: &PilotSettings) -> SvidSource {
        let follow = || SvidSource::follow(settings.identity.endpoint.as_str());
        self.fixed.clone().unwrap_or_else(follow)
    }
}

/// The call that failed because Nexus was not ready.
fn not_ready(error: &mut Error) -> Option<&mut Asked> {
    match error {
        Error::Partly { error, .. } => not_ready(error),
        Error::Call { asked, error: CallError::Refused(refusal) } => {
            asked.not_ready(refusal).map(|_| &mut **asked)
        }
        _ => None,
    }
}

/// Checks the times of the own SVID. With a wrong one every handshake fails, and the error of the server does not say why.
fn check_times(material: &Material, now: OffsetDateTime) -> Result<(), Error> {
    let (not_before, not_after) = (material.not_before(), material.not_after());
    if not_before <= now && now <= not_after {
        return Ok(());
    }
    Err(Error::OwnTimes { id: material.id().to_string(), not_before, not_after, now })
}

/// How long a command waits for an agent that cannot be reached: the value of the setting, if it is set.
fn agent_limit(limit: Duration, is_set: bool) -> Duration {
    if is_set { limit } else { limit.min(AGENT_LIMIT) }
}

/// Waits for the first SVID: up to `limit` if the agent does not answer yet, and up to `away` if it cannot be reached or has no
/// SVID for this process.
async fn first_svid(
    source: &SvidSource,
    endpoint: &str,
    limit: Duration,
    away: Duration,
) -> Result<Arc<Material>, SvidError> {
    match source.first(endpoint, away).await {
        Err(_) if away < limit && source.status().last_error.is_none() => {
            source.first(endpoint, limit.saturating_sub(away)).await
        }
        answer => answer,
    }
}

/// The limits of the settings, longer for a restore. Zero means no limit and stays zero.
fn timeouts(set: ClientTimeouts, roles: &[Role]) -> ClientTimeouts {
    if roles != [Role::PilotRestore] {
        return set;
    }
    let at_least = |limit: Duration, least: Duration| {
        if limit.is_zero() { limit } else { limit.max(least) }
    };
    ClientTimeouts {
        response_header: at_least(set.response_header, RESTORE_LIMIT),
        whole: at_least(set.whole, RESTORE_LIMIT * 2),
        ..set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_gets_more_time_than_other_calls() {
        // cli-config-deploy 10.2 no. 7: with the default of 10 s a restore that worked looks like one that failed.
        let set = ClientTimeouts::default();
        assert_eq!(timeouts(set, &[Role::PilotSuperuser]), set);
        let longer = timeouts(set, &[Role::PilotRestore]);
        assert_eq!(longer.response_header, Duration::from_mins(1));
        assert_eq!(longer.whole, Duration::from_mins(2));
    }

    // A command gave up after 5 s, whatever the setting said.
    #[test]
    fn a_wait_for_the_agent_that_somebody_has_set_is_as_long_as_it_says() {
        let seconds = Duration::from_secs;
        assert_eq!(agent_limit(seconds(8), true), seconds(8));
        assert_eq!(agent_limit(seconds(30), false), AGENT_LIMIT);
        assert_eq!(agent_limit(seconds(2), true), seconds(2));
    }

    #[test]
    fn a_limit_that_was_lifted_or_is_longer_already_stays() {
        let set = ClientTimeouts {
            whole: Duration::ZERO,
            response_header: Duration::from_mins(9),
            ..ClientTimeouts::default()
        };
        assert_eq!(timeouts(set, &[Role::PilotRestore]), set);
    }
}
