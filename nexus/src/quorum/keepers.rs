//! The Keepers: asked for their shares while Nexus is sealed, kept filled once it is not.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use spike_common::{
    client::KeeperClient,
    config::KeeperPeers,
    daemon::{StartError, chain},
    identity::TrustRootsByRole,
    mtls::ClientTimeouts,
    retry::{Backoff, unit_interval},
    svid::SvidSource,
    wire::{ContributeRequest, Shard},
};
use spike_crypto::{Derivation, Quorum, RootKey, Share, ShareIndex, derivation_of, split};
use tokio::{sync::Notify, task::AbortHandle, time::Instant};

use super::{
    AdoptError, Adopter, Candidates, KeeperState, ShareState,
    collect::CollectError,
    keeper::{Answer, Keeper, within_limit},
};
use crate::seal::Seal;

/// The first and the longest pause between two questions to one Keeper while there is no key. A Keeper that has just
/// been seeded is noticed within a second, jitter included.
const SEALED_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));
/// The pause between two questions to a Keeper that is well, once there is a key.
const UNSEALED_PAUSE: Duration = Duration::from_secs(5);
/// The pause between two questions to one that is not: how soon a Keeper that comes back empty is filled again.
const TROUBLED_PAUSE: Duration = Duration::from_secs(1);

/// All Keepers of this Nexus.
#[derive(Debug)]
pub struct Keepers {
    each: Vec<Keeper>,
    seal: Arc<Seal>,
    adopter: Arc<Adopter>,
    quorum: Quorum,
    timing: Timing,
    collected: Mutex<Collected>,
    /// Shares are tried by one task at a time: what is told last must be of all that are there, and not of a few.
    trying: tokio::sync::Mutex<()>,
    /// The key has come into use: no Keeper waits for its next turn.
    unsealed: Notify,
}

/// How often Keepers are talked to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// How often a Keeper that is well is given its share again (`SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL`).
    pub(crate) update_interval: Duration,
    /// The longest pause between two questions while there is no key, where it is shorter than ours
    /// (`SPIKE_NEXUS_RECOVERY_MAX_INTERVAL`, which upstream never reads, F17).
    pub(crate) longest_pause: Duration,
}

#[derive(Debug, Default)]
struct Collected {
    shares: Vec<Share>,
    /// The last failure was not the fault of the shares: the same ones may do later.
    try_again: bool,
}

/// The tasks that tend the Keepers; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Tending(Vec<AbortHandle>);

impl Drop for Tending {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// What it takes to talk to Keepers.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    pub(crate) source: &'a SvidSource,
    pub(crate) roots: &'a Arc<TrustRootsByRole>,
    pub(crate) timeouts: ClientTimeouts,
}

impl Keepers {
    /// The Keepers at `peers`, which are as many as shares. Nobody is asked before [`Self::tend`].
    ///
    /// # Errors
    /// Only where the TLS library cannot be configured at all.
    pub(crate) fn new(
        peers: &KeeperPeers,
        connection: &Connection<'_>,
        (seal, adopter): (Arc<Seal>, Arc<Adopter>),
        quorum: Quorum,
        timing: Timing,
    ) -> Result<Self, StartError> {
        let timeouts = within_limit(connection.timeouts);
        let each = peers.iter().filter_map(|(index, url)| {
            let index = ShareIndex::new(index).ok()?;
            let roots = Arc::clone(connection.roots);
            let client = KeeperClient::new(connection.source, roots, url, timeouts);
            Some(client.map(|client| Keeper::new(index, url.clone(), client)))
        });
        Ok(Self {
            each: each.collect::<Result<_, _>>()?,
            seal,
            adopter,
            quorum,
            timing,
            collected: Mutex::default(),
            trying: tokio::sync::Mutex::default(),
            unsealed: Notify::new(),
        })
    }

    /// How every Keeper is.
    pub fn states(&self) -> Vec<KeeperState> {
        self.each.iter().map(|keeper| keeper.state().clone()).collect()
    }

    /// How many Keepers may still be lost before a restarted Nexus would need an operator. Negative when it would.
    pub fn margin(&self) -> i64 {
        let helping = self.states().iter().filter(|keeper| keeper.share.helps()).count();
        i64::try_from(helping).unwrap_or(i64::MAX) - i64::from(self.quorum.threshold())
    }

    /// How the key is split.
    pub const fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// Begins to look after every Keeper, each in a task of its own: a slow one delays nobody.
    pub(crate) fn tend(self: &Arc<Self>) -> Tending {
        let tasks = self.each.iter().enumerate().map(|(position, _)| {
            let keepers = Arc::clone(self);
            tokio::spawn(async move { keepers.tend_one(position).await }).abort_handle()
        });
        Tending(tasks.collect())
    }

    /// Tells every Keeper's task that there is a key now, wherever it came from.
    pub(crate) fn wake(&self) {
        self.unsealed.notify_waiters();
    }

