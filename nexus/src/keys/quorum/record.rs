//! The history of one Keeper: its state, since when, and how many failures in a row. Pure: time is an argument.

use std::{fmt, time::Duration};

use spike_mtls::clock;
use time::OffsetDateTime;
use tokio::time::Instant;

/// How long a check of a Keeper counts. The usual pause between two checks is less than a quarter of it.
const FRESH: Duration = Duration::from_secs(10);

/// A Keeper that lacks its share within this time after it took it has forgotten it. After a longer time it was restarted.
const KEEPS_AT_LEAST: Duration = Duration::from_mins(1);

/// In the words of an operator.
const MISPLACED: &str =
    "another share of the key in use, as of another order of Keepers or another threshold";

/// The state of a Keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareState {
    /// It was not asked yet, or too long ago.
    Unknown,
    /// It does not answer, for this reason.
    Unreachable(String),
    /// It answers, and holds no share.
    Empty,
    /// It sent something that is no share, for this reason.
    Unusable(String),
    /// It holds a share, and there is no key to judge it by.
    Unjudged,
    /// It gave back its share of the key in use.
    Good,
    /// It sent something that does not show what it holds, for this reason.
    Untold(String),
    /// It holds a share of the key in use, and not its own: of another order of Keepers, or of another threshold.
    Misplaced,
    /// It holds a share of another key, which Nexus leaves to it.
    Foreign,
    /// It accepted its share and did not give it back: what it sent instead.
    Forgetful(&'static str),
    /// It is the same process as this one, which is earlier in the list, under another address.
    Repeated {
        /// The index of the earlier one.
        index: u16,
        /// Its address.
        url: String,
    },
}

impl fmt::Display for ShareState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("it was not asked lately"),
            Self::Unreachable(reason) => write!(f, "it does not answer: {reason}"),
            Self::Empty => f.write_str("it holds no share"),
            Self::Unusable(reason) => write!(f, "it sent what is no share: {reason}"),
            Self::Unjudged => f.write_str("it holds a share, and there is no key to judge it by"),
            Self::Good => f.write_str("it holds its share"),
            Self::Untold(reason) => write!(f, "it does not show what it holds: {reason}"),
            Self::Misplaced => write!(f, "it holds {MISPLACED}"),
            Self::Foreign => f.write_str("it holds a share of another root key"),
            Self::Repeated { index, url } => {
                write!(f, "it is the same process as Keeper {index} at {url}")
            }
            Self::Forgetful(instead) => {
                write!(f, "it takes its share and sends {instead} when it is asked for it")
            }
        }
    }
}

impl ShareState {
    /// Whether the Keeper answers at all.
    pub const fn reachable(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Unreachable(_))
    }

    /// Whether the Keeper would help a restarted Nexus: its share was read and judged against the key in use.
    pub const fn helps(&self) -> bool {
        matches!(self, Self::Good)
    }

    /// Whether it answers, but not with its share, and nothing is lost if it is given the share. A share of another key is never
    /// replaced, and neither is what was not read.
    pub(super) const fn lacks(&self) -> bool {
        self.in_place_of_a_share().is_some()
    }

    /// What it sent, if that was neither its share nor one of another key.
    const fn in_place_of_a_share(&self) -> Option<&'static str> {
        match self {
            Self::Empty => Some("no share"),
            Self::Unusable(_) => Some("what is no share"),
            Self::Misplaced => Some(MISPLACED),
            Self::Forgetful(instead) => Some(instead),
            Self::Unknown
            | Self::Unreachable(_)
            | Self::Untold(_)
            | Self::Unjudged
            | Self::Foreign
            | Self::Repeated { .. }
            | Self::Good => None,
        }
    }
}

/// A time on the wall clock and on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    wall: OffsetDateTime,
    at: Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { wall: clock::now(), at: Instant::now() }
    }
}

/// The known history of one Keeper.
#[derive(Debug)]
pub(super) struct Record {
    share: ShareState,
    since: OffsetDateTime,
    looked: Option<Moment>,
    failures: u32,
    /// When it last took its share.
    given: Option<Instant>,
}

impl Record {
    /// A Keeper that was not asked yet.
    pub(super) const fn new(now: Moment) -> Self {
        let share = ShareState::Unknown;
        Self { share, since: now.wall, looked: None, failures: 0, given: None }
    }

    /// The state. A good state that is too old does not count.
    pub(super) fn share(&self, now: Instant) -> ShareState {
        let is_fresh =
            self.looked_at().is_some_and(|at| now.saturating_duration_since(at) <= FRESH);
        if self.share.helps() && !is_fresh { ShareState::Unknown } else { self.share.clone() }
    }

    /// When this state began.
    pub(super) const fn since(&self) -> OffsetDateTime {
        self.since
    }

    /// When it was last checked, on the wall clock.
    pub(super) fn looked(&self) -> Option<OffsetDateTime> {
        self.looked.map(|moment| moment.wall)
    }

    /// When it was last checked.
    pub(super) fn looked_at(&self) -> Option<Instant> {
        self.looked.map(|moment| moment.at)
    }

