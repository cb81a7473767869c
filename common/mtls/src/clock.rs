//! The clock of the machine. Nothing else reads the wall clock; domain code takes the time as an argument.

use std::time::{Duration, Instant, SystemTime};

pub use spike_wire::format_timestamp as rfc3339;
use time::{OffsetDateTime, UtcOffset, macros::format_description};

/// The wall clock, in UTC.
#[expect(clippy::disallowed_methods, reason = "this is the edge that the lint sends everyone to")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::from(SystemTime::now())
}

/// A time for people, RFC 3339 to the second: `2026-07-25T20:02:04Z`.
pub fn second(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let utc = time.checked_to_offset(UtcOffset::UTC).unwrap_or(time);
    utc.format(format).unwrap_or_else(|_| time.to_string())
}

/// The wall clock as nanoseconds since the Unix epoch, the form of stored times. Valid until the year 2262.
pub fn unix_nanos() -> i64 {
    i64::try_from(now().unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

/// The time that was stored as `nanos`.
pub fn at(nanos: i64) -> OffsetDateTime {
    // No number of 64 bits is out of range.
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A moment on the wall clock, for people, and on the monotonic clock, for durations: the wall clock may be set meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    wall: OffsetDateTime,
    at: Instant,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self::of(now(), Instant::now())
    }

    /// The moment that is `wall` on one clock and `at` on the other.
    pub const fn of(wall: OffsetDateTime, at: Instant) -> Self {
        Self { wall, at }
    }

    /// The time on the wall clock, as it went then.
    pub const fn wall(self) -> OffsetDateTime {
        self.wall
    }

    /// The time on the monotonic clock.
    pub const fn at(self) -> Instant {
        self.at
    }

    /// How long ago that was, whatever became of the wall clock.
    pub fn elapsed(self) -> Duration {
        self.at.elapsed()
    }
}
