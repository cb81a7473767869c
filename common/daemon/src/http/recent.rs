//! How many requests were answered in the last minutes: for the status, which is read without anything that scrapes metrics.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::threads::PerThread;

/// The time that is counted.
const WINDOW: Duration = Duration::from_mins(5);

/// The length of one slot. The window moves by whole slots.
const SLOT_SECONDS: u64 = 10;
const SLOTS: usize = 30;

/// A slot is one number, so that it is counted and begun anew without a lock: the upper bits say for which slot of time it
/// counts, the lower ones how many.
const COUNT_BITS: u32 = 40;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// The requests of the last minutes, by how they ended. Each serving thread counts its own.
#[derive(Debug)]
pub(super) struct RecentCounts(PerThread<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: Slots,
    refused: Slots,
    failed: Slots,
}

/// How many requests were answered lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The time that is counted.
    pub window: Duration,
    /// All requests.
    pub requests: u64,
    /// Those that were answered with a status from 400 to 499.
    pub refused: u64,
    /// Those that were answered with a status from 500 on.
    pub failed: u64,
}

impl Default for RecentCounts {
    fn default() -> Self {
        Self(PerThread::new(|_| Counts::default()))
    }
}

impl RecentCounts {
    /// Counts a request that ended so long after the start of the process.
    pub(super) fn count(&self, age: Duration, status: u16) {
        let (slot, counts) = (slot(age), self.0.here());
        counts.all.count(slot);
        match status {
            400..500 => counts.refused.count(slot),
            500.. => counts.failed.count(slot),
            _ => {}
        }
    }

    /// The sums of the window that ends so long after the start.
    pub(super) fn sum(&self, age: Duration) -> Recent {
        let slot = slot(age);
        let sum = |of: fn(&Counts) -> &Slots| self.0.iter().map(|each| of(each).sum(slot)).sum();
        Recent {
            window: age.min(WINDOW),
            requests: sum(|counts| &counts.all),
            refused: sum(|counts| &counts.refused),
            failed: sum(|counts| &counts.failed),
        }
    }
}

/// The number of a slot of time, from 1: what was never written is of no slot.
const fn slot(age: Duration) -> u64 {
    age.as_secs() / SLOT_SECONDS + 1
}

#[derive(Debug)]
struct Slots([AtomicU64; SLOTS]);

impl Default for Slots {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Slots {
    fn count(&self, slot: u64) {
        let at = usize::try_from(slot % SLOTS as u64).unwrap_or_default();
        let Some(place) = self.0.get(at) else { return };
        let add = |held: u64| match held >> COUNT_BITS {
            of if of == slot => Some(held + u64::from(held & COUNT < COUNT)),
            // A request that ended a whole window ago, and is counted only now.
            of if of > slot => None,
            _ => Some((slot << COUNT_BITS) | 1),
        };
        place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok();
    }

    fn sum(&self, slot: u64) -> u64 {
        let held = self.0.iter().map(|place| place.load(Ordering::Relaxed));
        let is_recent = |held: &u64| (held >> COUNT_BITS) + SLOTS as u64 > slot;
        held.filter(is_recent).map(|held| held & COUNT).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn requests_are_counted_by_how_they_ended() {
        let recent = RecentCounts::default();
        for status in [200, 200, 307, 401, 404, 500, 503] {
            recent.count(at(1), status);
        }
        let sum = recent.sum(at(2));
        assert_eq!(sum, Recent { window: at(2), requests: 7, refused: 2, failed: 2 });
    }

    #[test]
    fn what_is_older_than_the_window_is_not_counted_any_more() {
        let recent = RecentCounts::default();
        recent.count(at(0), 200);
        recent.count(at(100), 500);
        assert_eq!(recent.sum(at(299)).requests, 2);
        assert_eq!((recent.sum(at(300)).requests, recent.sum(at(300)).failed), (1, 1));
        assert_eq!(recent.sum(at(400)).requests, 0);
        assert_eq!(recent.sum(at(400)).window, at(300));
    }

    #[test]
    fn a_slot_that_comes_round_again_begins_with_nothing() {
        let recent = RecentCounts::default();
        for round in 0..3 {
            for _ in 0..=round {
                recent.count(at(round * 300), 200);
            }
            assert_eq!(recent.sum(at(round * 300)).requests, round + 1);
        }
        // One that ended before the slot was begun anew does not take its place.
        recent.count(at(0), 200);
        assert_eq!(recent.sum(at(600)).requests, 3);
    }

    #[test]
    fn no_request_is_lost_between_threads() {
        let recent = RecentCounts::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|age| recent.count(at(age % 20), 401)));
            }
        });
        let sum = recent.sum(at(20));
        assert_eq!((sum.requests, sum.refused), (4000, 4000));
    }
}
