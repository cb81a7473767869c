//! Every open connection of a listener: whose it is, what it does, who gives way, and who has to end.
//!
//! Before its handshake a connection belongs to nobody; there may be only so many of those, and the oldest gives way. After
//! it, it takes a place in the budget of its SPIFFE ID: over its own limit an ID loses the connection that it has not used for
//! the longest time, and over the limit for all the ID with the most connections does. A place in the reserve is always left
//! for operators, Nexus and Bootstrap.

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
    activity::{Activity, Overdue, TimeLimits},
    signal::{Signal, Stage},
};

/// How long a connection may go on after it was told to end, whatever its peer does.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// One connection.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    pub(super) signal: Signal,
    /// The peer has begun the handshake.
    spoke: AtomicBool,
    served: OnceLock<Served>,
    /// When it is cut, in milliseconds of the roster's clock; 0 while nobody has decided.
    cut_at: AtomicU64,
}

impl Entry {
    /// The peer has begun the handshake: it gives way after those that have not.
    pub(super) fn speaks(&self) {
        self.spoke.store(true, Relaxed);
    }
}

/// What is known of a connection once its handshake is done.
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
    /// How many connections may be in their handshakes.
    handshakes: usize,
    places: Budget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In the order of their numbers, which is that of their arrival.
    shaking: BTreeMap<u64, Arc<Entry>>,
    seated: HashMap<Arc<str>, Vec<Seated>>,
    /// The listener has stopped.
    ending: bool,
}

#[derive(Debug)]
struct Seated {
    entry: Arc<Entry>,
    class: Class,
    /// Given back at once when the connection gives way, before it has ended.
    place: Taken,
}

impl Roster {
    pub(super) fn new(places: Budget, handshakes: usize) -> Self {
        Self { started: Instant::now(), handshakes, places, state: Mutex::default() }
    }

