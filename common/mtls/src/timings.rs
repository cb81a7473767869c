//! Durations that were measured, counted in buckets. Counting takes no lock, because some of them are counted for every request.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How many bounds there are: 1 µs, 2 µs, 4 µs, … 8.4 s.
const BOUNDS: usize = 24;

/// Durations in buckets whose upper bounds double.
#[derive(Debug)]
pub struct Timings {
    /// One for each bound, and one for what is above the last.
    buckets: [AtomicU64; BOUNDS + 1],
    nanos: AtomicU64,
}

impl Default for Timings {
    fn default() -> Self {
        Self { buckets: array::from_fn(|_| AtomicU64::new(0)), nanos: AtomicU64::new(0) }
    }
}

/// What was counted up to one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct TimingsSeen {
    /// The sum of all durations, in seconds.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// Each upper bound in seconds, with how many are below it and not below the bound before. The last is [`f64::MAX`].
    pub buckets: Vec<(f64, u64)>,
}

impl TimingsSeen {
    /// Adds what was counted elsewhere.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.sum += other.sum;
        self.count += other.count;
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self
    }
}

impl Timings {
    /// Counts one duration.
    pub fn count(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(nanos)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn seen(&self) -> TimingsSeen {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let bounds = (0..BOUNDS).map(bound).chain([f64::MAX]);
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let sum = Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64();
        TimingsSeen { sum, count: buckets.iter().map(|(_, count)| count).sum(), buckets }
    }
}

/// The bound with this index, in seconds.
fn bound(index: usize) -> f64 {
    Duration::from_micros(1 << index).as_secs_f64()
}

/// A bound belongs to its own bucket.
fn bucket_of(nanos: u64) -> usize {
    let micros = nanos.div_ceil(1000);
    let index = if micros <= 1 { 0 } else { (micros - 1).ilog2() as usize + 1 };
    index.min(BOUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_bucket_of_the_first_bound_that_it_does_not_exceed() {
        for (nanos, index) in [
            (0, 0),
            (1000, 0),
            (1001, 1),
            (2000, 1),
            (2001, 2),
            (4000, 2),
            (1_000_000, 10),
            (8_388_608_000, 23),
            (8_388_608_001, BOUNDS),
            (u64::MAX, BOUNDS),
        ] {
            let timings = Timings::default();
            timings.count(Duration::from_nanos(nanos));
            let seen = timings.seen();
            let found = seen.buckets.iter().position(|(_, count)| *count == 1);
            assert_eq!(found, Some(index), "{nanos}");
            let seconds = Duration::from_nanos(nanos).as_secs_f64();
            // The bounds of binary fractions of a second are not exact in decimals.
            let close = 1.0 + 1e-9;
            assert!(seconds <= seen.buckets[index].0 * close, "{nanos}");
            assert!(index == 0 || seconds * close > seen.buckets[index - 1].0, "{nanos}");
        }
    }

    #[test]
    fn the_sum_and_the_number_are_those_of_all() {
        let timings = Timings::default();
        for millis in [1, 20, 30_000] {
            timings.count(Duration::from_millis(millis));
        }
        let seen = timings.seen();
        assert_eq!(seen.count, 3);
        assert!((seen.sum - 30.021).abs() < 1e-9, "{}", seen.sum);
        assert_eq!(seen.buckets.last().map(|(bound, count)| (*bound, *count)), Some((f64::MAX, 1)));
        let both = seen.clone().and(&seen);
        assert_eq!((both.count, both.buckets.last().map(|(_, count)| *count)), (6, Some(2)));
        assert!((both.sum - 60.042).abs() < 1e-9, "{}", both.sum);
    }
}
