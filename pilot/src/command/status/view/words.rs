//! Times and sizes for people.

use spike_mtls::clock::second;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// A length of time by its two largest units: `3 d 4 h`.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.whole_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => with(minutes, "min", seconds % 60, "s"),
        3600..86_400 => with(hours, "h", minutes % 60, "min"),
        _ => with(days, "d", hours % 24, "h"),
    }
}

fn with(large: i64, unit: &str, small: i64, smaller: &str) -> String {
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {smaller}") }
}

/// A time of the wire, and how long ago it was. What is no time stays as it is.
pub(super) fn moment(text: &str, now: OffsetDateTime) -> String {
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(at) => format!("{} ({} ago)", second(at), span(now - at)),
        Err(_) => text.to_owned(),
    }
}

/// A size in the largest unit that gives a whole number before the point.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} bytes");
    }
    let (mut whole, mut unit) = (count, "bytes");
    let mut tenths = 0;
    for larger in UNITS {
        if whole < 1024 {
            break;
        }
        tenths = whole % 1024 * 10 / 1024;
        (whole, unit) = (whole / 1024, larger);
    }
    format!("{whole}.{tenths} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_two_units_at_most() {
        let seconds = |count| span(Duration::seconds(count));
        assert_eq!(
            [-4, 59, 60, 61, 3600, 3661, 90_000, 31_536_000].map(seconds),
            ["0 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min", "1 d 1 h", "365 d"]
        );
    }

    #[test]
    fn a_size_has_one_unit() {
        assert_eq!(
            [0, 1023, 1024, 1536, 57_344, 13_000_000_000, u64::MAX].map(bytes),
            [
                "0 bytes",
                "1023 bytes",
                "1.0 KiB",
                "1.5 KiB",
                "56.0 KiB",
                "12.1 GiB",
                "16777215.9 TiB"
            ]
        );
    }

    #[test]
    fn a_text_that_is_no_time_is_shown_as_it_is() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::minutes(90);
        assert_eq!(moment("1970-01-01T00:00:00Z", now), "1970-01-01T00:00:00Z (1 h 30 min ago)");
        assert_eq!(moment("yesterday", now), "yesterday");
    }
}
