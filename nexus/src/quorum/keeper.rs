//! One Keeper, as Nexus sees it: what it answers, and how it has been.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use spike_common::{
    client::{CallError, KeeperClient},
    clock,
    config::HttpsUrl,
    mtls::{ClientTimeouts, TransportError},
};
use spike_crypto::{ShareIndex, ShareValue};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::told::Told;

/// How long a look at a Keeper counts. The usual pause between two looks is a quarter of it.
pub(super) const FRESH: Duration = Duration::from_secs(10);

/// How soon after it was given its share a Keeper that lacks it has forgotten it, rather than been restarted.
const KEEPS_AT_LEAST: Duration = Duration::from_mins(1);

/// One Keeper: where it is, how to talk to it, and how it was when it last answered.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) index: ShareIndex,
    pub(super) url: HttpsUrl,
    pub(super) client: KeeperClient,
    record: Mutex<Record>,
}

/// What is known of one Keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperState {
    /// The index of its share: its place in `SPIKE_NEXUS_KEEPER_PEERS`.
    pub index: u16,
    /// Its address.
    pub url: String,
    /// How it is.
    pub share: ShareState,
    /// Since when it is so.
    pub since: OffsetDateTime,
    /// When it was last looked at.
    pub looked: Option<OffsetDateTime>,
    /// How many looks in a row have found no share, or a wrong one.
    pub failures: u32,
}

/// How a Keeper is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareState {
    /// It was not asked yet, or not for too long.
    Unknown,
    /// It does not answer, and why.
    Unreachable(String),
    /// It answers, and holds no share.
    Empty,
    /// It sent something that is no share, and why.
    Unusable(String),
    /// It holds a share, and there is no key yet to judge it by.
    Unjudged,
    /// It gave back its share of the key in use.
    Good,
    /// It holds a share of some other key.
    Foreign,
    /// It took its share, said so, and did not give it back: what it sent instead.
    Forgetful(&'static str),
}

impl ShareState {
    /// Whether the Keeper answers at all.
    pub const fn reachable(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Unreachable(_))
    }

    /// Whether the Keeper would help a restarted Nexus: its share was read and judged against the key in use.
    pub const fn helps(&self) -> bool {
        matches!(self, Self::Good)
    }

    /// Whether it answers, and not with its share: giving it the share may put that right.
    pub(super) const fn lacks(&self) -> bool {
        self.in_place_of_a_share().is_some()
    }

    /// What it sent, where that was not its share.
    const fn in_place_of_a_share(&self) -> Option<&'static str> {
        match self {
            Self::Empty => Some("no share"),
            Self::Unusable(_) => Some("what is no share"),
            Self::Foreign => Some("a share of another key"),
            Self::Forgetful(instead) => Some(instead),
            Self::Unknown | Self::Unreachable(_) | Self::Unjudged | Self::Good => None,
        }
    }

    const fn is_same_kind(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Unknown, Self::Unknown)
                | (Self::Unreachable(_), Self::Unreachable(_))
                | (Self::Empty, Self::Empty)
                | (Self::Unusable(_), Self::Unusable(_))
                | (Self::Unjudged, Self::Unjudged)
                | (Self::Good, Self::Good)
                | (Self::Foreign, Self::Foreign)
                | (Self::Forgetful(_), Self::Forgetful(_))
        )
    }
}

/// What a Keeper answered.
pub(super) enum Answer {
    Share(ShareValue),
    Other(ShareState),
}

/// The history of one Keeper, as far as it matters.
#[derive(Debug)]
struct Record {
    share: ShareState,
    since: OffsetDateTime,
    looked: Option<(OffsetDateTime, Instant)>,
    failures: u32,
    /// When it last took its share.
    given: Option<Instant>,
    told: Told,
}

impl Keeper {
    pub(super) fn new(index: ShareIndex, url: HttpsUrl, client: KeeperClient) -> Self {
        let record = Record {
            share: ShareState::Unknown,
            since: clock::now(),
            looked: None,
            failures: 0,
            given: None,
            told: Told::default(),
        };
        Self { index, url, client, record: Mutex::new(record) }
    }

