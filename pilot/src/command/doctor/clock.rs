//! The clock of this machine, compared with those of others. A wrong clock breaks handshakes, and nobody says why.

use spike_daemon::telemetry::{CLOCK_FAILS, CLOCK_TOLD};
use spike_mtls::{PeerError, TransportError, clock::second};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::check::{Check, Group};
use crate::exit::Exit;

const NAME: &str = "clock";

/// What others say about the time.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// When the SVID of this process begins to be valid: never later than now.
    pub(super) svid_from: Option<OffsetDateTime>,
    /// The same of the certificate of Nexus.
    pub(super) nexus_from: Option<OffsetDateTime>,
    /// What Nexus said that the time is, and what it was here.
    pub(super) nexus: Option<(OffsetDateTime, OffsetDateTime)>,
}

impl Clocks {
    /// Notes the times of a certificate of Nexus that was refused for them.
    pub(super) fn refused(&mut self, error: &TransportError) {
        if let Some(PeerError::Times { not_before, .. }) = error.peer_error() {
            self.nexus_from = Some(*not_before);
        }
    }
}

/// The time in the `Date` header of an answer.
pub(super) fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc2822).ok()
}

/// Compares them. An SVID shows only that a clock is behind: one that has expired may just not have been renewed.
pub(super) fn judge(clocks: &Clocks, now: OffsetDateTime) -> Check {
    let behind = |from: Option<OffsetDateTime>, whose: &str| {
        let by = from.filter(|from| *from > now)? - now;
        Some((
            by,
            format!("{whose} is valid only from {}, and it is {} here", second(from?), second(now)),
        ))
    };
    let asked = clocks.nexus.map(|(there, here)| {
        let told = format!("SPIKE Nexus said {}, and it was {} here", second(there), second(here));
        ((there - here).abs(), told)
    });
    let found = [
        asked,
        behind(clocks.svid_from, "the SVID of this process"),
        behind(clocks.nexus_from, "the certificate of SPIKE Nexus"),
    ];
    let worst = found.into_iter().flatten().max_by_key(|(by, _)| *by);
    let Some((by, evidence)) = worst else {
        let svid = clocks.svid_from.map(|_| "the SVID of this process is not from the future; SPIKE Nexus did not tell the time");
        return match svid {
            Some(evidence) => Check::ok(Group::Clock, NAME, evidence),
            None => Check::skipped(
                Group::Clock,
                NAME,
                "skipped: there is neither an SVID nor an answer of SPIKE Nexus to compare with",
            ),
        };
    };
    if by < CLOCK_TOLD {
        return Check::ok(Group::Clock, NAME, evidence);
    }
    let cause = format!("the clocks differ by {} s", by.whole_seconds());
    let next = "check that the time is synchronised (NTP) on this machine, on that of SPIKE Nexus, and on that of the SPIRE server";
    if by < CLOCK_FAILS {
        return Check::warning(Group::Clock, NAME, evidence, (cause, next));
    }
    Check::failed(Group::Clock, NAME, Exit::Failure, evidence, (cause, next))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::check::Outcome;
    use super::*;

    const FAILED: Outcome = Outcome::Failed(Exit::Failure);

    fn now() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(9000)
    }

    #[test]
    fn nexus_is_compared_in_both_directions() {
        for (seconds, outcome) in
            [(0, Outcome::Ok), (29, Outcome::Ok), (30, Outcome::Warning), (300, FAILED)]
        {
            for seconds in [seconds, -seconds] {
                let nexus = Some((now() + Duration::seconds(seconds), now()));
                let found = judge(&Clocks { nexus, ..Clocks::default() }, now());
                assert_eq!(found.outcome, outcome, "{seconds}: {found:?}");
            }
        }
    }

    #[test]
    fn a_certificate_from_the_future_shows_that_the_clock_is_behind() {
        let clocks = |svid, nexus| Clocks {
            svid_from: Some(now() + Duration::seconds(svid)),
            nexus_from: Some(now() + Duration::seconds(nexus)),
            nexus: None,
        };
        assert_eq!(judge(&clocks(-3600, -3600), now()).outcome, Outcome::Ok);
        assert_eq!(judge(&clocks(60, -10), now()).outcome, Outcome::Warning);
        assert_eq!(judge(&clocks(-10, 600), now()).outcome, FAILED);
        let told = judge(&clocks(600, 60), now());
        assert!(
            told.evidence.starts_with("the SVID of this process is valid only from"),
            "{told:?}"
        );
    }

    #[test]
    fn without_anything_to_compare_with_it_is_skipped() {
        assert_eq!(judge(&Clocks::default(), now()).outcome, Outcome::Skipped);
    }

    #[test]
    fn the_date_of_an_answer_is_read_as_http_writes_it() {
        let read = date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(read.unix_timestamp(), 784_111_777);
        assert_eq!(date("yesterday"), None);
    }
}
