//! How long to wait before a retry: exponential back-off with jitter.

use std::time::Duration;

/// A growing series of pauses. Each is half to one and a half times the base, so that processes that failed together do
/// not retry together; the base doubles up to a maximum.
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    maximum: Duration,
    base: Duration,
}

impl Backoff {
    /// A series that starts at `initial` and whose base never passes `maximum`.
    pub fn new(initial: Duration, maximum: Duration) -> Self {
        let initial = initial.min(maximum);
        Self { initial, maximum, base: initial }
    }

    /// The next pause, between 0.5 and 1.5 times the current base; doubles the base.
    pub fn pause(&mut self) -> Duration {
        let base = self.base;
        self.base = base.saturating_mul(2).min(self.maximum);
        base.mul_f64(0.5 + unit_interval())
    }

    /// Starts again at the initial pause. Call this after a success.
    pub fn reset(&mut self) {
        self.base = self.initial;
    }
}

/// A random number in 0..1. If randomness fails (only on a broken system), 0.5.
pub fn unit_interval() -> f64 {
    match getrandom::u32() {
        Ok(random) => f64::from(random) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_maximum_and_stay_within_half_of_the_base() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for base in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.pause();
            assert!(pause >= Duration::from_millis(base / 2), "{pause:?} for {base}");
            assert!(pause <= Duration::from_millis(base * 3 / 2), "{pause:?} for {base}");
        }
    }

    #[test]
    fn a_success_starts_the_series_again() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_mins(1));
        for _ in 0..10 {
            backoff.pause();
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(15));
    }

    #[test]
    fn pauses_differ_from_one_another() {
        let drawn: std::collections::HashSet<Duration> = (0..32)
            .map(|_| Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).pause())
            .collect();
        assert!(drawn.len() > 1);
    }
}
