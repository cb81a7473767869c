//! Durations of settings, in Go's notation.

use spike_config::GoDuration;

/// See the module.
pub fn check(data: &[u8]) -> bool {
    if let Some(nanos) = data.first_chunk() {
        prints_and_reads(GoDuration::from_nanos(i64::from_be_bytes(*nanos)));
    }
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(duration) = text.parse::<GoDuration>() else { return false };
    prints_and_reads(duration);
    let negative = text.starts_with('-');
    assert!(if negative { duration.nanos() <= 0 } else { duration.nanos() >= 0 });
    if !negative {
        let opposite = format!("-{}", text.strip_prefix('+').unwrap_or(text));
        let opposite = opposite.parse().map(GoDuration::nanos);
        assert_eq!(opposite, Ok(-duration.nanos()), "a sign changes the sign only");
    }
    assert_eq!(duration.positive().is_some(), duration.nanos() > 0);
    true
}

/// Exact to the nanosecond, in any notation.
fn prints_and_reads(duration: GoDuration) {
    assert_eq!(duration.to_string().parse(), Ok(duration));
}
