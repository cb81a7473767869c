//! One Keeper, as Nexus sees it: its answers and its state.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use spike_config::HttpsUrl;
use spike_crypto::{Fingerprint, ShareIndex, ShareValue};
use spike_mtls::{
    ClientTimeouts, TransportError,
    client::{CallError, KeeperClient},
};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{
    foreign::{self, ForeignShare},
    kept::KeptKey,
    lapse::Lapses,
    recently_logged::RecentlyLogged,
    record::{Moment, Record, ShareState},
};

/// The key that the share of a Keeper makes with those of others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// The key.
    pub(super) key: Fingerprint,
    /// Whether the data is of another key.
    pub(super) is_refused: bool,
}

/// One Keeper: its address, the client, and its state at the last answer.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) index: ShareIndex,
    pub(super) url: HttpsUrl,
    pub(super) client: KeeperClient,
    record: Mutex<Record>,
    logged: Mutex<RecentlyLogged>,
    pub(super) lapses: Lapses,
    pub(super) foreign: ForeignShare,
    process: Mutex<Process>,
    /// The last share that it sent, except one of the key in use. It is known while the Keeper is away, too.
    sent: Mutex<Option<ShareValue>>,
}

/// The process at the address of a Keeper.
#[derive(Debug, Default)]
enum Process {
    /// It was not asked since it was last away.
    #[default]
    Unasked,
    /// The name that it told; `None` if it tells none, as upstream's.
    Told(Option<String>),
}

/// The known state of one Keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperState {
    /// The index of its share: its place in `SPIKE_NEXUS_KEEPER_PEERS`.
    pub index: u16,
    /// Its address.
    pub url: String,
    /// Its state.
    pub share: ShareState,
    /// When this state began.
    pub since: OffsetDateTime,
    /// When it was last checked.
    pub looked: Option<OffsetDateTime>,
    /// How many checks in a row found no share, or a wrong one.
    pub failures: u32,
    /// The other key whose share it holds, if the Keepers together hold that key whole.
    pub other_key: Option<Fingerprint>,
    /// The key that its share makes with those of others, while Nexus has no key.
    pub made: Option<Fingerprint>,
}

impl KeeperState {
    /// The state with the name of the other key that the Keepers hold, if this one holds a share of another key.
    pub(super) fn naming(self, other_key: Option<Fingerprint>) -> Self {
        let is_foreign = matches!(self.share, ShareState::Foreign);
        Self { other_key: other_key.filter(|_| is_foreign), ..self }
    }

    /// The state with what the shares of a sealed Nexus make, if this one is among them.
    pub(super) fn judged_by(self, made: Option<Made>) -> Self {
        let Some(Made { key, is_refused }) =
            made.filter(|_| matches!(self.share, ShareState::Unjudged))
        else {
            return self;
        };
        let share = if is_refused { ShareState::Foreign } else { ShareState::Unjudged };
        Self { share, made: Some(key), ..self }
    }

    /// What a person can do, if the Keeper holds a share of another key, or is listed twice.
    pub fn advice(&self) -> Option<String> {
        match &self.share {
            ShareState::Foreign => Some(match self.made {
                Some(key) => foreign::advice_while_sealed(&self.url, key),
                None => foreign::advice(&self.url, self.other_key),
            }),
            ShareState::Repeated { index, url } => Some(format!(
                "Keeper {} at {} and Keeper {index} at {url} are one process, which holds one share: list each Keeper once in \
                 SPIKE_NEXUS_KEEPER_PEERS, start the one that is missing, and restart Nexus",
                self.index, self.url
            )),
            ShareState::Unjudged => {
                self.made.map(|key| format!("its share is of root key {key}, which is not in use"))
            }
            ShareState::Unknown
            | ShareState::Unreachable(_)
            | ShareState::Empty
            | ShareState::Unusable(_)
            | ShareState::Good
            | ShareState::Untold(_)
            | ShareState::Misplaced
            | ShareState::Forgetful(_) => None,
        }
    }
}

/// What a Keeper says of its program. Nothing checks it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeeperProgram {
    /// Its version.
    pub version: Option<String>,
    /// When it began to serve, RFC 3339.
    pub started: Option<String>,
}

/// The answer of a Keeper.
pub(super) enum Answer {
    Share(ShareValue),
    Other(ShareState),
}

impl Keeper {
    pub(super) fn new(index: ShareIndex, url: HttpsUrl, client: KeeperClient) -> Self {
        let record = Mutex::new(Record::new(Moment::now()));
        let (logged, lapses, foreign, process, sent) = Default::default();
        Self { index, url, client, record, logged, lapses, foreign, process, sent }
    }

    /// Asks which process answers here, unless that is known since the Keeper was last away.
    pub(super) async fn identify(&self, answer: &Answer) {
        if matches!(answer, Answer::Other(ShareState::Unreachable(_) | ShareState::Unknown)) {
            *self.process() = Process::Unasked;
        } else if matches!(*self.process(), Process::Unasked) {
            self.identify_again().await;
        }
    }

    /// Asks which process answers here. One that is slow to say so is taken to tell none, so that it delays no later look.
    pub(super) async fn identify_again(&self) {
        let asked = tokio::time::timeout(NAME_LIMIT, self.client.status()).await;
        *self.process() = match asked {
            Ok(Ok(told)) => Process::Told(told.process.filter(|name| !name.is_empty())),
            Ok(Err(
                CallError::Refused(_)
                | CallError::Reply(_)
                | CallError::Transport(
                    TransportError::TooLarge { .. } | TransportError::Endless { .. },
                ),
            ))
            | Err(_) => Process::Told(None),
            Ok(Err(CallError::Transport(_))) => Process::Unasked,
        };
    }