    /// Asks for the share. Whatever a Keeper sends, this only ever says what it was (F4, Q-39).
    pub(super) async fn ask(&self) -> Answer {
        let shard = match self.client.shard().await {
            Ok(answer) => answer.shard,
            // Upstream answers 400 while it holds none, and its documents say 404.
            Err(CallError::Refused(refusal)) if matches!(refusal.status.as_u16(), 400 | 404) => {
                return Answer::Other(ShareState::Empty);
            }
            Err(CallError::Refused(refusal)) => {
                return Answer::Other(ShareState::Unusable(refusal.to_string()));
            }
            Err(CallError::Reply(error)) => {
                return Answer::Other(ShareState::Unusable(error.to_string()));
            }
            Err(CallError::Transport(error @ TransportError::TooLarge { .. })) => {
                return Answer::Other(ShareState::Unusable(error.to_string()));
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

    /// How the Keeper is. What was seen too long ago counts for nothing.
    pub(super) fn state(&self) -> KeeperState {
        let record = self.record();
        let is_fresh = record.looked.is_some_and(|(_, at)| at.elapsed() <= FRESH);
        let share = if record.share.helps() && !is_fresh {
            ShareState::Unknown
        } else {
            record.share.clone()
        };
        KeeperState {
            index: self.index.get(),
            url: self.url.to_string(),
            share,
            since: record.since,
            looked: record.looked.map(|(at, _)| at),
            failures: record.failures,
        }
    }

    /// When the Keeper was last looked at.
    pub(super) fn looked(&self) -> Option<Instant> {
        self.record().looked.map(|(_, at)| at)
    }

    /// Writes down what a look has shown; the time is that of the last change. Tells whether it shows something else than
    /// the look before.
    pub(super) fn note(&self, share: ShareState) -> bool {
        let mut record = self.record();
        if matches!(share, ShareState::Unreachable(_)) {
            // It may be starting anew, and would come back empty.
            record.given = None;
        }
        let forgotten = record.given.is_some_and(|at| at.elapsed() < KEEPS_AT_LEAST);
        let share = match share.in_place_of_a_share() {
            Some(instead) if forgotten => ShareState::Forgetful(instead),
            Some(_) | None => share,
        };
        self.look(&mut record, share)
    }

    /// Writes down that the Keeper took its share, and what it sent when it was asked for it just after. One that is known to
    /// forget is believed at its next look, and not before.
    pub(super) fn note_given(&self, read_back: &ShareState) {
        let mut record = self.record();
        record.given = Some(Instant::now());
        match read_back.in_place_of_a_share() {
            Some(instead) => {
                self.look(&mut record, ShareState::Forgetful(instead));
            }
            None if matches!(record.share, ShareState::Forgetful(_)) => {}
            None => {
                self.look(&mut record, read_back.clone());
            }
        }
    }

    /// Whether this trouble with the Keeper is to be told now.
    pub(super) fn is_news(&self, trouble: &str) -> bool {
        self.record().told.is_due(trouble, Instant::now())
    }

    fn look(&self, record: &mut Record, share: ShareState) -> bool {
        record.looked = Some((clock::now(), Instant::now()));
        let fails = !matches!(share, ShareState::Good | ShareState::Unjudged);
        record.failures = if fails { record.failures.saturating_add(1) } else { 0 };
        self.change(record, share)
    }

    fn change(&self, record: &mut Record, share: ShareState) -> bool {
        let is_new = !record.share.is_same_kind(&share);
        if is_new {
            record.since = clock::now();
            tracing::info!(keeper = %self.index, url = %self.url, state = ?share, "a Keeper has changed");
        }
        record.share = share;
        is_new
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A Keeper answers from memory. One that takes longer is as good as away.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(5);

/// The configured limits, where they are shorter than what a Keeper may take.
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
