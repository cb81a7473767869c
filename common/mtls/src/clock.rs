//! The clock of the machine. Nothing else reads it; domain code takes the time as an argument.

use std::time::SystemTime;

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
