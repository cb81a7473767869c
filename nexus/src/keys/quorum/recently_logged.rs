//! Logs a problem when it is new, and then once a minute, however often it is found.

use std::time::Duration;

use tokio::time::Instant;

/// How often the same problem is logged.
const AGAIN: Duration = Duration::from_mins(1);

/// The most problems that are remembered. Their words may come from a peer.
const MOST: usize = 32;

/// The problems that were logged within the last minute, and when.
#[derive(Debug, Default)]
pub(super) struct RecentlyLogged(Vec<(String, Instant)>);

impl RecentlyLogged {
    /// Whether `what` is to be logged now.
    pub(super) fn is_due(&mut self, what: &str, now: Instant) -> bool {
        self.0.retain(|(_, at)| now.saturating_duration_since(*at) < AGAIN);
        let is_due = self.0.len() < MOST && self.0.iter().all(|(logged, _)| logged != what);
        if is_due {
            self.0.push((what.to_owned(), now));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_told_once_a_minute_and_another_one_at_once() {
        let mut logged = RecentlyLogged::default();
        let start = Instant::now();
        let due: Vec<bool> = [
            ("locked", 0),
            ("locked", 1),
            ("locked", 59),
            ("locked", 60),
            ("locked", 61),
            ("full", 61),
            ("full", 62),
            ("locked", 63),
            ("full", 121),
        ]
        .map(|(what, second)| logged.is_due(what, start + Duration::from_secs(second)))
        .to_vec();
        assert_eq!(due, [true, false, false, true, false, true, false, false, true]);
    }

    #[test]
    fn whoever_words_a_trouble_anew_each_time_is_told_of_a_few_times_a_minute() {
        let mut logged = RecentlyLogged::default();
        let now = Instant::now();
        let due = (0..1000).filter(|number| logged.is_due(&number.to_string(), now)).count();
        assert_eq!(due, MOST);
        assert!(logged.is_due("later", now + AGAIN));
    }
}
