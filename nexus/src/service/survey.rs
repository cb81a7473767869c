//! What Bootstrap is told before it makes a root key: everything that a new one would take the place of.

use spike_daemon::settings::Backend;
use spike_wire::{DataKind, SurveyResponse, call};

use crate::{
    access::Grant,
    error::Error,
    keys::quorum::ANSWER_LIMIT,
    service::Nexus,
    service::keepers,
    store::{Found, Home, Store},
};

impl Nexus {
    /// Whether there is a key, and if not: why, what lies in the data directory, and how every Keeper answers now. Nothing
    /// in it is a secret, and asking changes nothing.
    ///
    /// # Errors
    /// None today.
    pub async fn survey(&self, _: Grant<call::BootstrapSurvey>) -> Result<SurveyResponse, Error> {
        let Some(shares) = self.key_source().shares_of_keepers() else {
            return Ok(SurveyResponse {
                backend: Backend::Memory.to_string(),
                data: DataKind::None,
                ..SurveyResponse::default()
            });
        };
        if self.seal().ready().is_err() {
            // One of them may just have been given its share: then there is a key in a moment.
            shares.keepers.look_again(ANSWER_LIMIT).await;
        }
        let reason = self.seal().ready().err().map(|error| error.to_string());
        Ok(SurveyResponse {
            sealed: reason.is_some(),
            reason,
            awaits_proof: shares.adopter.awaits_proof(),
            backend: shares.backend.to_string(),
            data: data_at(shares.home.clone()).await,
            directory: shares
                .home
                .as_ref()
                .and_then(Home::directory)
                .map(|at| at.display().to_string()),
            keepers: shares.keepers.states().into_iter().map(keepers::status_of).collect(),
        })
    }
}

/// What lies at `home`.
pub(crate) async fn data_at(home: Option<Home>) -> DataKind {
    let Some(home) = home else { return DataKind::None };
    match tokio::task::spawn_blocking(move || Store::found(&home)).await {
        Ok(Found::Nothing) => DataKind::None,
        Ok(Found::Ours) => DataKind::Ours,
        Ok(Found::Upstream) => DataKind::Upstream,
        Ok(Found::Unreadable) | Err(_) => DataKind::Unreadable,
    }
}
