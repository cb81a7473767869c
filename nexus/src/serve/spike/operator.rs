//! N13, N14 and the status: what operators do with the root key.

use std::sync::Arc;

use spike_crypto::{Quorum, ShareValue};
use spike_daemon::{
    http::{AnswerBytes, AnswerMemory, Recent},
    telemetry::Status as Health,
};
use spike_domain::UnixNanos;
use spike_mtls::clock;
use spike_wire::{
    Call, CheckEffect, CheckStatus, EmptyRequest, ImportStatus, RecentRequests, RecoverResponse,
    RestoreRequest, RestoreResponse, Shard, StatusResponse, StoreStatus, call,
};

use super::{
    Handle,
    bootstrap::{data_kind, sealed_by},
    keepers,
};
use crate::{
    access::Grant,
    error::Error,
    service::{
        Nexus,
        operator::{FailingCheck, RecoverShares, RestoreShare, ShowStatus, Status, StoreState},
    },
    store::{ImportRecord, NONCES_WERE_REUSED},
};

impl Handle for call::OperatorRecover {
    type Asked = RecoverShares;

    fn asked(EmptyRequest: EmptyRequest) -> RecoverShares {
        RecoverShares
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<RecoverShares>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let shares = nexus.recover(grant).await?;
        let by_index = shares
            .iter()
            .map(|share| (i64::from(share.index.get()), Shard::new(share.value.expose_bytes())));
        Ok(Self::encode_reply(&RecoverResponse { shards: by_index.collect() }).into())
    }
}

impl Handle for call::OperatorRestore {
    type Asked = RestoreShare;

    fn asked(RestoreRequest { id, shard, more }: RestoreRequest) -> RestoreShare {
        RestoreShare { index: id, value: share_value(&shard), more }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<RestoreShare>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let restored = nexus.restore(grant).await?;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Self::encode_reply(&RestoreResponse {
            collected: count(restored.collected),
            remaining: count(restored.remaining),
            restored: restored.done,
            already: restored.already,
            repeated: restored.repeated,
            unconfirmed: restored.unconfirmed,
        })
        .into())
    }
}

/// Reads a share strictly: a short one is not filled up (F4).
fn share_value(shard: &Shard) -> Result<ShareValue, String> {
    if !shard.is_whole() {
        return Err(format!("expected 32 numbers, got {}", shard.elements()));
    }
    ShareValue::from_bytes(shard.expose_secret()).map_err(|error| error.to_string())
}

impl Handle for call::OperatorStatus {
    type Asked = ShowStatus;

    fn asked(EmptyRequest: EmptyRequest) -> ShowStatus {
        ShowStatus
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<ShowStatus>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        Ok(Self::encode_reply(&status(nexus.status(grant).await?)).into())
    }
}

fn status(status: Status) -> StatusResponse {
    StatusResponse {
        version: spike_daemon::VERSION.to_owned(),
        sealed: status.is_sealed,
        reason: status.reason,
        sealed_by: status.sealed_by.map(sealed_by),
        last_copy: status.is_last_copy,
        data: status.data.map(data_kind),
        fed: status.fed,
        backend: status.backend.to_string(),
        started: Some(clock::rfc3339(status.started)),
        recent: Some(recent(status.recent)),
        root_key: status.root_key.map(|fingerprint| fingerprint.to_string()),
        data_key: status.data_key,
        shares: status.quorum.map_or(0, Quorum::shares),
        threshold: status.quorum.map_or(0, Quorum::threshold),
        margin: status.margin,
        asked: status.asked.map(text),
        keepers: status
            .keepers
            .into_iter()
            .zip(status.programs)
            .map(|(keeper, program)| keepers::status_of_program(keeper, program))
            .collect(),
        trust_domains: status.trust_domains,
        last_export: status.last_export.map(text),
        store: status.store.map(store_status),
        troubles: status.troubles,
        checks: status.checks.into_iter().map(check).collect(),
    }
}

fn check(failing: FailingCheck) -> CheckStatus {
    let FailingCheck { name, status, reason } = failing;
    let effect = match status {
        Health::Ok => CheckEffect::Warning,
        Health::Degraded => CheckEffect::Degraded,
        Health::Failing => CheckEffect::Failing,
    };
    CheckStatus { name: name.to_owned(), effect, reason }
}

fn recent(recent: Recent) -> RecentRequests {
    let Recent { window, requests, refused, failed } = recent;
    RecentRequests { seconds: window.as_secs(), requests, refused, failed }
}

fn store_status(store: StoreState) -> StoreStatus {
    StoreStatus {
        bytes: store.bytes,
        log_bytes: store.log_bytes,
        last_commit: store.last_commit.map(text),
        free_bytes: store.free_bytes,
        last_backup: store.last_backup.map(text),
        troubles: store.troubles,
        import: store.import.as_ref().map(import_status),
    }
}

fn import_status(record: &ImportRecord) -> ImportStatus {
    ImportStatus {
        at: text(record.imported),
        sha256: record.digest(),
        secrets: record.secrets,
        versions: record.versions,
        policies: record.policies,
        left_out: record.refused,
        advice: NONCES_WERE_REUSED.to_owned(),
    }
}

fn text(nanos: UnixNanos) -> String {
    clock::rfc3339(clock::at(nanos))
}
