//! Limits how often one SPIFFE ID may be denied.
//!
//! A denial costs the server more than the caller: it is decided, answered and written to the audit log. So a peer that
//! is denied again and again is slowed down. This module only counts; its caller decides what such a peer receives. It
//! reads no clock.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The number of parts of the table. Each has its own lock.
const SHARDS: usize = 16;

/// The most SPIFFE IDs in the table, about 200 bytes each.
const MAX_IDS: usize = 10_000;

/// The longest wait after one denial that cost many tokens.
const MAX_DEBT: Duration = Duration::from_secs(10);

/// The most SPIFFE IDs in one part.
const MAX_IDS_IN_SHARD: usize = MAX_IDS / SHARDS;

/// A rate and a burst above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Events a second. 0 means no limit.
    pub per_second: u32,
    /// Events at once after a pause. 0 means no limit.
    pub burst: u32,
}

/// A token bucket for each SPIFFE ID.
///
/// The table is bounded. When it is full, IDs with a full bucket are removed first, which changes no answer; then the
/// ID whose bucket will be full soonest. So a caller with many IDs cannot make the table grow, and the IDs that are
/// slowed down most stay longest.
#[derive(Debug)]
pub struct DenialLimit {
    /// The time to regain one token, and to fill an empty bucket. `None`: no limit.
    pace: Option<Pace>,
    shards: [Mutex<HashMap<Box<str>, Instant>>; SHARDS],
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Pace {
    per_token: Duration,
    to_fill: Duration,
}

impl Pace {
    /// The time until the bucket holds one token; `None` if it holds one now.
    ///
    /// A bucket is stored as the time at which it will be full.
    fn wait_for_token(self, full_at: Instant, now: Instant) -> Option<Duration> {
        let after = full_at + self.per_token;
        let wait = after.saturating_duration_since(now).saturating_sub(self.to_fill);
        (wait > Duration::ZERO).then_some(wait)
    }
}

impl DenialLimit {
    /// A limit without any count.
    pub fn new(rate: Rate) -> Self {
        let pace = (rate.per_second > 0 && rate.burst > 0).then(|| {
            let per_token = Duration::from_secs(1) / rate.per_second;
            Pace { per_token, to_fill: per_token.saturating_mul(rate.burst) }
        });
        Self { pace, shards: Default::default(), hasher: RandomState::new() }
    }

    /// Counts one denial of `id` at `now`, which takes `cost` tokens. The bucket must hold one of them; the others may
    /// be owed, for a wait of ten seconds at most.
    ///
    /// # Errors
    /// The time until `id` may be denied again, if it is over its limit. Nothing is counted then.
    pub fn count(&self, id: &str, now: Instant, cost: u32) -> Result<(), Duration> {
        let Some(pace) = self.pace else { return Ok(()) };
        let mut buckets = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.get(id).map_or(now, |full_at| (*full_at).max(now));
        if let Some(wait) = pace.wait_for_token(full_at, now) {
            return Err(wait);
        }
        let after = full_at + pace.per_token.saturating_mul(cost);
        let after = after.min(now + pace.to_fill + MAX_DEBT);
        if let Some(full_at) = buckets.get_mut(id) {
            *full_at = after;
        } else {
            evict(&mut buckets, now);
            buckets.insert(id.into(), after);
        }
        Ok(())
    }