    async fn tend_one(&self, position: usize) {
        let Some(keeper) = self.each.get(position) else { return };
        let mut backoff =
            Backoff::new(SEALED_PAUSE.0, SEALED_PAUSE.1.min(self.timing.longest_pause));
        let mut next_update = None;
        loop {
            let woken = self.unsealed.notified();
            let answer = keeper.ask().await;
            let pause = match self.seal.unsealed() {
                Err(_) => {
                    self.collect(keeper, answer).await;
                    backoff.pause()
                }
                Ok(unsealed) => {
                    let due = *next_update
                        .get_or_insert_with(|| Instant::now() + self.timing.update_interval);
                    let update = Instant::now() >= due;
                    if update {
                        next_update = None;
                    }
                    self.refill(keeper, answer, unsealed.root_key(), update).await;
                    let well = keeper.state().share.helps();
                    let pause = if well { UNSEALED_PAUSE } else { TROUBLED_PAUSE };
                    pause.min(self.timing.update_interval).mul_f64(0.5 + unit_interval())
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = woken => {}
            }
        }
    }

    /// While there is no key: takes the share, and tries what can be made of all of them.
    async fn collect(&self, keeper: &Keeper, answer: Answer) {
        let share = match answer {
            Answer::Share(value) => Share { index: keeper.index, value },
            Answer::Other(state) => return keeper.note(state),
        };
        keeper.note(ShareState::Unjudged);
        if !self.collected().take(share) {
            return;
        }
        let _one = self.trying.lock().await;
        if self.seal.unsealed().is_ok() {
            *self.collected() = Collected::default();
            return;
        }
        match self.try_shares().await {
            Ok(()) => {
                *self.collected() = Collected::default();
                self.wake();
            }
            Err(reason) => self.seal.explain(&reason),
        }
    }

    async fn try_shares(&self) -> Result<(), String> {
        let (shares, quorum) = (self.collected().copy(), self.quorum);
        let found = tokio::task::spawn_blocking(move || Candidates::find(&shares, quorum)).await;
        let candidates = match found {
            Ok(Ok(candidates)) => candidates,
            Ok(Err(error @ CollectError::TooFew { .. })) => {
                return Err(format!("{error}; waiting for more Keepers or an operator"));
            }
            Ok(Err(error)) => {
                tracing::error!(reason = %error, "the Keepers' shares make no key");
                return Err(error.to_string());
            }
            Err(_) => return Err("the shares were not tried: a bug".to_owned()),
        };
        for index in candidates.odd() {
            tracing::warn!(keeper = %index, "the share of this Keeper does not belong to those of the others");
        }
        match self.adopter.adopt(candidates).await {
            // Somebody else was faster, with whatever key: this one's shares are judged by it from now on.
            Ok(_) | Err(AdoptError::OtherKeyLive { .. }) => Ok(()),
            Err(error) => {
                self.collected().try_again = error.may_pass();
                // Where there is no data, the adopter has told it, once.
                if !matches!(error, AdoptError::NoData { .. }) {
                    tracing::error!(reason = %error, "the key of the Keepers' shares cannot be used");
                }
                Err(error.to_string())
            }
        }
    }

    /// Once there is a key: gives the Keeper its share when it lacks it, and every so often anyway.
    async fn refill(&self, keeper: &Keeper, answer: Answer, root_key: &RootKey, update: bool) {
        let state = match answer {
            Answer::Share(value) => {
                let share = Share { index: keeper.index, value };
                match derivation_of(root_key, self.quorum.threshold(), &share) {
                    Some(Derivation::Reject | Derivation::Xmd) => ShareState::Good,
                    None => ShareState::Foreign,
                }
            }
            Answer::Other(state) => state,
        };
        let lacks = match &state {
            ShareState::Empty => true,
            ShareState::Foreign | ShareState::Unusable(_) => {
                tracing::warn!(keeper = %keeper.index, url = %keeper.url, ?state, "a Keeper does not hold its share of the key in use");
                true
            }
            ShareState::Unreachable(_) | ShareState::Unknown => false,
            ShareState::Good | ShareState::Unjudged => update,
        };
        keeper.note(state);
        if lacks {
            self.contribute(keeper, root_key).await;
        }
    }

    async fn contribute(&self, keeper: &Keeper, root_key: &RootKey) {
        let shares = split(root_key, self.quorum, Derivation::Reject);
        let own = shares.into_iter().find(|share| share.index == keeper.index);
        let Some(own) = own else { return };
        let shard = Shard::new(own.value.expose_bytes());
        match keeper.client.contribute(&ContributeRequest { shard }).await {
            Ok(()) => {
                tracing::info!(keeper = %keeper.index, url = %keeper.url, "gave a Keeper its share");
                keeper.note(ShareState::Good);
            }
            Err(error) => {
                tracing::warn!(keeper = %keeper.index, url = %keeper.url, reason = chain(&error), "cannot give a Keeper its share");
            }
        }
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collected {
    /// Takes a share in place of an earlier one of the same Keeper. Tells whether there is something new to try.
    fn take(&mut self, share: Share) -> bool {
        match self.shares.iter_mut().find(|known| known.index == share.index) {
            Some(known) if known.value.ct_eq(&share.value) => std::mem::take(&mut self.try_again),
            Some(known) => {
                known.value = share.value;
                true
            }
            None => {
                self.shares.push(share);
                true
            }
        }
    }

    fn copy(&self) -> Vec<Share> {
        let copy = |share: &Share| Share { index: share.index, value: share.value.duplicate() };
        self.shares.iter().map(copy).collect()
    }
}
