//! By how much the clock of a server differs from that of this machine, as far as its answers show it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use http::{HeaderMap, header};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc2822};

/// How long a difference counts. A server that gives no answer for longer may have had its clock set, or be another one.
const COUNTS_FOR: std::time::Duration = std::time::Duration::from_mins(15);

/// The difference as of the last answer, and when that was; clones of a client share it.
#[derive(Debug, Default)]
pub(super) struct PeerClock(Mutex<Option<(Duration, Instant)>>);

impl PeerClock {
    /// Takes note of an answer, by the `Date` in its head and the times at which the request was begun and the head was there.
    pub(super) fn note(&self, head: &HeaderMap, sent: OffsetDateTime, received: OffsetDateTime) {
        let date = head.get(header::DATE).and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok()) {
            let by = Duration::seconds(least_difference(date, sent, received).whole_seconds());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((by, Instant::now()));
        }
    }

    /// The least by which the server's clock is ahead, in whole seconds, or behind where it is negative. `None` if it gave no
    /// answer lately.
    pub(super) fn ahead(&self) -> Option<Duration> {
        self.ahead_at(Instant::now())
    }

    fn ahead_at(&self, now: Instant) -> Option<Duration> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (by, at) = seen?;
        (now.saturating_duration_since(at) < COUNTS_FOR).then_some(by)
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

    /// The difference of a Keeper that was gone for hours was shown as that of now.
    #[test]
    fn a_difference_is_forgotten_when_the_server_gives_no_answer_any_more() {
        let clock = PeerClock::default();
        let date = HeaderValue::from_static("Thu, 01 Jan 1970 00:16:40 GMT");
        let at = OffsetDateTime::UNIX_EPOCH + Duration::seconds(700);
        clock.note(&HeaderMap::from_iter([(header::DATE, date)]), at, at);
        let now = Instant::now();
        let minutes = |minutes| clock.ahead_at(now + std::time::Duration::from_mins(minutes));
        assert_eq!(minutes(14), Some(Duration::seconds(300)));
        assert_eq!(minutes(16), None);
    }

    #[test]
    fn what_is_no_date_says_nothing() {
        for date in ["", "yesterday", "1000", "Thu, 99 Jan 1970 00:16:40 GMT"] {
            assert_eq!(seen(date, 0, 1), None, "{date}");
        }
        assert_eq!(PeerClock::default().ahead(), None);
    }
}
