//! What one health check means, and how it is asked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use time::OffsetDateTime;

/// The effect of a failing check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The process cannot do its work: `/readyz` fails.
    NotReady,
    /// The process still works, but needs attention: `/healthz` says degraded.
    Degraded,
}

/// The reason of a check that cannot tell one.
pub(super) const PANICKED: &str = "a bug: the check panicked. The log has the place: report it";

/// Asks one probe. One that panics fails: nobody else is to miss its answers because of it.
pub(super) fn ask(
    probe: &dyn Fn(OffsetDateTime) -> Result<(), String>,
    now: OffsetDateTime,
) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| probe(now))).unwrap_or_else(|_| Err(PANICKED.to_owned()))
}
