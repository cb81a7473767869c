//! The Keepers: asked for their shares while Nexus is sealed, and kept filled once it is unsealed. Each has a task of its own,
//! so a slow one delays no other.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use spike_config::KeeperPeers;
use spike_crypto::{Quorum, ShareIndex};
use spike_daemon::{process::StartError, telemetry::OtherClock};
use spike_domain::TrustRootsByRole;
use spike_mtls::{
    ClientTimeouts,
    client::KeeperClient,
    retry::{Backoff, unit_interval},
    svid::SvidSource,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    Adopter, KeeperProgram, KeeperState, Lapse, ShareState,
    contribute::Contributions,
    foreign::OtherKey,
    gather::Collected,
    held::Failed,
    keeper::{CALL_LIMIT, Keeper, within_limit},
    kept::Kept,
    recently_logged::RecentlyLogged,
    tending::Tending,
    unproved::Unproved,
};
use crate::keys::seal::{OwnTask, Seal};

/// The first pause between two questions to one Keeper while there is no key. It doubles as long as nothing changes.
const FIRST_SEALED_PAUSE: Duration = Duration::from_millis(50);
/// The pause between two questions to a good Keeper, once there is a key.
const UNSEALED_PAUSE: Duration = Duration::from_millis(1500);
/// The time limit of such a question. With the longest pause before it, a Keeper that hangs is noticed within five seconds.
const LOOK_LIMIT: Duration = Duration::from_secs(2);
/// The pause between two questions to a Keeper that is not good: how soon an empty one is filled again.
const TROUBLED_PAUSE: Duration = Duration::from_secs(1);
/// The longest one to a Keeper whose answers cannot be read: its state stays known between two of them.
const BROKEN_PAUSE: Duration = Duration::from_secs(3);
/// The time limit within which every Keeper has answered or was given up.
pub(crate) const ANSWER_LIMIT: Duration = CALL_LIMIT.saturating_add(Duration::from_secs(1));
/// How often the answers to a question to all Keepers are checked.
const ANSWERS_PAUSE: Duration = Duration::from_millis(20);

/// All Keepers of this Nexus.
#[derive(Debug)]
pub struct Keepers {
    pub(super) each: Vec<Keeper>,
    pub(super) seal: Arc<Seal>,
    pub(super) adopter: Arc<Adopter>,
    pub(super) quorum: Quorum,
    timing: Timing,
    pub(super) collected: Mutex<Collected>,
    /// The last attempt with them, if it failed.
    pub(super) failed: Mutex<Option<Failed>>,
    /// The whole keys that Keepers have sent and that are not in use, whatever they send later.
    pub(super) kept: Mutex<Kept>,
    /// One task at a time tries the shares, so that the last result is about all shares and not about a few.
    pub(super) trying: tokio::sync::Mutex<()>,
    /// The shares make a key, and the store cannot be opened with it.
    pub(super) store_fails: watch::Sender<bool>,
    /// Whether there are choices of the collected shares that were not tried.
    pub(super) untried: watch::Sender<bool>,
    /// Wakes every task: the key has come into use, or somebody asks for the state.
    at_once: Notify,
    /// Resets the pauses to the shortest, because something has changed.
    changed: Notify,
    logged: Mutex<RecentlyLogged>,
    /// Another key that Keepers hold whole.
    pub(super) other_key: OtherKey,
    pub(super) contributions: Contributions,
    /// A key without data to check it.
    pub(super) unproved: Unproved,
    /// Set at the end, before the key is dropped: without one, no share could be judged.
    last_look: OnceLock<Vec<KeeperState>>,
}

/// How often Keepers are called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// How often a good Keeper gets its share again (`SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL`).
    pub(crate) update_interval: Duration,
    /// The longest pause between two questions while there is no key and nothing changes
    /// (`SPIKE_NEXUS_RECOVERY_MAX_INTERVAL`, which upstream never reads, F17).
    pub(crate) longest_pause: Duration,
}

/// What the calls to Keepers need.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    pub(crate) source: &'a SvidSource,
    pub(crate) roots: &'a Arc<TrustRootsByRole>,
    pub(crate) timeouts: ClientTimeouts,
}

