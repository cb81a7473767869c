//! A moment in the arguments of a command.

use spike_config::GoDuration;
use spike_mtls::clock;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A time: RFC 3339, or how long ago.
pub(super) fn moment(text: &str) -> Result<OffsetDateTime, String> {
    moment_at(text, clock::now()).ok_or_else(|| {
        "expected a time such as 2026-07-25T20:02:04Z, or how long ago, such as 15m or 2h"
            .to_owned()
    })
}

fn moment_at(text: &str, now: OffsetDateTime) -> Option<OffsetDateTime> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(time);
    }
    let ago = text.parse::<GoDuration>().ok()?.positive()?;
    now.checked_sub(ago.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_how_long_ago() {
        let now = datetime!(2026-07-25 12:00 UTC);
        assert_eq!(
            moment_at("2026-07-25T13:00:00+02:00", now),
            Some(datetime!(2026-07-25 11:00 UTC))
        );
        assert_eq!(moment_at("1h30m", now), Some(datetime!(2026-07-25 10:30 UTC)));
        for text in ["", "yesterday", "-1h", "0", "99999999h"] {
            assert_eq!(moment_at(text, now), None, "{text}");
        }
    }
}
