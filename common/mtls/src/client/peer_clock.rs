//! By how much the clock of a server differs from that of this machine, as far as its answers show it.

use std::sync::atomic::{AtomicI64, Ordering};

use http::{HeaderMap, header};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc2822};

/// The difference as of the last answer; clones of a client share it.
#[derive(Debug)]
pub(super) struct PeerClock(AtomicI64);

/// No answer had a time so far.
const UNKNOWN: i64 = i64::MIN;

impl Default for PeerClock {
    fn default() -> Self {
        Self(AtomicI64::new(UNKNOWN))
    }
}

impl PeerClock {
    /// Takes note of an answer, by the `Date` in its head and the times at which the request was begun and the head was there.
    pub(super) fn note(&self, head: &HeaderMap, sent: OffsetDateTime, received: OffsetDateTime) {
        let date = head.get(header::DATE).and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok()) {
            let by = least_difference(date, sent, received).whole_seconds();
            self.0.store(by, Ordering::Relaxed);
        }
    }

    /// The least by which the server's clock is ahead, in whole seconds, or behind where it is negative.
    pub(super) fn ahead(&self) -> Option<Duration> {
        let seconds = self.0.load(Ordering::Relaxed);
        (seconds != UNKNOWN).then(|| Duration::seconds(seconds))
    }
}

/// The server wrote `date`, which has whole seconds, at some moment between the two times. Zero if the clocks may be the same.
fn least_difference(
    date: OffsetDateTime,
    sent: OffsetDateTime,
    received: OffsetDateTime,
) -> Duration {
    let ahead = date - received;
    let behind = sent - (date + Duration::SECOND);
    if ahead.is_positive() {
        ahead
    } else if behind.is_positive() {
        -behind
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn seen(date: &'static str, sent: i64, received: i64) -> Option<i64> {
        let at = |seconds| OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let clock = PeerClock::default();
        let head = HeaderMap::from_iter([(header::DATE, HeaderValue::from_static(date))]);
        clock.note(&head, at(sent), at(received));
        clock.ahead().map(Duration::whole_seconds)
    }

    #[test]
    fn a_clock_is_off_only_by_what_neither_the_call_nor_the_lost_fraction_explains() {
        let date = "Thu, 01 Jan 1970 00:16:40 GMT"; // 1000
        for (sent, received, ahead) in [
            (1000, 1000, 0),
            (998, 1003, 0),
            (1001, 1001, 0),
            (690, 700, 300),
            (900, 1200, 0),
            (1301, 1310, -300),
        ] {
            assert_eq!(seen(date, sent, received), Some(ahead), "{sent} to {received}");
        }
    }

    #[test]
    fn what_is_no_date_says_nothing() {
        for date in ["", "yesterday", "1000", "Thu, 99 Jan 1970 00:16:40 GMT"] {
            assert_eq!(seen(date, 0, 1), None, "{date}");
        }
        assert_eq!(PeerClock::default().ahead(), None);
    }
}
