//! All open connections of a listener: their peers, their activity, and their end.
//!
//! The number of connections in the handshake is limited; over the limit the oldest is cut, of those that have sent nothing
//! or of those that have begun, whichever are more. So a flood of either kind does not cost the other kind. After its handshake a
//! connection takes a slot in the budget of its SPIFFE ID. An ID over its own limit loses its longest-idle connection.
//! Over the limit for all, the ID with the most connections loses one. A connection with a request in flight stays; one whose requests
//! were all refused is as good as idle, however long its answers wait. The reserve always has a slot for operators,
//! Nexus and Bootstrap.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use spike_mtls::{
    Peer,
    budget::{Account, Budget, Class, Over, Taken},
};
use time::OffsetDateTime;

use super::{
    activity::{Activity, Overdue},
    limits::TimeLimits,
    signal::{EndSignal, Stage},
};

/// How long a connection may continue after its end began, whatever its peer does.
const END_GRACE: Duration = Duration::from_secs(3);

/// One connection.
#[derive(Debug)]
pub(super) struct TrackedConnection {
    number: u64,
    pub(super) signal: EndSignal,
    /// The peer has begun the handshake.
    has_begun: AtomicBool,
    served: OnceLock<Served>,
    /// When it is cut, in milliseconds of the roster's clock; 0 if that is not set.
    cut_at: AtomicU64,
}

impl TrackedConnection {
    /// The peer has begun the handshake.
    pub(super) fn handshake_began(&self) {
        self.has_begun.store(true, Relaxed);
    }
}

/// What is known of a connection after its handshake.
#[derive(Debug)]
struct Served {
    peer: Peer,
    http2: bool,
    activity: Arc<Activity>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Roster {
    started: Instant,
    /// The most connections in their handshakes.
    handshakes: usize,
    budget: Budget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Ordered by number, which is the order of arrival.
    handshaking: BTreeMap<u64, Arc<TrackedConnection>>,
    admitted: HashMap<Arc<str>, Vec<Admitted>>,
    /// The listener has stopped.
    ending: bool,
}

#[derive(Debug)]
struct Admitted {
    entry: Arc<TrackedConnection>,
    class: Class,
    /// Returned at once when the connection is evicted, before it has ended.
    slot: Taken,
}

impl Roster {
    pub(super) fn new(budget: Budget, handshakes: usize) -> Self {
        Self { started: Instant::now(), handshakes, budget, state: Mutex::default() }
    }

    /// Adds a connection that was just accepted. If there are too many handshakes, one is cut.
    pub(super) fn add(&self) -> Arc<TrackedConnection> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let entry = Arc::new(TrackedConnection {
            number,
            signal: EndSignal::default(),
            has_begun: AtomicBool::new(false),
            served: OnceLock::new(),
            cut_at: AtomicU64::new(0),
        });
        if state.handshaking.len() >= self.handshakes {
            let handshaking = state.handshaking.iter();
            let evicted = to_evict(
                handshaking.map(|(number, entry)| (*number, entry.has_begun.load(Relaxed))),
            );
            if let Some(oldest) = evicted.and_then(|number| state.handshaking.remove(&number)) {
                oldest.signal.raise(Stage::Cut);
            }
        }
        state.handshaking.insert(number, Arc::clone(&entry));
        entry
    }

    /// Takes a slot for a connection after its handshake. Evicts another connection if necessary and possible.
    ///
    /// # Errors
    /// [`Over`]: there is no slot, and no connection to evict.
    pub(super) fn admit(
        &self,
        entry: &Arc<TrackedConnection>,
        peer: &Peer,
        activity: &Arc<Activity>,
        http2: bool,
    ) -> Result<(), Over> {
        let id = peer.shared_id();
        let account = self.budget.account(&id, peer.class());
        let mut state = self.state();
        state.handshaking.remove(&entry.number);
        let slot = take_slot(&account, &id, &mut state)?;
        let activity = Arc::clone(activity);
        // Nothing else sets it: a connection is admitted once.
        entry.served.get_or_init(|| Served { peer: peer.clone(), http2, activity });
        if state.ending {
            notify_end(entry);
        }
        let admitted = Admitted { entry: Arc::clone(entry), class: peer.class(), slot };
        state.admitted.entry(id).or_default().push(admitted);
        Ok(())
    }

    /// Removes a connection that has ended.
    pub(super) fn remove(&self, entry: &Arc<TrackedConnection>) {
        let mut state = self.state();
        state.handshaking.remove(&entry.number);
        let Some(served) = entry.served.get() else { return };
        let id = served.peer.shared_id();
        if let Some(of_id) = state.admitted.get_mut(&id) {
            of_id.retain(|admitted| admitted.entry.number != entry.number);
            if of_id.is_empty() {
                state.admitted.remove(&id);
            }
        }
    }

