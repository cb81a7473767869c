//! What operators and Bootstrap do with the root key: take shares out, feed them back, prove possession, look.

use std::sync::Arc;

use base16ct::lower;
use sha2::{Digest, Sha256};
use spike_crypto::{AssociatedData, Derivation, NONCE_LEN, Share, ShareIndex, ShareValue, split};
use spike_daemon::{process::chain, settings::Backend, telemetry::Status};
use spike_mtls::clock;
use spike_wire::{
    ImportStatus, NotReady, RecoverResponse, RestoreRequest, RestoreResponse, Shard,
    StatusResponse, StoreStatus, VerifyResponse, call,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    access::Grant,
    error::Error,
    service::Nexus,
    service::cipher::CIPHERTEXT_LIMIT,
    service::long_work::Lane,
    service::{keepers, survey::data_at},
    store::{NONCES_WERE_REUSED, Store},
    store_watch::{import_check, loss_check, read_check, write_check},
};

impl Nexus {
    /// N13: every share of the root key, as the Keepers hold them.
    ///
    /// # Errors
    /// [`Error::NoShares`], [`Error::NothingToRecover`]; [`Error::Store`] where the export cannot be written down.
    pub async fn recover(
        &self,
        grant: Grant<call::OperatorRecover>,
    ) -> Result<RecoverResponse, Error> {
        let shares = self.key_source().shares()?;
        let unsealed = self.seal().granted(&grant).map_err(|error| match error {
            Error::NotReady(reason) => Error::NothingToRecover(NotReady::Sealed, reason),
            Error::StoreUnopened(reason) => Error::NothingToRecover(NotReady::Store, reason),
            other => other,
        })?;
        if let Ok(store) = unsealed.store() {
            store.note_export(clock::unix_nanos()).await?;
        }
        let made = split(unsealed.root_key(), shares.quorum, Derivation::Reject);
        let on_the_wire = made
            .iter()
            .map(|share| (i64::from(share.index.get()), Shard::new(share.value.expose_bytes())));
        tracing::warn!("an operator took the recovery shares out");
        Ok(RecoverResponse { shards: on_the_wire.collect() })
    }

    /// N14: takes one share. The answer does not wait for any Keeper.
    ///
    /// # Errors
    /// [`Error::NoShares`], [`Error::Invalid`] for what is no share, [`Error::Restore`].
    pub async fn restore(
        &self,
        grant: Grant<call::OperatorRestore>,
    ) -> Result<RestoreResponse, Error> {
        let request = grant.request();
        let shares = self.key_source().shares()?;
        let share = share(request, shares.max_index)?;
        let restored = shares.restoration.feed(share, request.more, &shares.keepers).await?;
        if restored.done {
            shares.keepers.wake();
        } else {
            shares.keepers.stir();
        }
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(RestoreResponse {
            collected: count(restored.collected),
            remaining: count(restored.remaining),
            restored: restored.done,
        })
    }

    /// N15: the SHA-256 of what was encrypted under the root key. It proves possession and tells nothing of the key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong length, [`Error::Undecryptable`] for another key.
    pub async fn verify(
        &self,
        grant: Grant<call::BootstrapVerify>,
    ) -> Result<VerifyResponse, Error> {
        let request = grant.request();
        // As long as Nexus is sealed, whatever is sent is answered with that (wire-api 3.2), except for the proof of a key
        // that waits for it.
        if let (Err(sealed), Ok(shares)) = (self.seal().ready(), self.key_source().shares()) {
            let nonce = <&[u8; NONCE_LEN]>::try_from(request.nonce.as_slice()).ok();
            let Some(nonce) = nonce else { return Err(sealed) };
            let ciphertext = &request.ciphertext;
            if ciphertext.len() > self.max_ciphertext() {
                return Err(sealed);
            }
            match shares.adopter.prove(nonce, ciphertext).await {
                Ok(true) => shares.keepers.wake(),
                // Another request may have unsealed Nexus meanwhile.
                Ok(false) => self.seal().ready()?,
                Err(error) => {
                    self.seal().explain(error.hindrance(), &error.to_string());
                    return self.seal().ready().and(Err(Error::NotReady(error.to_string())));
                }
            }
        }
        let Ok(nonce) = <&[u8; NONCE_LEN]>::try_from(request.nonce.as_slice()) else {
            let reason = format!("expected {NONCE_LEN} bytes");
            return Err(Error::Invalid { field: "nonce", reason });
        };
        let limit = self.max_ciphertext();
        if request.ciphertext.len() > limit {
            let reason = format!("expected at most {limit} bytes ({CIPHERTEXT_LIMIT})");
            return Err(Error::Invalid { field: "ciphertext", reason });
        }
        let unsealed = self.seal().granted(&grant)?;
        let cipher = unsealed.cipher().aead();
        let opened = cipher.decrypt(nonce, &request.ciphertext, &AssociatedData::none());
        let Ok(plaintext) = opened else {
            return Err(Error::Undecryptable);
        };
        Ok(VerifyResponse { hash: lower::encode_string(&Sha256::digest(plaintext.as_slice())) })
    }

