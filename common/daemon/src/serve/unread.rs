//! The answers of one connection that its peer has not read.
//!
//! Each has its own time: an answer that is read quickly must not hide one that is not read at all.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Since when each answer waits for its peer. Times are those of [`super::activity`]: nanoseconds, and at least 1.
#[derive(Debug, Default)]
pub(super) struct UnreadAnswers {
    /// 0 at free indexes.
    since: Mutex<Vec<u64>>,
}

impl UnreadAnswers {
    /// An answer begins. Returns its index.
    pub(super) fn begin(&self, now: u64) -> usize {
        let mut since = self.lock();
        if let Some(free) = since.iter().position(|since| *since == 0) {
            set(&mut since, free, now);
            return free;
        }
        since.push(now);
        since.len() - 1
    }

    /// The peer has read a part of the answer.
    pub(super) fn taken(&self, index: usize, now: u64) {
        set(&mut self.lock(), index, now);
    }

    /// The answer has ended.
    pub(super) fn end(&self, index: usize) {
        let mut since = self.lock();
        set(&mut since, index, 0);
        while since.last() == Some(&0) {
            since.pop();
        }
    }

    /// Whether every answer was read.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Since when the longest-waiting answer waits.
    pub(super) fn longest(&self) -> Option<u64> {
        self.lock().iter().copied().filter(|since| *since > 0).min()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(since: &mut [u64], index: usize, to: u64) {
    if let Some(since) = since.get_mut(index) {
        *since = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_that_has_waited_for_the_longest_time_is_known_whatever_becomes_of_the_others() {
        let unread = UnreadAnswers::default();
        assert_eq!(unread.longest(), None);
        let places = [5, 6, 7].map(|now| unread.begin(now));
        unread.taken(places[1], 20);
        unread.end(places[2]);
        assert_eq!(unread.longest(), Some(5));
        let again = unread.begin(8);
        unread.taken(places[0], 21);
        assert_eq!(unread.longest(), Some(8));
        unread.end(again);
        assert_eq!(unread.longest(), Some(20));
        unread.end(places[0]);
        unread.end(places[1]);
        assert_eq!(unread.longest(), None);
        assert!(unread.is_empty(), "no index is kept");
    }
}
