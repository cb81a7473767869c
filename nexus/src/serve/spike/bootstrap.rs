//! The calls of Bootstrap: the survey before it makes a key, and N15, by which it verifies that Nexus has that key.

use std::sync::Arc;

use base16ct::lower;
use spike_daemon::http::{AnswerBytes, AnswerMemory};
use spike_wire::{
    Call, DataKind, EmptyRequest, SealedBy, SurveyResponse, VerifyRequest, VerifyResponse, call,
};

use super::{Handle, keepers};
use crate::{
    access::Grant,
    error::Error,
    keys::seal::Hindrance,
    service::{
        Nexus,
        bootstrap::{ProveKey, TakeSurvey},
    },
    store::Found,
};

impl Handle for call::BootstrapVerify {
    type Asked = ProveKey;

    fn asked(VerifyRequest { nonce, ciphertext }: VerifyRequest) -> ProveKey {
        ProveKey { nonce, ciphertext }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<ProveKey>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let hash = lower::encode_string(&nexus.prove_key(grant).await?);
        Ok(Self::encode_reply(&VerifyResponse { hash }).into())
    }
}

impl Handle for call::BootstrapSurvey {
    type Asked = TakeSurvey;

    fn asked(EmptyRequest: EmptyRequest) -> TakeSurvey {
        TakeSurvey
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<TakeSurvey>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let survey = nexus.survey(grant).await?;
        Ok(Self::encode_reply(&SurveyResponse {
            sealed: survey.sealed.is_some(),
            reason: survey.sealed,
            sealed_by: survey.sealed_by.map(sealed_by),
            holds_key: survey.holds_key,
            last_copy: survey.is_last_copy,
            awaits_proof: survey.awaits_proof,
            backend: survey.backend.to_string(),
            data: data_kind(survey.data.found),
            doubt: survey.data.doubt,
            directory: survey.directory.map(|directory| directory.display().to_string()),
            fed: survey.fed,
            threshold: survey.threshold,
            keepers: survey.keepers.into_iter().map(keepers::status_of).collect(),
        })
        .into())
    }
}

/// Why Nexus is sealed, on the wire.
pub(super) const fn sealed_by(by: Hindrance) -> SealedBy {
    match by {
        Hindrance::Shares => SealedBy::Shares,
        Hindrance::Mismatch => SealedBy::Mismatch,
        Hindrance::OtherKey => SealedBy::OtherKey,
        Hindrance::NoData => SealedBy::NoData,
        Hindrance::Store => SealedBy::Store,
    }
}

/// The content of the data directory, on the wire.
pub(super) const fn data_kind(found: Found) -> DataKind {
    match found {
        Found::Nothing => DataKind::None,
        Found::Ours => DataKind::Ours,
        Found::Upstream => DataKind::Upstream,
        Found::Unreadable => DataKind::Unreadable,
    }
}