    /// How Nexus and its Keepers are.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::TookTooLong`]. A store that cannot be asked is part of the answer.
    pub async fn status(
        self: &Arc<Self>,
        grant: Grant<call::OperatorStatus>,
    ) -> Result<StatusResponse, Error> {
        let mut status = StatusResponse {
            version: spike_daemon::VERSION.to_owned(),
            backend: Backend::Memory.to_string(),
            ..StatusResponse::default()
        };
        if let Ok(shares) = self.key_source().shares() {
            status.backend = shares.backend.to_string();
            status.shares = shares.quorum.shares();
            status.threshold = shares.quorum.threshold();
            status.margin = shares.keepers.known_margin();
            status.keepers = shares.keepers.states().into_iter().map(keepers::status_of).collect();
            for (keeper, lapse) in status.keepers.iter_mut().zip(shares.keepers.lapses()) {
                keepers::tell_of_lapse(keeper, lapse);
            }
        }
        let unsealed = match self.seal().granted(&grant) {
            Ok(unsealed) => unsealed,
            Err(error) => {
                self.tell_of_checks(&mut status);
                status.sealed = true;
                status.reason = Some(error.to_string());
                if let Ok(shares) = self.key_source().shares() {
                    status.troubles.extend(shares.restoration.progress());
                    status.data = Some(data_at(shares.home.clone()).await);
                }
                return Ok(status);
            }
        };
        status.root_key = Some(unsealed.root_key().fingerprint().to_string());
        let nexus = Arc::clone(self);
        // A disk in trouble may take long to say so.
        let work = move |_| {
            nexus.tell_of_checks(&mut status);
            if let Ok(store) = unsealed.store() {
                // A store in trouble is what status is asked about: it must not fail for that.
                status.data_key = store.active_key().ok();
                status.last_export = store.last_export().ok().flatten().map(text);
                status.store = Some(store_status(&nexus, store));
            }
            Ok(status)
        };
        self.long_work().run(Lane::Status, grant.peer(), "ask `/healthz`", work).await
    }
}

/// The health checks that status tells of in another way: by the state and by the Keepers.
const TOLD_ELSEWHERE: [&str; 2] = ["root_key", "quorum"];

/// Those that are among the troubles of the store.
const OF_THE_STORE: [&str; 4] = ["store_write", "store_read", "store_loss", "import"];

impl Nexus {
    /// Whether `/readyz` says that this Nexus is not ready, and why; and what `/healthz` says that is told nowhere else.
    fn tell_of_checks(&self, status: &mut StatusResponse) {
        let Some(report) = self.health().report(clock::now()) else { return };
        let mut not_ready = Vec::new();
        for (name, check) in report.checks {
            let Some(reason) = check.reason.filter(|_| check.status != Status::Ok) else {
                continue;
            };
            if check.status == Status::Failing {
                not_ready.push(reason.clone());
            }
            if !TOLD_ELSEWHERE.contains(&name) && !OF_THE_STORE.contains(&name) {
                status.troubles.push(reason);
            }
        }
        if !not_ready.is_empty() {
            status.reason = Some(not_ready.join("; "));
        }
    }
}

fn store_status(nexus: &Nexus, store: &Store) -> StoreStatus {
    let checks = [
        write_check(nexus, clock::now()),
        read_check(nexus),
        loss_check(nexus),
        import_check(nexus),
    ];
    let mut troubles: Vec<String> = checks.into_iter().filter_map(Result::err).collect();
    let (bytes, log_bytes) = store.file_sizes().unwrap_or_default();
    let import = store.import_record().unwrap_or_else(|error| {
        troubles.push(chain(&error));
        None
    });
    StoreStatus {
        bytes,
        log_bytes,
        last_commit: store.condition().last_commit().map(text),
        troubles,
        import: import.map(|record| ImportStatus {
            at: text(record.imported),
            sha256: record.digest(),
            secrets: record.secrets,
            versions: record.versions,
            policies: record.policies,
            left_out: record.refused,
            advice: NONCES_WERE_REUSED.to_owned(),
        }),
    }
}

/// Reads the share of a request, strictly: a short one is not filled up (F4).
fn share(request: &RestoreRequest, max_index: u16) -> Result<Share, Error> {
    let index = ShareIndex::try_from(request.id).ok().filter(|index| index.get() <= max_index);
    let Some(index) = index else {
        let reason = format!("expected a share index from 1 to {max_index}");
        return Err(Error::Invalid { field: "id", reason });
    };
    if !request.shard.is_whole() {
        let reason = format!("expected 32 numbers, got {}", request.shard.elements());
        return Err(Error::Invalid { field: "shard", reason });
    }
    match ShareValue::from_bytes(request.shard.expose_secret()) {
        Ok(value) => Ok(Share { index, value }),
        Err(error) => Err(Error::Invalid { field: "shard", reason: error.to_string() }),
    }
}

fn text(nanos: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos))
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}
