//! The answers of one connection that its peer has not taken yet.
//!
//! Each waits for itself: one that is taken quickly must not hide another that is not taken at all.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Since when each answer waits for its peer. Times are those of [`super::activity`]: milliseconds, and at least 1.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    /// 0 in places that are free.
    since: Mutex<Vec<u64>>,
}

impl Untaken {
    /// There is an answer. Gives back its place.
    pub(super) fn begin(&self, now: u64) -> usize {
        let mut since = self.lock();
        if let Some(free) = since.iter().position(|since| *since == 0) {
            set(&mut since, free, now);
            return free;
        }
        since.push(now);
        since.len() - 1
    }

    /// The peer has taken a part of the answer.
    pub(super) fn taken(&self, place: usize, now: u64) {
        set(&mut self.lock(), place, now);
    }

    /// The answer is over.
    pub(super) fn end(&self, place: usize) {
        let mut since = self.lock();
        set(&mut since, place, 0);
        while since.last() == Some(&0) {
            since.pop();
        }
    }

    /// Whether every answer was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Since when the answer waits that has waited for the longest time.
    pub(super) fn longest(&self) -> Option<u64> {
        self.lock().iter().copied().filter(|since| *since > 0).min()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(since: &mut [u64], place: usize, to: u64) {
    if let Some(since) = since.get_mut(place) {
        *since = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_that_has_waited_for_the_longest_time_is_known_whatever_becomes_of_the_others() {
        let untaken = Untaken::default();
        assert_eq!(untaken.longest(), None);
        let places = [5, 6, 7].map(|now| untaken.begin(now));
        untaken.taken(places[1], 20);
        untaken.end(places[2]);
        assert_eq!(untaken.longest(), Some(5));
        let again = untaken.begin(8);
        untaken.taken(places[0], 21);
        assert_eq!(untaken.longest(), Some(8));
        untaken.end(again);
        assert_eq!(untaken.longest(), Some(20));
        untaken.end(places[0]);
        untaken.end(places[1]);
        assert_eq!(untaken.longest(), None);
        assert!(untaken.is_empty(), "no place is kept");
    }
}