    /// Checks the limits and the peer's identity of every connection. Call it about once a second.
    pub(super) async fn check_all(&self, limits: &TimeLimits, now: OffsetDateTime) {
        for (checked, entry) in self.admitted().into_iter().enumerate() {
            let Some(served) = entry.served.get() else { continue };
            let overdue = served.activity.overdue(limits, Instant::now());
            if overdue == Some(Overdue::Head) {
                served.activity.head_is_late();
            }
            if overdue.is_some() || self.is_due(&entry) {
                entry.signal.raise(Stage::Cut);
            } else if entry.signal.stage() < Stage::Ending && served.peer.check(now).is_err() {
                self.end_soon(&entry, END_GRACE);
            }
            // After a change of bundles each check verifies a chain: let other tasks run in between.
            if checked % 16 == 15 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Ends a connection: it takes no new requests, and is cut after `grace`.
    pub(super) fn end_soon(&self, entry: &TrackedConnection, grace: Duration) {
        entry.cut_at.fetch_max(self.now() + millis(grace), Relaxed);
        entry.signal.raise(Stage::Ending);
    }

    /// The listener stops: every peer is notified, and may still get answers.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.ending = true;
        for entry in state.handshaking.values() {
            entry.signal.raise(Stage::Ending);
        }
        for admitted in state.admitted.values().flatten() {
            notify_end(&admitted.entry);
        }
    }

    /// Ends the connections left after [`Self::stop`]: those without a request at once, others with their requests.
    pub(super) fn end_all(&self) {
        for entry in self.admitted() {
            entry.signal.raise(Stage::Ending);
        }
    }

    /// No connection is read any more.
    pub(super) fn stop_reading(&self) {
        for entry in self.admitted() {
            entry.signal.raise(Stage::Unread);
        }
    }

    /// Cuts the connections without a request that is being carried out, if the last one ended so long ago and the peer takes no answer
    /// any more.
    pub(super) fn cut_ended(&self, ago: Duration) {
        for entry in self.admitted() {
            let has_ended = |served: &Served| served.activity.has_ended(ago, Instant::now());
            if entry.served.get().is_none_or(has_ended) {
                entry.signal.raise(Stage::Cut);
            }
        }
    }

    /// Cuts every connection.
    pub(super) fn cut_all(&self) {
        for entry in self.admitted() {
            entry.signal.raise(Stage::Cut);
        }
    }

    fn admitted(&self) -> Vec<Arc<TrackedConnection>> {
        let state = self.state();
        state.admitted.values().flatten().map(|admitted| Arc::clone(&admitted.entry)).collect()
    }

    fn is_due(&self, entry: &TrackedConnection) -> bool {
        match entry.cut_at.load(Relaxed) {
            0 => false,
            at => self.now() >= at,
        }
    }

    fn now(&self) -> u64 {
        millis(self.started.elapsed()).max(1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the handshakes gives way to a new one: the oldest of those that have begun, or of those that have not (`false`),
/// whichever are more. The new one is one of the latter.
fn to_evict(handshakes: impl Iterator<Item = (u64, bool)>) -> Option<u64> {
    let (mut begun, mut silent) = ((0_usize, None), (1_usize, None));
    for (number, has_begun) in handshakes {
        let (count, oldest) = if has_begun { &mut begun } else { &mut silent };
        *count += 1;
        oldest.get_or_insert(number);
    }
    let more = if begun.0 > silent.0 { begun } else { silent };
    more.1.or(begun.1)
}

/// HTTP/2 notifies the peer with a frame, HTTP/1 with its next answer.
fn notify_end(entry: &TrackedConnection) {
    let http2 = entry.served.get().is_some_and(|served| served.http2);
    entry.signal.raise(if http2 { Stage::Ending } else { Stage::Notice });
}

/// Takes a slot, and evicts another connection if there is none.
fn take_slot(account: &Account, id: &Arc<str>, state: &mut State) -> Result<Taken, Over> {
    loop {
        let over = match account.take(1) {
            Ok(slot) => return Ok(slot),
            Err(over) => over,
        };
        let loser = match over {
            Over::Own => Some(Arc::clone(id)),
            Over::All => state
                .admitted
                .iter()
                .filter(|(_, of_id)| of_id.iter().any(may_be_evicted))
                .max_by_key(|(_, of_id)| of_id.len())
                .map(|(id, _)| Arc::clone(id)),
        };
        let of_id = loser.and_then(|id| state.admitted.get_mut(&id)).ok_or(over)?;
        // The longest-idle one, or one that has only refused requests.
        let longest = of_id
            .iter()
            .enumerate()
            .filter(|(_, admitted)| over == Over::Own || may_be_evicted_for_others(admitted))
            .filter(|(_, admitted)| !is_busy(admitted))
            .min_by_key(|(_, admitted)| (!is_idle(admitted), idle_since(admitted)))
            .map(|(position, _)| position);
        let Some(longest) = longest else { return Err(over) };
        let Admitted { entry, slot, .. } = of_id.swap_remove(longest);
        entry.signal.raise(Stage::Cut);
        drop(slot);
    }
}

fn may_be_evicted(admitted: &Admitted) -> bool {
    may_be_evicted_for_others(admitted) && !is_busy(admitted)
}

/// Connections of operators, Nexus and Bootstrap are not evicted for others.
const fn may_be_evicted_for_others(admitted: &Admitted) -> bool {
    matches!(admitted.class, Class::Ordinary)
}

fn is_busy(admitted: &Admitted) -> bool {
    admitted.entry.served.get().is_some_and(|served| served.peer.is_busy())
}

fn is_idle(admitted: &Admitted) -> bool {
    admitted.entry.served.get().is_none_or(|served| served.activity.is_idle())
}

fn idle_since(admitted: &Admitted) -> Instant {
    admitted.entry.served.get().map_or_else(Instant::now, |served| served.activity.idle_since())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