    /// The time until `id` may be denied again, if it is over its limit at `now`. Counts nothing.
    pub fn wait(&self, id: &str, now: Instant) -> Option<Duration> {
        let pace = self.pace?;
        let buckets = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        buckets.get(id).and_then(|full_at| pace.wait_for_token((*full_at).max(now), now))
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is below the number of shards")]
    fn shard(&self, id: &str) -> &Mutex<HashMap<Box<str>, Instant>> {
        let hash = usize::try_from(self.hasher.hash_one(id) >> 32).unwrap_or_default();
        &self.shards[hash % SHARDS]
    }
}

/// Removes what can be removed if the table is full.
fn evict(buckets: &mut HashMap<Box<str>, Instant>, now: Instant) {
    if buckets.len() < MAX_IDS_IN_SHARD {
        return;
    }
    buckets.retain(|_, full_at| *full_at > now);
    if buckets.len() >= MAX_IDS_IN_SHARD {
        let soonest = buckets.iter().min_by_key(|(_, full_at)| **full_at);
        if let Some(id) = soonest.map(|(id, _)| id.clone()) {
            buckets.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 50, burst: 200 };

    fn remembered(limit: &DenialLimit) -> usize {
        limit.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    /// How many of `calls` at the same time are counted.
    fn counted(limit: &DenialLimit, id: &str, now: Instant, calls: usize) -> usize {
        (0..calls).filter(|_| limit.count(id, now, 1).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_then_one_denial_for_each_fiftieth_of_a_second() {
        let limit = DenialLimit::new(RATE);
        let start = Instant::now();
        assert_eq!(counted(&limit, "a", start, 1_000), 200);
        assert_eq!(limit.count("a", start, 1), Err(Duration::from_millis(20)));
        assert_eq!(counted(&limit, "a", start + Duration::from_millis(19), 10), 0);
        assert_eq!(counted(&limit, "a", start + Duration::from_millis(20), 10), 1);
        assert_eq!(counted(&limit, "a", start + Duration::from_millis(1_020), 1_000), 50);
    }

    #[test]
    fn a_peer_that_waits_as_long_as_the_limit_says_passes() {
        let limit = DenialLimit::new(Rate { per_second: 3, burst: 2 });
        let mut now = Instant::now();
        for _ in 0..20 {
            if let Err(wait) = limit.count("a", now, 1) {
                now += wait;
                assert_eq!(limit.count("a", now, 1), Ok(()), "after {wait:?}");
            }
        }
    }

    #[test]
    fn a_pause_fills_the_bucket_and_never_more_than_fills_it() {
        let limit = DenialLimit::new(RATE);
        let start = Instant::now();
        assert_eq!(counted(&limit, "a", start, 500), 200);
        assert_eq!(counted(&limit, "a", start + Duration::from_secs(2), 500), 100);
        assert_eq!(counted(&limit, "a", start + Duration::from_hours(1), 500), 200);
    }

    #[test]
    fn a_dear_denial_is_owed_for_in_full_but_for_ten_seconds_at_the_most() {
        let limit = DenialLimit::new(RATE);
        let start = Instant::now();
        assert_eq!(limit.wait("a", start), None);
        assert_eq!(limit.count("a", start, 300), Ok(()));
        let owed = Some(Duration::from_millis(101 * 20));
        assert_eq!(limit.wait("a", start), owed);
        assert_eq!(limit.count("a", start, 1).err(), owed);
        assert_eq!(limit.wait("a", start + Duration::from_millis(2_020)), None);

        assert_eq!(limit.count("b", start, u32::MAX), Ok(()));
        assert_eq!(limit.wait("b", start), Some(MAX_DEBT + Duration::from_millis(20)));
    }

    #[test]
    fn one_id_over_its_limit_leaves_the_others_alone() {
        let limit = DenialLimit::new(RATE);
        let now = Instant::now();
        counted(&limit, "a", now, 1_000);
        assert_eq!(counted(&limit, "b", now, 1_000), 200);
    }

    #[test]
    fn refused_calls_do_not_put_off_the_end_of_the_refusal() {
        let limit = DenialLimit::new(RATE);
        let start = Instant::now();
        counted(&limit, "a", start, 100_000);
        assert_eq!(limit.count("a", start, 1), Err(Duration::from_millis(20)));
    }

    #[test]
    fn a_clock_that_steps_back_between_threads_gives_nothing_away() {
        let limit = DenialLimit::new(RATE);
        let later = Instant::now() + Duration::from_secs(10);
        assert_eq!(counted(&limit, "a", later, 500), 200);
        assert!(limit.count("a", later.checked_sub(Duration::from_secs(5)).unwrap(), 1).is_err());
    }

    #[test]
    fn no_rate_and_no_burst_both_mean_no_limit() {
        for rate in [Rate { per_second: 0, burst: 9 }, Rate { per_second: 9, burst: 0 }] {
            let limit = DenialLimit::new(rate);
            assert_eq!(counted(&limit, "a", Instant::now(), 10_000), 10_000);
            assert_eq!(remembered(&limit), 0);
        }
    }

    #[test]
    fn many_ids_do_not_make_the_memory_grow() {
        let limit = DenialLimit::new(RATE);
        let now = Instant::now();
        for n in 0..50_000 {
            assert_eq!(limit.count(&format!("spiffe://example.org/{n}"), now, 1), Ok(()));
        }
        let remembered = remembered(&limit);
        assert!(remembered <= MAX_IDS, "{remembered}");
        assert!(remembered > MAX_IDS / 2, "{remembered}");
    }

    #[test]
    fn many_ids_do_not_make_the_one_that_is_slowed_down_forgotten() {
        let limit = DenialLimit::new(RATE);
        let now = Instant::now();
        counted(&limit, "loud", now, 1_000);
        for n in 0..50_000 {
            counted(&limit, &format!("spiffe://example.org/{n}"), now, 2);
        }
        assert!(limit.count("loud", now, 1).is_err());
    }

    #[test]
    fn ids_with_full_buckets_make_room_first() {
        let limit = DenialLimit::new(RATE);
        let start = Instant::now();
        for n in 0..20_000 {
            limit.count(&format!("old-{n}"), start, 1).unwrap();
        }
        let later = start + Duration::from_secs(1);
        for n in 0..MAX_IDS / 2 {
            counted(&limit, &format!("new-{n}"), later, 200);
        }
        for n in 0..MAX_IDS / 2 {
            assert!(limit.count(&format!("new-{n}"), later, 1).is_err(), "new-{n}");
        }
    }

    #[test]
    fn threads_share_one_bucket() {
        let limit = DenialLimit::new(RATE);
        let now = Instant::now();
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| counted(&limit, "a", now, 1_000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 200);
    }
}
