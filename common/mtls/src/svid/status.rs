//! The state of the identity and of the Workload API, for health checks and metrics.

use time::{Duration, OffsetDateTime};

use super::{BundleFault, FailureCounts};

/// The state of an [`super::SvidSource`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SvidStatus {
    /// The SPIFFE ID of the SVID in use.
    pub id: Option<String>,
    /// When the SVID in use begins to be valid.
    pub not_before: Option<OffsetDateTime>,
    /// When the SVID in use ends.
    pub not_after: Option<OffsetDateTime>,
    /// When the SVID in use arrived.
    pub received: Option<OffsetDateTime>,
    /// How many SVIDs the agent offered in the last update; the first is used.
    pub offered: usize,
    /// How many times an SVID replaced another.
    pub rotations: u64,
    /// How many times the trust bundles changed after the first update.
    pub bundle_updates: u64,
    /// The faults in the trust bundles of the last update.
    pub bundle_faults: Vec<BundleFault>,
    /// When the agent last sent a valid update.
    pub last_update: Option<OffsetDateTime>,
    /// When the stream to the agent was opened; `None` if it is not open.
    pub connected_since: Option<OffsetDateTime>,
    /// When the stream was lost; `None` if it is open.
    pub disconnected_since: Option<OffsetDateTime>,
    /// How many times the stream was lost or could not be opened, by cause.
    pub failures: FailureCounts,
    /// How many valid updates the agent has sent.
    pub updates: u64,
    /// The pause before the next try; `None` while the stream is open, and before the first failure.
    pub pause: Option<std::time::Duration>,
    /// The last failure and its time.
    pub last_error: Option<(OffsetDateTime, String)>,
    /// Whether the agent answered at the last failure, and refused to give this process an identity.
    pub refused: bool,
    /// How many times in a row the user of this process might not open the socket of the agent.
    pub forbidden: u32,
}

impl SvidStatus {
    /// Whether the SVID in use is valid at `now`.
    pub fn usable(&self, now: OffsetDateTime) -> bool {
        matches!((self.not_before, self.not_after), (Some(from), Some(to)) if from <= now && now < to)
    }

    /// Whether rotation is late: more than a minute past half of the SVID's life (a tenth of the life, if that is
    /// shorter). An agent normally sends the next SVID earlier.
    pub fn expiring(&self, now: OffsetDateTime) -> bool {
        match (self.not_before, self.not_after) {
            (Some(from), Some(to)) => {
                let life = to - from;
                now > from + life / 2 + Duration::MINUTE.min(life / 10)
            }
            _ => false,
        }
    }

    /// The least by which the clock of the authority is ahead of this machine's: an SVID that has just arrived is valid already.
    pub fn authority_ahead(&self) -> Option<Duration> {
        let (from, received) = (self.not_before?, self.received?);
        Some((from - received).max(Duration::ZERO))
    }

    /// Whether the SVID has expired.
    pub fn outdated(&self, now: OffsetDateTime) -> bool {
        self.not_after.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(from: i64, to: i64) -> SvidStatus {
        SvidStatus { not_before: Some(at(from)), not_after: Some(at(to)), ..SvidStatus::default() }
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
    }

    #[test]
    fn an_svid_is_usable_from_its_first_to_its_last_moment() {
        let status = status(100, 200);
        assert!(!status.usable(at(99)));
        assert!(status.usable(at(100)));
        assert!(status.usable(at(199)));
        assert!(!status.usable(at(200)));
        assert!(!SvidStatus::default().usable(at(0)));
    }

    #[test]
    fn it_is_expiring_a_minute_past_half_of_its_life() {
        let status = status(0, 3600);
        assert!(!status.expiring(at(1860)));
        assert!(status.expiring(at(1861)));
        assert!(!status.outdated(at(3599)));
        assert!(status.outdated(at(3600)));
    }

    #[test]
    fn an_svid_that_is_not_valid_yet_when_it_arrives_shows_that_the_clock_is_behind() {
        let arrived = |at_second| SvidStatus { received: Some(at(at_second)), ..status(100, 200) };
        assert_eq!(arrived(40).authority_ahead(), Some(Duration::MINUTE));
        // Authorities make an SVID valid from a little before they make it.
        assert_eq!(arrived(110).authority_ahead(), Some(Duration::ZERO));
        assert_eq!(SvidStatus::default().authority_ahead(), None);
    }

    #[test]
    fn a_short_life_gets_a_shorter_grace() {
        let status = status(0, 10);
        assert!(!status.expiring(at(6)));
        assert!(status.expiring(at(7)));
    }
}
