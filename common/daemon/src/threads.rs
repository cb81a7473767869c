//! The threads that serve connections, and what each of them has for itself.
//!
//! A connection stays on the thread that it was given to. What its requests write often is best written by that thread
//! alone: a processor that needs what another one has just written waits for it, longer than most of the work takes.
//! [`PerThread`] is one of something for each serving thread, and one for all other threads together.

use std::{cell::Cell, thread};

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::ELSEWHERE) };
}

/// How many threads serve connections: one for each processor that this process may use, and at least two. One may be
/// blocked by a disk that hangs, in a write of the audit log, and several in a read of the store; for that case there is one more.
pub fn serving() -> usize {
    thread::available_parallelism().map_or(2, |processors| processors.get().max(2))
}

/// A serving thread, or all other threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(Option<usize>);

impl Place {
    /// All threads that do not serve.
    const ELSEWHERE: Self = Self(None);

    /// That of this thread.
    pub fn here() -> Self {
        PLACE.get()
    }

    /// Whether it is a serving thread.
    pub const fn is_serving(self) -> bool {
        self.0.is_some()
    }

    /// Makes this thread the serving thread of this number, counted from 0.
    pub fn become_serving(number: usize) {
        PLACE.set(Self(Some(number)));
    }
}

/// One `T` for each place.
#[derive(Debug)]
pub struct PerThread<T> {
    elsewhere: Apart<T>,
    serving: Box<[Apart<T>]>,
}

/// What no other value shares a cache line with. Processors fetch two lines of 64 bytes together.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> PerThread<T> {
    /// Calls `make` for each place.
    pub fn new(mut make: impl FnMut(Place) -> T) -> Self {
        let serving = (0..serving()).map(|number| Apart(make(Place(Some(number))))).collect();
        Self { elsewhere: Apart(make(Place::ELSEWHERE)), serving }
    }

    /// That of this thread.
    pub fn here(&self) -> &T {
        self.at(Place::here())
    }

    /// The one of this place.
    pub fn at(&self, Place(number): Place) -> &T {
        let serving = number.and_then(|number| self.serving.get(number));
        &serving.unwrap_or(&self.elsewhere).0
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.elsewhere).chain(&self.serving).map(|Apart(one)| one)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[test]
    fn each_serving_thread_has_its_own_and_all_others_share_one() {
        let counts = PerThread::new(|_| AtomicUsize::new(0));
        let count = || counts.at(Place::here()).fetch_add(1, Relaxed);
        thread::scope(|scope| {
            for number in 0..serving() {
                scope.spawn(move || {
                    Place::become_serving(number);
                    count();
                });
            }
            scope.spawn(count);
        });
        count();
        let mut counts: Vec<_> = counts.iter().map(|count| count.load(Relaxed)).collect();
        counts.sort_unstable();
        assert_eq!(counts.pop(), Some(2));
        assert_eq!(counts, vec![1; serving()]);
    }

    #[test]
    fn a_thread_beyond_those_that_were_there_shares_with_the_others() {
        let places = PerThread::new(|place| place);
        assert_eq!(*places.at(Place(Some(usize::MAX))), Place::ELSEWHERE);
    }
}
