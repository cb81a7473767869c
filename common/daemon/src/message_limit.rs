//! Bounds how often the same message is logged: a lasting condition must not fill the log.

use std::time::{Duration, Instant};

/// How long a message is suppressed after it was logged.
const SILENCE: Duration = Duration::from_mins(1);

/// How many different messages are remembered. One more replaces the oldest.
const MESSAGES: usize = 8;

/// Remembers the messages that were logged lately. One loop owns it.
///
/// A new message is logged at once. The same message again is counted, and logged with the count at most once a minute.
#[derive(Debug, Default)]
pub(crate) struct MessageLimit {
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    message: String,
    logged: Instant,
    suppressed: u64,
}

impl MessageLimit {
    /// Whether to log `message` at `now`. `Some` is the number of times it was suppressed since it was last logged.
    pub(crate) fn admit(&mut self, message: &str, now: Instant) -> Option<u64> {
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.message == message) {
            if now.saturating_duration_since(seen.logged) < SILENCE {
                seen.suppressed += 1;
                return None;
            }
            seen.logged = now;
            return Some(std::mem::take(&mut seen.suppressed));
        }
        if self.seen.len() == MESSAGES {
            let oldest = self.seen.iter().enumerate().min_by_key(|(_, seen)| seen.logged);
            if let Some((position, _)) = oldest {
                self.seen.swap_remove(position);
            }
        }
        self.seen.push(Seen { message: message.to_owned(), logged: now, suppressed: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_repeats_is_logged_once_a_minute_with_its_count() {
        let mut once = MessageLimit::default();
        let start = Instant::now();
        assert_eq!(once.admit("too many open files", start), Some(0));
        for millis in 1..=20 {
            let at = start + Duration::from_millis(50 * millis);
            assert_eq!(once.admit("too many open files", at), None);
        }
        assert_eq!(once.admit("too many open files", start + SILENCE), Some(20));
        assert_eq!(once.admit("too many open files", start + 2 * SILENCE), Some(0));
    }

    #[test]
    fn another_message_is_logged_at_once_and_two_that_alternate_stay_bounded() {
        let mut once = MessageLimit::default();
        let start = Instant::now();
        assert_eq!(once.admit("one", start), Some(0));
        assert_eq!(once.admit("two", start), Some(0));
        assert_eq!(once.admit("one", start), None);
        assert_eq!(once.admit("two", start), None);
    }

    #[test]
    fn only_a_few_messages_are_remembered() {
        let mut once = MessageLimit::default();
        let start = Instant::now();
        for number in 0..100 {
            assert_eq!(once.admit(&format!("message {number}"), start), Some(0));
        }
        assert_eq!(once.seen.len(), MESSAGES);
    }
}
