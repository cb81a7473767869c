//! One Keeper, as Nexus sees it: what it answers, and how it has been.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use spike_common::{
    client::{CallError, KeeperClient},
    clock,
    config::HttpsUrl,
    mtls::ClientTimeouts,
};
use spike_crypto::{ShareIndex, ShareValue};
use time::OffsetDateTime;

use super::lapse::Lapses;

/// One Keeper: where it is, how to talk to it, and how it was when it last answered.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) index: ShareIndex,
    pub(super) url: HttpsUrl,
    pub(super) client: KeeperClient,
    state: Mutex<KeeperState>,
    pub(super) lapses: Lapses,
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
}

/// How a Keeper is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareState {
    /// It was not asked yet.
    Unknown,
    /// It does not answer, and why.
    Unreachable(String),
    /// It answers, and holds no share.
    Empty,
    /// It sent something that is no share, and why.
    Unusable(String),
    /// It holds a share, and there is no key yet to judge it by.
    Unjudged,
    /// It holds its share of the key in use.
    Good,
    /// It holds a share of some other key.
    Foreign,
}

impl ShareState {
    /// Whether the Keeper answers at all.
    pub const fn reachable(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Unreachable(_))
    }

    /// Whether the Keeper would help a restarted Nexus.
    pub const fn helps(&self) -> bool {
        matches!(self, Self::Good | Self::Unjudged)
    }
}

/// What a Keeper answered.
pub(super) enum Answer {
    Share(ShareValue),
    Other(ShareState),
}

impl Keeper {
    pub(super) fn new(index: ShareIndex, url: HttpsUrl, client: KeeperClient) -> Self {
        let state = KeeperState {
            index: index.get(),
            url: url.to_string(),
            share: ShareState::Unknown,
            since: clock::now(),
        };
        Self { index, url, client, state: Mutex::new(state), lapses: Lapses::default() }
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

    pub(super) fn state(&self) -> MutexGuard<'_, KeeperState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down how the Keeper is; the time is that of the last change.
    pub(super) fn note(&self, share: ShareState) {
        self.lapses.note(&share);
        let mut state = self.state();
        let same_kind = std::mem::discriminant(&state.share) == std::mem::discriminant(&share);
        if !same_kind {
            state.since = clock::now();
            tracing::info!(keeper = %self.index, url = %self.url, state = ?share, "a Keeper has changed");
        }
        state.share = share;
    }
}

/// A Keeper answers from memory. One that takes longer is as good as away.
const CALL_LIMIT: Duration = Duration::from_secs(5);

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
