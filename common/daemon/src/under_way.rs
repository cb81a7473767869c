//! Work that a disk may hold up: since when it is under way. Whoever watches it asks whether that is too long.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use spike_mtls::clock::Moment;

/// Since when one piece of work is under way, if it is. The work is done again and again, one after the other.
#[derive(Debug, Default)]
pub struct UnderWay(Mutex<Option<Moment>>);

impl UnderWay {
    /// It begins now. What was under way before has ended.
    pub fn begin(&self) {
        self.begin_at(Moment::now());
    }

    /// It has begun at that moment.
    pub fn begin_at(&self, moment: Moment) {
        *self.lock() = Some(moment);
    }

    /// It has ended.
    pub fn end(&self) {
        *self.lock() = None;
    }

    /// When it began, if it takes so long already. Clocks that are set meanwhile change nothing.
    pub fn for_at_least(&self, time: Duration) -> Option<Moment> {
        self.lock().filter(|since| since.elapsed() >= time)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Moment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// It went by the wall clock: set back, it hid work that hung, and set forward, it told of work that did not.
    #[test]
    fn work_that_hangs_is_told_whatever_is_done_to_the_wall_clock() {
        let (now, hour) = (Moment::now(), Duration::from_hours(1));
        let long_ago = now.at().checked_sub(LIMIT).unwrap();
        for (wall, at, hangs) in [
            (now.wall() + hour, long_ago, true),
            (now.wall() - hour, long_ago, true),
            (now.wall() + hour, now.at(), false),
            (now.wall() - hour, now.at(), false),
        ] {
            let (work, began) = (UnderWay::default(), Moment::of(wall, at));
            work.begin_at(began);
            assert_eq!(work.for_at_least(LIMIT), hangs.then_some(began));
            work.end();
            assert_eq!(work.for_at_least(Duration::ZERO), None);
        }
    }
}
