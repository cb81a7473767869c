//! How much is left of something, as a bar.

use time::OffsetDateTime;

/// What is left of the time between two moments, in percent, rounded down.
pub(super) fn left(from: OffsetDateTime, until: OffsetDateTime, now: OffsetDateTime) -> u8 {
    let (whole, left) = ((until - from).whole_seconds(), (until - now).whole_seconds());
    if whole <= 0 {
        return 0;
    }
    let percent = i128::from(left.clamp(0, whole)) * 100 / i128::from(whole);
    u8::try_from(percent).unwrap_or(100)
}

/// A bar of ASCII, so that it is the same on every terminal and in a pipe.
pub(super) fn bar(percent: u8, width: usize) -> String {
    let filled = (width * usize::from(percent)).div_ceil(100).min(width);
    format!("[{}{}]", "#".repeat(filled), "-".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn what_is_left_is_between_nothing_and_everything() {
        let from = OffsetDateTime::UNIX_EPOCH;
        let at =
            |minutes| left(from, from + Duration::minutes(60), from + Duration::minutes(minutes));
        assert_eq!([-5, 0, 15, 30, 59, 60, 90].map(at), [100, 100, 75, 50, 1, 0, 0]);
        assert_eq!(left(from, from, from), 0);
        assert_eq!(left(from, from - Duration::minutes(1), from), 0);
    }

    #[test]
    fn a_bar_is_empty_only_if_nothing_is_left() {
        assert_eq!(bar(0, 10), "[----------]");
        assert_eq!(bar(1, 10), "[#---------]");
        assert_eq!(bar(50, 10), "[#####-----]");
        assert_eq!(bar(100, 10), "[##########]");
    }
}