    /// Whether both are known to be one process.
    pub(super) fn is_same_process(&self, other: &Self) -> bool {
        let told = |keeper: &Self| match &*keeper.process() {
            Process::Told(name) => name.clone(),
            Process::Unasked => None,
        };
        told(self).is_some_and(|name| told(other) == Some(name))
    }

    /// Records the share that the Keeper has sent. Returns whether it is another one than before.
    pub(super) fn note_sent(&self, share: ShareValue) -> bool {
        let mut sent = self.sent();
        let is_new = !sent.as_ref().is_some_and(|sent| sent.ct_eq(&share));
        *sent = Some(share);
        is_new
    }

    /// Whether this is the share that the Keeper sent last.
    pub(super) fn has_sent(&self, share: &ShareValue) -> bool {
        self.sent().as_ref().is_some_and(|sent| sent.ct_eq(share))
    }

    /// Whether the share that the Keeper sent last is one that it sent of this key.
    pub(super) fn has_sent_one_of(&self, kept: &KeptKey) -> bool {
        self.sent().as_ref().is_some_and(|sent| kept.has(self.index, sent))
    }

    /// Whether the share that the Keeper sent last is the last one of another of these.
    pub(super) fn sends_the_same_as<'k>(&self, others: impl IntoIterator<Item = &'k Self>) -> bool {
        let sent = self.sent().as_ref().map(ShareValue::duplicate);
        sent.is_some_and(|sent| others.into_iter().any(|other| other.has_sent(&sent)))
    }

    fn sent(&self) -> MutexGuard<'_, Option<ShareValue>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the share. The answer only classifies what the Keeper sent, whatever that was (F4, Q-39).
    pub(super) async fn ask(&self) -> Answer {
        let shard = match self.client.shard().await {
            Ok(answer) => answer.shard,
            // Upstream answers 400 while it holds no share; its documentation says 404.
            Err(CallError::Refused(refusal)) if matches!(refusal.status.as_u16(), 400 | 404) => {
                return Answer::Other(ShareState::Empty);
            }
            // It may hold a share all the same.
            Err(CallError::Refused(refusal)) => {
                return Answer::Other(ShareState::Untold(refusal.to_string()));
            }
            Err(CallError::Reply(error)) => {
                return Answer::Other(ShareState::Untold(error.to_string()));
            }
            Err(CallError::Transport(
                error @ (TransportError::TooLarge { .. } | TransportError::Endless { .. }),
            )) => {
                return Answer::Other(ShareState::Untold(error.to_string()));
            }
            Err(CallError::Transport(error)) => {
                return Answer::Other(ShareState::Unreachable(error.to_string()));
            }
        };
        if shard.elements() == 0 {
            return Answer::Other(ShareState::Unusable("an answer without a share".to_owned()));
        }
        if !shard.is_whole() {
            let reason = format!("a share of {} numbers", shard.elements());
            return Answer::Other(ShareState::Unusable(reason));
        }
        match ShareValue::from_bytes(shard.expose_secret()) {
            Ok(value) => Answer::Share(value),
            Err(error) => Answer::Other(ShareState::Unusable(error.to_string())),
        }
    }

    /// As [`Self::ask`]. A Keeper that has not answered within `limit` counts as unreachable, also if it sends byte by byte.
    pub(super) async fn ask_within(&self, limit: Duration) -> Answer {
        let answer = tokio::time::timeout(limit, self.ask()).await;
        answer.unwrap_or_else(|_late| {
            let reason = format!("no answer within {} s", limit.as_secs_f32());
            Answer::Other(ShareState::Unreachable(reason))
        })
    }

    /// The state of the Keeper.
    pub(super) fn state(&self) -> KeeperState {
        let record = self.record();
        KeeperState {
            index: self.index.get(),
            url: self.url.to_string(),
            share: record.share(Instant::now()),
            since: record.since(),
            looked: record.looked(),
            failures: record.failures(),
            other_key: None,
            made: None,
        }
    }

    /// When the Keeper was last checked.
    pub(super) fn looked_at(&self) -> Option<Instant> {
        self.record().looked_at()
    }

    /// Records a check. Returns whether the kind of the state has changed.
    pub(super) fn note(&self, share: ShareState) -> bool {
        self.lapses.note(&share);
        let changed = self.record().note(share, Moment::now());
        self.log_change(changed)
    }

    /// Records that the Keeper took its share, and what it sent when it was asked for the share right after.
    pub(super) fn note_given(&self, read_back: &ShareState) {
        self.lapses.note(read_back);
        let changed = self.record().note_given(read_back, Moment::now());
        self.log_change(changed);
    }

    /// Whether this problem of the Keeper is to be logged now.
    pub(super) fn is_news(&self, trouble: &str) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.is_due(trouble, Instant::now())
    }

    /// Logs the state if its kind has changed.
    fn log_change(&self, changed: bool) -> bool {
        if changed {
            let state = self.state().share;
            tracing::info!(keeper = %self.index, url = %self.url, %state, "a Keeper has changed");
        }
        changed
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A Keeper answers from memory. One that takes longer for a call counts as unreachable.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(5);

/// How long a Keeper may take to name its process.
const NAME_LIMIT: Duration = Duration::from_secs(1);

/// The configured limits, if they are shorter than the time limit of a Keeper.
pub(super) fn within_limit(timeouts: ClientTimeouts) -> ClientTimeouts {
    let shorter =
        |limit: Duration| if limit.is_zero() { CALL_LIMIT } else { limit.min(CALL_LIMIT) };
    ClientTimeouts {
        whole: shorter(timeouts.whole),
        dial: shorter(timeouts.dial),
        handshake: shorter(timeouts.handshake),
        response_header: shorter(timeouts.response_header),
        ..timeouts
    }
}
