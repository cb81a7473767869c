//! The one place that asks what time it is. Domain code takes the time as an argument.

use std::time::SystemTime;

use time::OffsetDateTime;

/// The wall clock, in UTC.
#[expect(clippy::disallowed_methods, reason = "this is the edge that the lint sends everyone to")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::from(SystemTime::now())
}

/// The wall clock as nanoseconds since the Unix epoch: how times are stored. Good until the year 2262.
pub fn unix_nanos() -> i64 {
    i64::try_from(now().unix_timestamp_nanos()).unwrap_or(i64::MAX)
}
