//! What operators do with the root key: take shares out, feed them back, read the status.

use serde_json::Value;
use spike_crypto::{Derivation, Fingerprint, Quorum, Share, ShareIndex, ShareValue, split};
use spike_daemon::{
    http::Recent,
    process::chain,
    settings::Backend,
    telemetry::{CLOCK_WARNING, HealthReport, Status as Health},
};
use spike_domain::UnixNanos;
use spike_mtls::clock;
use time::OffsetDateTime;

use super::{Nexus, long_work::Lane};
use crate::{
    access::{Asked, Grant, Operation, Subject},
    error::Error,
    keys::{
        quorum::{ANSWER_LIMIT, KeeperProgram, KeeperState, Lapse, Restored},
        seal::{Hindrance, Unsealed},
    },
    store::{Found, ImportRecord, Look, Store},
};

/// Takes out all recovery shares.
#[derive(Debug)]
pub struct RecoverShares;

/// Feeds back one recovery share.
#[derive(Debug)]
pub struct RestoreShare {
    /// Its index, not checked yet.
    pub index: i64,
    /// Its value, or what is wrong with it. Only a peer that is authorized learns that.
    pub value: Result<ShareValue, String>,
    /// Another share follows at once, and the two are judged together.
    pub more: bool,
}

/// Asks for the status of Nexus and its Keepers.
#[derive(Debug)]
pub struct ShowStatus;

/// The answer.
#[derive(Debug)]
pub struct Status {
    /// The backend.
    pub backend: Backend,
    /// Whether the root key is missing.
    pub is_sealed: bool,
    /// Why it is missing; or why Nexus is not ready although it has the key.
    pub reason: Option<String>,
    /// The kind of that reason, while the root key is missing.
    pub sealed_by: Option<Hindrance>,
    /// Whether a restart would lose a root key that is not in use.
    pub is_last_copy: bool,
    /// The content of the data directory, while the root key is missing.
    pub data: Option<Found>,
    /// Recovery shares that operators have fed, and that are not in use yet.
    pub fed: u16,
    /// When this process began to serve.
    pub started: OffsetDateTime,
    /// The requests that ended lately.
    pub recent: Recent,
    /// A name for the root key.
    pub root_key: Option<Fingerprint>,
    /// The number of the active data key.
    pub data_key: Option<u32>,
    /// How the root key is split, unless the backend makes its own.
    pub quorum: Option<Quorum>,
    /// How many Keepers may be lost before a restart of Nexus needs an operator, if that is known.
    pub margin: Option<i64>,
    /// When all Keepers were asked for this answer.
    pub asked: Option<UnixNanos>,
    /// Every Keeper, in the order of the shares, and what it last sent in place of its share.
    pub keepers: Vec<(KeeperState, Option<Lapse>)>,
    /// What each Keeper said of its program, in the same order.
    pub programs: Vec<KeeperProgram>,
    /// The trust domains whose bundles it holds, its own first.
    pub trust_domains: Vec<String>,
    /// When recovery shares were last taken out.
    pub last_export: Option<UnixNanos>,
    /// The store, if it is open.
    pub store: Option<StoreState>,
    /// Other problems of this process, one entry each.
    pub troubles: Vec<String>,
    /// The health checks that do not pass.
    pub checks: Vec<FailingCheck>,
}

/// A health check that does not pass.
#[derive(Debug)]
pub struct FailingCheck {
    /// Its name in `/healthz`.
    pub name: &'static str,
    /// What its failure does; [`Health::Ok`] if it passes, and somebody should look at what it saw.
    pub status: Health,
    /// Why.
    pub reason: String,
}

/// The state of an open store.
#[derive(Debug)]
pub struct StoreState {
    /// Size of the database file in bytes; 0 in memory.
    pub bytes: u64,
    /// Size of the write-ahead log in bytes.
    pub log_bytes: u64,
    /// When the last write was committed; `None`: none since the start.
    pub last_commit: Option<UnixNanos>,
    /// Bytes that may still be written on the disk of the database, if there is one that says so.
    pub free_bytes: Option<u64>,
    /// When the newest verified backup was made.
    pub last_backup: Option<UnixNanos>,
    /// Problems of the store, one entry each.
    pub troubles: Vec<String>,
    /// What was imported from upstream, if anything was.
    pub import: Option<ImportRecord>,
}

impl Asked for RecoverShares {
    const OPERATION: Operation = Operation::OperatorRecover;
    const SUBJECT: Subject<Self> = Subject::Nothing;
}

