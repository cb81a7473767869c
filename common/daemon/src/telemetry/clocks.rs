//! The clock of this machine, compared with others: what breaks SPIFFE quietly is a clock that is off.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use time::Duration;

/// From this difference on a person is told, once.
pub const CLOCK_TOLD: Duration = Duration::seconds(30);
/// From this difference on the check fails. SVIDs are valid from a few seconds before they are made, and live for minutes.
pub const CLOCK_FAILS: Duration = Duration::minutes(5);
/// The field of `/healthz` about a difference between the two: a text, or null.
pub const CLOCK_WARNING: &str = "clockWarning";

/// Another clock, and by how much it is ahead of this machine's, or behind where that is negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherClock {
    /// Whose it is, after "that of".
    pub of: String,
    /// The least by which it is ahead.
    pub ahead: Duration,
}

type Source = Box<dyn Fn() -> Vec<OtherClock> + Send + Sync>;

/// The clocks that this machine's is compared with; clones share them.
#[derive(Clone, Default)]
pub(super) struct Clocks(Arc<Shared>);

#[derive(Default)]
struct Shared {
    sources: Mutex<Vec<Source>>,
    told: AtomicBool,
}

impl Clocks {
    pub(super) fn add(&self, source: impl Fn() -> Vec<OtherClock> + Send + Sync + 'static) {
        self.sources().push(Box::new(source));
    }

    /// The clock that differs most.
    fn worst(&self) -> Option<OtherClock> {
        let all = self.sources().iter().flat_map(|source| source()).collect::<Vec<_>>();
        all.into_iter().max_by_key(|other| other.ahead.abs())
    }

    /// What a person should know of a clock that is off, and by which the check does not fail.
    pub(super) fn warning(&self) -> Option<String> {
        let worst = self.worst()?;
        (CLOCK_TOLD..CLOCK_FAILS).contains(&worst.ahead.abs()).then(|| reason(&worst))
    }

    /// Fails if a clock is minutes off, and tells of one that is half a minute off, once.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(worst) = self.worst().filter(|worst| worst.ahead.abs() >= CLOCK_TOLD) else {
            self.0.told.store(false, Ordering::Relaxed);
            return Ok(());
        };
        let reason = reason(&worst);
        if !self.0.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(reason, "clocks differ");
        }
        if worst.ahead.abs() < CLOCK_FAILS { Ok(()) } else { Err(reason) }
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Source>> {
        self.0.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a person sees which of the two is wrong.
const HOW: &str = "`timedatectl` says whether it is synchronized; look at both machines";

fn reason(worst: &OtherClock) -> String {
    format!("the clock of this machine is {}: is it right? {HOW}", off(worst))
}

/// "312 s behind that of Keeper 1".
fn off(other: &OtherClock) -> String {
    let seconds = other.ahead.whole_seconds();
    let (by, which) = (seconds.unsigned_abs(), if seconds > 0 { "behind" } else { "ahead of" });
    format!("at least {by} s {which} that of {}", other.of)
}

impl fmt::Debug for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clocks").field(&self.sources().len()).finish()
    }
}

/// The difference as a metric.
impl Collector for Clocks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let ahead = self.worst().map_or(0, |worst| worst.ahead.whole_seconds());
        let help = "By how much the clock that differs most is ahead of this machine's";
        let name = "clock_difference_seconds";
        let gauge = ConstGauge::new(ahead);
        gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(ahead: i64) -> Clocks {
        let clocks = Clocks::default();
        let of = "Keeper 1 at https://keeper-1:8443".to_owned();
        let near = OtherClock { of: "another".to_owned(), ahead: Duration::seconds(-1) };
        clocks.add(move || vec![near.clone()]);
        clocks.add(move || vec![OtherClock { of: of.clone(), ahead: Duration::seconds(ahead) }]);
        clocks
    }

    #[test]
    fn the_check_fails_from_five_minutes_on_and_says_in_which_direction() {
        for well in [0, 29, -30, 299, -299] {
            assert_eq!(clocks(well).check(), Ok(()), "{well}");
        }
        let reason = clocks(300).check().unwrap_err();
        assert!(reason.contains("at least 300 s behind that of Keeper 1 at https"), "{reason}");
        let reason = clocks(-4000).check().unwrap_err();
        assert!(reason.contains("at least 4000 s ahead of that of Keeper 1"), "{reason}");
    }

    /// The status and the doctor used to say nothing of it: only the log and a metric did.
    #[test]
    fn a_clock_that_is_off_by_less_than_fails_the_check_is_still_told() {
        for (ahead, is_told) in
            [(0, false), (29, false), (30, true), (-120, true), (299, true), (300, false)]
        {
            let warning = clocks(ahead).warning();
            assert_eq!(warning.is_some(), is_told, "{ahead}: {warning:?}");
        }
        let told = clocks(-120).warning().unwrap();
        assert!(told.contains("at least 120 s ahead of that of Keeper 1"), "{told}");
    }

    #[test]
    fn nobody_to_compare_with_is_no_failure() {
        assert_eq!(Clocks::default().check(), Ok(()));
    }
}