impl Keepers {
    /// The Keepers at `peers`, one for each share. None is called before [`Self::tend`].
    ///
    /// # Errors
    /// Only if the TLS library cannot be configured at all.
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
            failed: Mutex::default(),
            kept: Mutex::default(),
            trying: tokio::sync::Mutex::default(),
            store_fails: watch::Sender::new(false),
            untried: watch::Sender::new(false),
            at_once: Notify::new(),
            changed: Notify::new(),
            logged: Mutex::default(),
            other_key: OtherKey::default(),
            contributions: Contributions::default(),
            unproved: Unproved::default(),
            last_look: OnceLock::new(),
        })
    }

    /// The state of every Keeper.
    pub fn states(&self) -> Vec<KeeperState> {
        if let Some(last) = self.last_look.get() {
            return last.clone();
        }
        let other_key = self.other_key.known();
        let state = |keeper: &Keeper| {
            let mut state = keeper.state().judged_by(self.made_with(keeper));
            if let Some(same) = self.repeats(keeper).filter(|_| state.share.reachable()) {
                let (index, url) = (same.index.get(), same.url.to_string());
                state.share = ShareState::Repeated { index, url };
            }
            state.naming(other_key)
        };
        self.each.iter().map(state).collect()
    }

    /// The Keeper earlier in the list that is the same process as this one: it holds one share, and counts once.
    pub(super) fn repeats(&self, keeper: &Keeper) -> Option<&Keeper> {
        let mut earlier = self.each.iter().take_while(|earlier| earlier.index != keeper.index);
        earlier.find(|earlier| earlier.is_same_process(keeper))
    }

    /// Whether this address leads to the process of another Keeper.
    pub(super) fn is_another(&self, keeper: &Keeper) -> bool {
        let mut others = self.each.iter().filter(|other| other.index != keeper.index);
        others.any(|other| other.is_same_process(keeper))
    }

    /// The Keepers that are listed twice, a sentence each.
    pub fn repeated(&self) -> impl Iterator<Item = String> {
        let is_repeated =
            |keeper: &KeeperState| matches!(keeper.share, ShareState::Repeated { .. });
        self.states().into_iter().filter(is_repeated).filter_map(|keeper| keeper.advice())
    }

    /// What each Keeper last sent in place of its share, in the same order.
    pub fn lapses(&self) -> Vec<Option<Lapse>> {
        self.each.iter().map(|keeper| keeper.lapses.last()).collect()
    }

    /// The clocks of the Keepers that answered, as of their last answers.
    pub fn clocks(&self) -> Vec<OtherClock> {
        let clock = |keeper: &Keeper| {
            let of = format!("Keeper {} at {}", keeper.index, keeper.url);
            Some(OtherClock { of, ahead: keeper.client.clock_ahead()? })
        };
        self.each.iter().filter_map(clock).collect()
    }

    /// The quorum margin: how many Keepers may be lost before a restart of Nexus needs an operator. Negative if it needs one
    /// already. Only shares that were read recently and judged by the key in use count, so the margin is never too high.
    /// Without a key it counts no share.
    pub fn margin(&self) -> i64 {
        let helping = self.states().iter().filter(|keeper| keeper.share.helps()).count();
        i64::try_from(helping).unwrap_or(i64::MAX) - i64::from(self.quorum.threshold())
    }

    /// The same; `None` while Keepers hold shares that cannot be judged because Nexus has no key.
    pub fn known_margin(&self) -> Option<i64> {
        let unjudged = |keeper: &KeeperState| matches!(keeper.share, ShareState::Unjudged);
        let is_open = !self.is_sealed() || !self.states().iter().any(unjudged);
        is_open.then(|| self.margin())
    }

    /// Whether Nexus has no key, or had none when it began to end.
    pub fn is_sealed(&self) -> bool {
        self.last_look.get().is_none() && self.seal.ready().is_err()
    }

    /// Ends what can be seen of the Keepers with what is known now.
    pub(super) fn keep_last_look(&self) {
        if !self.is_sealed() {
            self.last_look.get_or_init(|| self.states());
        }
    }

    /// Checks keys and puts them to use.
    pub(crate) const fn adopter(&self) -> &Arc<Adopter> {
        &self.adopter
    }

    /// How the key is split.
    pub const fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// Starts the tasks of all Keepers.
    pub(crate) fn tend(self: &Arc<Self>) -> Tending {
        let keepers = Arc::clone(self);
        let retrying = tokio::spawn(async move { keepers.retry_store().await }).abort_handle();
        let keepers = Arc::clone(self);
        let trying = tokio::spawn(async move { keepers.try_other_choices().await }).abort_handle();
        let keepers = Arc::clone(self);
        let judging = tokio::spawn(async move { keepers.judge_again().await }).abort_handle();
        let tasks = self.each.iter().enumerate().map(|(position, _)| {
            let keepers = Arc::clone(self);
            tokio::spawn(async move { keepers.tend_one(position).await }).abort_handle()
        });
        Tending::all(
            [retrying, trying, judging].into_iter().chain(tasks).collect(),
            Arc::clone(self),
        )
    }

    /// Asks every Keeper now, because there is a key from any source.
    pub(crate) fn wake(&self) {
        self.at_once.notify_waiters();
    }

    /// Shortens the pauses of all tasks, because something has changed and more changes are likely.
    pub(crate) fn shorten_pauses(&self) {
        self.changed.notify_waiters();
    }

    /// Asks every Keeper now, and waits until each has answered or was given up, but no longer than `limit`.
    pub(crate) async fn look_again(&self, limit: Duration) {
        let begun = Instant::now();
        self.wake();
        let all_answered =
            || self.each.iter().all(|keeper| keeper.looked_at().is_some_and(|at| at >= begun));
        let answered = async {
            while !all_answered() {
                tokio::time::sleep(ANSWERS_PAUSE).await;
            }
        };
        if tokio::time::timeout(limit, answered).await.is_err() {
            tracing::debug!("not every Keeper was looked at");
        }
    }

    /// Asks every Keeper for its version and since when it runs, in the order of the shares. One that gives no answer within
    /// `limit`, as upstream's gives none, has told nothing.
    pub(crate) async fn programs(&self, limit: Duration) -> Vec<KeeperProgram> {
        let asked = self.each.iter().map(|keeper| async move {
            match tokio::time::timeout(limit, keeper.client.status()).await {
                Ok(Ok(told)) => KeeperProgram { version: told.version, started: told.started },
                Ok(Err(_)) | Err(_) => KeeperProgram::default(),
            }
        });
        join_all(asked).await
    }

    async fn tend_one(&self, position: usize) {
        let Some(keeper) = self.each.get(position) else { return };
        let mut backoff = Backoff::new(FIRST_SEALED_PAUSE, self.timing.longest_pause);
        let mut broken = Backoff::new(TROUBLED_PAUSE, BROKEN_PAUSE);
        let mut next_update = None;
        loop {
            let (at_once, changed) = (self.at_once.notified(), self.changed.notified());
            let limit = if self.is_sealed() { CALL_LIMIT } else { LOOK_LIMIT };
            let answer = keeper.ask_within(limit).await;
            keeper.identify(&answer).await;
            if self.is_another(keeper) {
                // The address may have led to the other one for a moment only.
                keeper.identify_again().await;
            }
            let pause = match self.seal.for_own_task(OwnTask::TendKeepers) {
                Err(_) => {
                    if self.collect(keeper, answer).await {
                        self.shorten_pauses();
                    }
                    let pause = backoff.pause();
                    // The shares are complete, and something else is missing. A Keeper that was restarted gets its share back.
                    let enough = *self.store_fails.borrow() || self.holds_whole_key();
                    if enough { jittered(UNSEALED_PAUSE) } else { pause }
                }
                Ok(unsealed) => {
                    let due = *next_update
                        .get_or_insert_with(|| Instant::now() + self.timing.update_interval);
                    let update = Instant::now() >= due;
                    if update {
                        next_update = None;
                    }
                    self.refill(keeper, answer, unsealed.root_key(), update).await;
                    let share = keeper.state().share;
                    let pause = if matches!(share, ShareState::Untold(_)) {
                        broken.pause()
                    } else {
                        broken.reset();
                        if share.helps() { UNSEALED_PAUSE } else { TROUBLED_PAUSE }
                    };
                    jittered(pause.min(self.timing.update_interval))
                }
            };
            tokio::select! {
                () = self.rest(pause, changed, &mut backoff) => {}
                () = at_once => {}
            }
        }
    }

    /// Waits for this time, or less if something changes meanwhile.
    async fn rest(
        &self,
        pause: Duration,
        changed: tokio::sync::futures::Notified<'_>,
        backoff: &mut Backoff,
    ) {
        let mut end = Instant::now() + pause;
        let mut changed = Box::pin(changed);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                () = &mut changed => {
                    backoff.reset();
                    end = end.min(Instant::now() + backoff.pause());
                    changed.set(self.changed.notified());
                }
            }
        }
    }

    /// Whether this problem is to be logged now.
    pub(super) fn is_news(&self, trouble: &str) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.is_due(trouble, Instant::now())
    }

    pub(super) fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pause of half the length up to one and a half.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + unit_interval())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that hung was seen after 7.6 seconds: the longest pause and the time limit of any call.
    #[test]
    fn a_keeper_that_hangs_is_seen_within_five_seconds() {
        for _ in 0..1000 {
            assert!(jittered(UNSEALED_PAUSE) + LOOK_LIMIT < Duration::from_secs(5));
        }
    }
}