impl Asked for RestoreShare {
    const OPERATION: Operation = Operation::OperatorRestore;
    const SUBJECT: Subject<Self> = Subject::Share(|asked| asked.index);
}

impl Asked for ShowStatus {
    const OPERATION: Operation = Operation::OperatorStatus;
    const SUBJECT: Subject<Self> = Subject::Nothing;
}

impl Nexus {
    /// N13: every share of the root key, as the Keepers hold them.
    ///
    /// # Errors
    /// [`Error::NoShares`], [`Error::NothingToRecover`], [`Error::Busy`]; [`Error::Store`] if the export cannot be recorded.
    pub async fn recover(&self, grant: Grant<RecoverShares>) -> Result<Vec<Share>, Error> {
        let quorum = self.key_source.shares()?.quorum;
        let unsealed = self.seal.granted(&grant).map_err(Error::nothing_to_recover)?;
        if let Ok(store) = unsealed.store() {
            store.note_export(clock::unix_nanos()).await?;
        }
        let (RecoverShares, caller) = grant.into_parts();
        // With many shares this takes milliseconds.
        let work = move |_| Ok(split(unsealed.root_key(), quorum, Derivation::Reject));
        let made = self.long_work.run(Lane::Status, &caller, "ask again", work).await?;
        tracing::warn!("an operator took the recovery shares out");
        Ok(made)
    }

    /// N14: takes one share. The answer does not wait for any Keeper.
    ///
    /// # Errors
    /// [`Error::NoShares`], [`Error::Invalid`] for an invalid share, [`Error::Restore`].
    pub async fn restore(&self, grant: Grant<RestoreShare>) -> Result<Restored, Error> {
        let (RestoreShare { index, value, more }, _) = grant.into_parts();
        let shares = self.key_source.shares()?;
        let most = shares.max_index;
        let index = ShareIndex::try_from(index).ok().filter(|index| index.get() <= most);
        let Some(index) = index else {
            let reason = format!("expected a share index from 1 to {most}");
            return Err(Error::Invalid { field: "id", reason });
        };
        let value = value.map_err(|reason| Error::Invalid { field: "shard", reason })?;
        let share = Share { index, value };
        let restored = shares.restoration.feed(share, more, &shares.keepers).await?;
        if restored.done {
            shares.keepers.wake();
        } else {
            shares.keepers.shorten_pauses();
        }
        Ok(restored)
    }

    /// The status of Nexus and its Keepers. Every Keeper is asked first, because operators restart things by the margin.
    ///
    /// # Errors
    /// None: a store that does not answer is part of the status.
    pub async fn status(&self, grant: Grant<ShowStatus>) -> Result<Status, Error> {
        let mut status = self.status_of_shares().await;
        // After the Keepers were asked: what it says of them is of the same time.
        let unsealed = self.seal.granted(&grant);
        let data = if unsealed.is_err() || self.unused_data.is_some() {
            Some(self.data().await)
        } else {
            None
        };
        status.troubles.extend(data.as_ref().and_then(|data| self.unused(data)));
        let unsealed = match unsealed {
            Ok(unsealed) => unsealed,
            Err(error) => {
                self.health.fresh().await;
                status.take_checks(self.health.report(clock::now()).as_ref());
                status.is_sealed = true;
                status.reason = Some(error.to_string());
                status.sealed_by = self.seal.hindrance();
                status.is_last_copy = self.seal.is_last_copy();
                if let Ok(shares) = self.key_source.shares() {
                    status.troubles.extend(shares.restoration.progress());
                    status.fed = shares.restoration.fed();
                    if let Some(Look { found, doubt }) = data {
                        let doubt = doubt.filter(|_| self.unused_data.is_none());
                        let doubt = doubt.map(|why| format!("the data directory: {why}"));
                        status.troubles.extend(doubt);
                        status.data = Some(found);
                    }
                }
                return Ok(status);
            }
        };
        status.root_key = Some(unsealed.root_key().fingerprint());
        self.health.fresh().await;
        let report = self.health.report(clock::now());
        status.take_checks(report.as_ref());
        if unsealed.store().is_err() {
            return Ok(status);
        }
        // Status is requested because of a defective store, so it must not fail with it, nor wait for it.
        let looked = self.looks.take(move || StoreFacts::of(&unsealed, report.as_ref())).await;
        match looked {
            Ok(StoreFacts { data_key, last_export, state }) => {
                (status.data_key, status.last_export) = (data_key, last_export);
                status.store = state;
            }
            Err(why) => status.troubles.push(format!("the data directory: {}", why.symptom())),
        }
        Ok(status)
    }