    /// How many checks in a row found no share, or a wrong one.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Records a check. Returns whether the kind of the state has changed.
    pub(super) fn note(&mut self, share: ShareState, now: Moment) -> bool {
        if matches!(share, ShareState::Unreachable(_)) {
            // It may be restarting, and would come back empty.
            self.given = None;
        }
        let was_given = |at: Instant| now.at.saturating_duration_since(at) < KEEPS_AT_LEAST;
        let has_forgotten = self.given.is_some_and(was_given);
        let share = match share.in_place_of_a_share() {
            Some(instead) if has_forgotten => ShareState::Forgetful(instead),
            Some(_) | None => share,
        };
        self.look(share, now)
    }

    /// Records that the Keeper took its share, and what it sent when it was asked for the share right after. A Keeper that is
    /// known to forget counts as good only after its next check. Returns the same as [`Self::note`].
    pub(super) fn note_given(&mut self, read_back: &ShareState, now: Moment) -> bool {
        self.given = Some(now.at);
        match read_back.in_place_of_a_share() {
            Some(instead) => self.look(ShareState::Forgetful(instead), now),
            None if matches!(self.share, ShareState::Forgetful(_)) => false,
            None => self.look(read_back.clone(), now),
        }
    }

    fn look(&mut self, share: ShareState, now: Moment) -> bool {
        let fails = !matches!(share, ShareState::Good | ShareState::Unjudged);
        self.failures = if fails { self.failures.saturating_add(1) } else { 0 };
        self.looked = Some(now);
        let is_new = std::mem::discriminant(&self.share) != std::mem::discriminant(&share);
        if is_new {
            self.since = now.wall;
        }
        self.share = share;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many seconds after a beginning.
    struct Clock(Moment);

    impl Clock {
        fn at(&self, second: u64) -> Moment {
            let passed = Duration::from_secs(second);
            Moment { wall: self.0.wall + passed, at: self.0.at + passed }
        }
    }

    fn fresh() -> (Record, Clock) {
        let clock = Clock(Moment::now());
        (Record::new(clock.at(0)), clock)
    }

    /// A Keeper that was looked at once, and never again, was counted for ever.
    #[test]
    fn a_good_keeper_that_was_not_looked_at_for_ten_seconds_counts_for_nothing() {
        let (mut record, clock) = fresh();
        record.note(ShareState::Good, clock.at(1));
        assert!(record.share(clock.at(11).at).helps());
        assert_eq!(record.share(clock.at(12).at), ShareState::Unknown);
        record.note(ShareState::Good, clock.at(13));
        assert!(record.share(clock.at(13).at).helps());
        assert_eq!(record.since(), clock.at(1).wall, "it was good all the time");
    }

    #[test]
    fn a_share_that_nobody_has_judged_helps_nobody() {
        let (mut record, clock) = fresh();
        record.note(ShareState::Unjudged, clock.at(1));
        assert!(!record.share(clock.at(1).at).helps());
        assert_eq!(record.failures(), 0);
    }

    #[test]
    fn a_failure_takes_it_down_at_once_and_is_counted_and_dated() {
        let (mut record, clock) = fresh();
        record.note(ShareState::Good, clock.at(1));
        for second in 2..5 {
            let away = ShareState::Unreachable(format!("reason {second}"));
            assert_eq!(record.note(away, clock.at(second)), second == 2);
            assert!(!record.share(clock.at(second).at).helps());
        }
        assert_eq!((record.failures(), record.since()), (3, clock.at(2).wall));
        record.note(ShareState::Good, clock.at(5));
        assert_eq!((record.failures(), record.since()), (0, clock.at(5).wall));
    }

    /// It was shown as good after each time that it had answered 200.
    #[test]
    fn a_keeper_that_forgets_what_it_took_is_one_trouble_that_goes_on() {
        let (mut record, clock) = fresh();
        record.note(ShareState::Empty, clock.at(1));
        record.note_given(&ShareState::Empty, clock.at(1));
        for second in 2..6 {
            record.note(ShareState::Empty, clock.at(second));
            record.note_given(&ShareState::Empty, clock.at(second));
            assert_eq!(record.share(clock.at(second).at), ShareState::Forgetful("no share"));
        }
        assert_eq!((record.failures(), record.since()), (10, clock.at(1).wall));
    }

    /// It keeps the share for a moment, long enough to give it back once.
    #[test]
    fn a_keeper_that_forgets_later_is_believed_at_its_next_look_and_not_when_it_was_just_given() {
        let (mut record, clock) = fresh();
        record.note_given(&ShareState::Good, clock.at(1));
        assert!(record.share(clock.at(1).at).helps());
        for second in 2..6 {
            record.note(ShareState::Empty, clock.at(second));
            record.note_given(&ShareState::Good, clock.at(second));
            assert!(!record.share(clock.at(second).at).helps(), "second {second}");
        }
        record.note(ShareState::Good, clock.at(7));
        assert!(record.share(clock.at(7).at).helps());
    }

    #[test]
    fn a_keeper_that_was_away_or_had_its_share_for_long_is_empty_and_not_forgetful() {
        let (mut record, clock) = fresh();
        record.note_given(&ShareState::Good, clock.at(1));
        record.note(ShareState::Empty, clock.at(70));
        assert_eq!(record.share(clock.at(70).at), ShareState::Empty);
        record.note_given(&ShareState::Good, clock.at(71));
        record.note(ShareState::Unreachable("gone".to_owned()), clock.at(72));
        record.note(ShareState::Empty, clock.at(73));
        assert_eq!(record.share(clock.at(73).at), ShareState::Empty);
    }
}
