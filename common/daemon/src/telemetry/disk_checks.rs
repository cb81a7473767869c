//! The health checks that look at files. A disk may hold them up, so they run on a thread of their own, all in one round.
//!
//! While a round is held up, the checks that decide on readiness fail and say so, and the others keep their last results.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spike_mtls::clock;
use time::OffsetDateTime;

use super::{
    apart::Apart,
    probe::{Effect, ask},
};

type Answer = Result<(), String>;

type Probe = Arc<dyn Fn(OffsetDateTime) -> Answer + Send + Sync>;

/// The checks, in the order in which they were added.
pub(super) struct DiskChecks {
    probes: Arc<Mutex<Vec<Probe>>>,
    rounds: Arc<Apart<Vec<Answer>>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct DiskCheck {
    number: usize,
    /// Where its files are, after "the disk".
    disk: &'static str,
}

impl DiskChecks {
    pub(super) fn start() -> Self {
        let probes = Arc::<Mutex<Vec<Probe>>>::default();
        let asked = Arc::clone(&probes);
        let round = move || {
            // A probe may be held up for long.
            let probes = lock(&asked).clone();
            probes.iter().map(|probe| ask(&**probe, clock::now())).collect()
        };
        Self { probes, rounds: Arc::new(Apart::start("disk-checks", round)) }
    }

    pub(super) fn add(
        &self,
        disk: &'static str,
        probe: impl Fn(OffsetDateTime) -> Answer + Send + Sync + 'static,
    ) -> DiskCheck {
        let mut probes = lock(&self.probes);
        probes.push(Arc::new(probe));
        DiskCheck { number: probes.len() - 1, disk }
    }

    /// The rounds of these checks.
    pub(super) fn rounds(&self) -> Arc<Apart<Vec<Answer>>> {
        Arc::clone(&self.rounds)
    }

    /// The last answer of a check with this effect.
    pub(super) fn answer(&self, check: &DiskCheck, effect: Effect) -> Answer {
        let last = self.rounds.last().and_then(|answers| answers.get(check.number).cloned());
        match (self.rounds.held_up(), last) {
            (Some(since), Some(_)) if effect == Effect::NotReady => Err(hangs(check.disk, since)),
            (Some(since), None) => Err(hangs(check.disk, since)),
            (_, Some(last)) => last,
            (None, None) => Err("it has not been asked yet".to_owned()),
        }
    }
}

/// What is said of a disk that holds up a look at its files: `disk` says which one, after "the disk".
pub(crate) fn hangs(disk: &str, since: OffsetDateTime) -> String {
    format!(
        "a look at its files has been under way since {}: most likely the disk {disk} hangs, as a network file system does that is \
         away. Look at that disk",
        clock::second(since)
    )
}

fn lock(probes: &Mutex<Vec<Probe>>) -> MutexGuard<'_, Vec<Probe>> {
    probes.lock().unwrap_or_else(PoisonError::into_inner)
}