    /// The facts about the shares, without the rest.
    async fn status_of_shares(&self) -> Status {
        let mut status = Status {
            backend: Backend::Memory,
            is_sealed: false,
            reason: None,
            sealed_by: None,
            is_last_copy: false,
            data: None,
            fed: 0,
            started: self.frame.started(),
            recent: self.frame.recent(),
            root_key: None,
            data_key: None,
            quorum: None,
            margin: None,
            asked: None,
            keepers: Vec::new(),
            programs: Vec::new(),
            trust_domains: self.trust_domains.names(),
            last_export: None,
            store: None,
            troubles: Vec::new(),
            checks: Vec::new(),
        };
        if let Ok(shares) = self.key_source.shares() {
            let keepers = &shares.keepers;
            status.asked = Some(clock::unix_nanos());
            let ((), programs) =
                tokio::join!(keepers.look_again(ANSWER_LIMIT), keepers.programs(ANSWER_LIMIT));
            status.programs = programs;
            status.backend = shares.backend;
            status.quorum = Some(shares.quorum);
            status.margin = keepers.known_margin();
            status.troubles.extend(keepers.repeated());
            let left = keepers.left_beside();
            status.is_last_copy = left.is_some();
            status.troubles.extend(left);
            status.keepers = keepers.states().into_iter().zip(keepers.lapses()).collect();
        }
        status
    }
}

/// The health checks that status shows in another way: by the state and by the Keepers.
const TOLD_ELSEWHERE: [&str; 2] = ["root_key", "quorum"];

/// The health checks that are problems of the store, in the order in which they are shown.
const OF_THE_STORE: [&str; 4] = ["store_write", "store_read", "store_loss", "import"];

impl Status {
    /// Adds what `/readyz` and `/healthz` say: whether and why this Nexus is not ready, and every problem that has no other
    /// place.
    fn take_checks(&mut self, report: Option<&HealthReport>) {
        let Some(report) = report else { return };
        let mut not_ready = Vec::new();
        for (name, check) in &report.checks {
            let Some(reason) = check.reason.as_deref().filter(|_| check.status != Health::Ok)
            else {
                continue;
            };
            if check.status == Health::Failing {
                not_ready.push(reason);
            }
            if !TOLD_ELSEWHERE.contains(name) && !OF_THE_STORE.contains(name) {
                self.troubles.push(reason.to_owned());
            }
            let reason = reason.to_owned();
            self.checks.push(FailingCheck { name, status: check.status, reason });
        }
        if let Some(Value::String(reason)) = report.facts.get(CLOCK_WARNING) {
            self.troubles.push(reason.clone());
            let (name, reason) = ("clock", reason.clone());
            self.checks.push(FailingCheck { name, status: Health::Ok, reason });
        }
        if !not_ready.is_empty() {
            self.reason = Some(not_ready.join("; "));
        }
    }
}

/// What the status reads from the store.
struct StoreFacts {
    data_key: Option<u32>,
    last_export: Option<UnixNanos>,
    state: Option<StoreState>,
}

impl StoreFacts {
    fn of(unsealed: &Unsealed, report: Option<&HealthReport>) -> Self {
        let store = unsealed.store().ok();
        Self {
            data_key: store.and_then(|store| store.active_key().ok()),
            last_export: store.and_then(|store| store.last_export().ok().flatten()),
            state: store.map(|store| StoreState::of(store, report)),
        }
    }
}

impl StoreState {
    fn of(store: &Store, report: Option<&HealthReport>) -> Self {
        let checks = OF_THE_STORE.iter().filter_map(|name| report?.checks.get(name));
        let failing = checks.filter(|check| check.status != Health::Ok);
        let mut troubles: Vec<String> = failing.filter_map(|check| check.reason.clone()).collect();
        let (bytes, log_bytes) = store.file_sizes().unwrap_or_default();
        let import = store.import_record().unwrap_or_else(|error| {
            troubles.push(chain(&error));
            None
        });
        let last_commit = store.condition().last_commit();
        let free_bytes = store.free_bytes();
        let last_backup = store.last_backup().filter(|made| *made > 0);
        let last_backup = last_backup.and_then(|made| made.checked_mul(1_000_000_000));
        Self { bytes, log_bytes, last_commit, free_bytes, last_backup, troubles, import }
    }
}