    /// Takes in a connection that has just been accepted. Where there are too many handshakes, one gives way: the oldest whose
    /// peer has not said a word, or else the oldest of all.
    pub(super) fn arrive(&self) -> Arc<Entry> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let entry = Arc::new(Entry {
            number,
            signal: Signal::default(),
            spoke: AtomicBool::new(false),
            served: OnceLock::new(),
            cut_at: AtomicU64::new(0),
        });
        if state.shaking.len() >= self.handshakes {
            let silent = state.shaking.iter().find(|(_, entry)| !entry.spoke.load(Relaxed));
            let gives_way =
                silent.or_else(|| state.shaking.iter().next()).map(|(number, _)| *number);
            if let Some(oldest) = gives_way.and_then(|number| state.shaking.remove(&number)) {
                oldest.signal.raise(Stage::Cut);
            }
        }
        state.shaking.insert(number, Arc::clone(&entry));
        entry
    }

    /// Gives the connection a place once its handshake is done, and makes room for it where that is possible.
    ///
    /// # Errors
    /// [`Over`]: there is no room, and none that is idle could give way.
    pub(super) fn seat(
        &self,
        entry: &Arc<Entry>,
        peer: &Peer,
        activity: &Arc<Activity>,
        http2: bool,
    ) -> Result<(), Over> {
        let id = peer.shared_id();
        let account = self.places.account(&id, peer.class());
        let mut state = self.state();
        state.shaking.remove(&entry.number);
        let place = take_place(&account, &id, &mut state)?;
        let activity = Arc::clone(activity);
        // Nobody else sets it: a connection is seated once.
        entry.served.get_or_init(|| Served { peer: peer.clone(), http2, activity });
        if state.ending {
            begin_to_end(entry);
        }
        let seated = Seated { entry: Arc::clone(entry), class: peer.class(), place };
        state.seated.entry(id).or_default().push(seated);
        Ok(())
    }

    /// Lets go of a connection that has ended.
    pub(super) fn leave(&self, entry: &Arc<Entry>) {
        let mut state = self.state();
        state.shaking.remove(&entry.number);
        let Some(served) = entry.served.get() else { return };
        let id = served.peer.shared_id();
        if let Some(of_id) = state.seated.get_mut(&id) {
            of_id.retain(|seated| seated.entry.number != entry.number);
            if of_id.is_empty() {
                state.seated.remove(&id);
            }
        }
    }

    /// Holds every connection against its limits and against its peer's identity. To be called about once a second.
    pub(super) async fn look(&self, limits: &TimeLimits, now: OffsetDateTime) {
        for (checked, entry) in self.seated().into_iter().enumerate() {
            let Some(served) = entry.served.get() else { continue };
            let overdue = served.activity.overdue(limits, Instant::now());
            if overdue == Some(Overdue::Head) {
                served.activity.head_is_late();
            }
            if overdue.is_some() || self.is_due(&entry) {
                entry.signal.raise(Stage::Cut);
            } else if entry.signal.stage() < Stage::Ending && served.peer.check(now).is_err() {
                self.end_soon(&entry, LAST_WORDS);
            }
            // After a change of bundles each check verifies a chain: others get a turn in between.
            if checked % 16 == 15 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Ends a connection: it takes no new requests, and is cut after `grace`.
    pub(super) fn end_soon(&self, entry: &Entry, grace: Duration) {
        entry.cut_at.fetch_max(self.now() + millis(grace), Relaxed);
        entry.signal.raise(Stage::Ending);
    }

    /// The listener stops: every peer is told, and may still get answers.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.ending = true;
        for entry in state.shaking.values() {
            entry.signal.raise(Stage::Ending);
        }
        for seated in state.seated.values().flatten() {
            begin_to_end(&seated.entry);
        }
    }

    /// Ends what is left after [`Self::stop`]: connections without a request at once, others with their requests.
    pub(super) fn end_all(&self) {
        for entry in self.seated() {
            entry.signal.raise(Stage::Ending);
        }
    }

    /// Cuts every connection, or only those that carry out no request.
    pub(super) fn cut(&self, also_working: bool) {
        for entry in self.seated() {
            let working = entry.served.get().is_some_and(|served| served.activity.is_working());
            if also_working || !working {
                entry.signal.raise(Stage::Cut);
            }
        }
    }

    fn seated(&self) -> Vec<Arc<Entry>> {
        let state = self.state();
        state.seated.values().flatten().map(|seated| Arc::clone(&seated.entry)).collect()
    }

    fn is_due(&self, entry: &Entry) -> bool {
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

/// An HTTP/2 peer is told with a frame; an HTTP/1 peer with its next answer.
fn begin_to_end(entry: &Entry) {
    let http2 = entry.served.get().is_some_and(|served| served.http2);
    entry.signal.raise(if http2 { Stage::Ending } else { Stage::Notice });
}

/// Takes a place, and makes room where there is none.
fn take_place(account: &Account, id: &Arc<str>, state: &mut State) -> Result<Taken, Over> {
    loop {
        let over = match account.take(1) {
            Ok(place) => return Ok(place),
            Err(over) => over,
        };
        let gives_way = match over {
            Over::Own => Some(Arc::clone(id)),
            Over::All => state
                .seated
                .iter()
                .filter(|(_, of_id)| of_id.iter().any(gives_way))
                .max_by_key(|(_, of_id)| of_id.len())
                .map(|(id, _)| Arc::clone(id)),
        };
        let of_id = gives_way.and_then(|id| state.seated.get_mut(&id)).ok_or(over)?;
        // The one that was not used for the longest time.
        let longest = of_id
            .iter()
            .enumerate()
            .filter(|(_, seated)| over == Over::Own || gives_way_to_others(seated))
            .filter(|(_, seated)| is_idle(seated))
            .max_by_key(|(_, seated)| quiet_for(seated))
            .map(|(position, _)| position);
        let Some(longest) = longest else { return Err(over) };
        let Seated { entry, place, .. } = of_id.swap_remove(longest);
        entry.signal.raise(Stage::Cut);
        drop(place);
    }
}

fn gives_way(seated: &Seated) -> bool {
    gives_way_to_others(seated) && is_idle(seated)
}

/// Operators, Nexus and Bootstrap give way to nobody.
const fn gives_way_to_others(seated: &Seated) -> bool {
    matches!(seated.class, Class::Ordinary)
}

fn is_idle(seated: &Seated) -> bool {
    seated.entry.served.get().is_none_or(|served| served.activity.is_idle())
}

fn quiet_for(seated: &Seated) -> Duration {
    seated.entry.served.get().map(|served| served.activity.quiet_for()).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
