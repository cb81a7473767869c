//! How often access was decided, how, and how long it took. Reading counts too, so nothing here takes a lock.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet},
};
use spike_daemon::{telemetry::encode_timings_by, threads::PerThread};
use spike_mtls::timings::{Timings, TimingsSeen};

/// How a request was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    /// Allowed: the caller has a role that may.
    ByRole,
    /// Allowed by a policy.
    ByPolicy,
    /// Denied.
    Denied,
}

/// Durations by decision. Each serving thread counts its own.
#[derive(Debug)]
pub struct Decisions(PerThread<ByOutcome>);

#[derive(Debug, Default)]
struct ByOutcome {
    by_role: Timings,
    by_policy: Timings,
    denied: Timings,
}

impl Default for Decisions {
    fn default() -> Self {
        Self(PerThread::new(|_| ByOutcome::default()))
    }
}

impl Decisions {
    pub(super) fn count(&self, decided: Decided, duration: Duration) {
        self.0.here().of(decided).count(duration);
    }

    fn seen(&self, decided: Decided) -> TimingsSeen {
        let none = Timings::default().seen();
        self.0.iter().fold(none, |sum, each| sum.and(&each.of(decided).seen()))
    }
}

impl ByOutcome {
    const fn of(&self, decided: Decided) -> &Timings {
        match decided {
            Decided::ByRole => &self.by_role,
            Decided::ByPolicy => &self.by_policy,
            Decided::Denied => &self.denied,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// The metric of all decisions.
#[derive(Debug)]
pub(crate) struct DecisionMetrics(pub(crate) Arc<Decisions>);

impl Collector for DecisionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let outcomes =
            [("role", Decided::ByRole), ("policy", Decided::ByPolicy), ("denied", Decided::Denied)];
        let samples = outcomes.map(|(outcome, by)| (Outcome { outcome }, self.0.seen(by)));
        let help = "How long it takes to decide whether a request is allowed, by what allowed it";
        encode_timings_by(&mut encoder, ("decision_duration_seconds", help), samples)
    }
}
