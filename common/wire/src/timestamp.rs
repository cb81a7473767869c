//! Times on the wire: RFC 3339 as Go's `time.Time` writes it, in UTC.

use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{OffsetDateTime, UtcOffset};

/// Go's zero time, which means no time.
pub const ZERO_TIME: OffsetDateTime = datetime!(0001-01-01 00:00:00 UTC);

const ZERO_TEXT: &str = "0001-01-01T00:00:00Z";

/// Writes a time in UTC, with as many digits of the fraction as it needs, at most nine. A year that RFC 3339 cannot
/// express (before 0 or after 9999) is written as the zero time.
pub fn format_timestamp(time: OffsetDateTime) -> String {
    time.checked_to_offset(UtcOffset::UTC)
        .and_then(|utc| utc.format(&Rfc3339).ok())
        .unwrap_or_else(|| ZERO_TEXT.to_owned())
}

/// Reads any RFC 3339 time; its offset is kept, digits past the nanosecond are dropped.
pub fn parse_timestamp(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
