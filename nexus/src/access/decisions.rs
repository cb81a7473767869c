//! How often access was decided, how, and how long it took. Reading counts too, so nothing here takes a lock.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet},
};
use spike_daemon::telemetry::encode_timings_by;
use spike_mtls::timings::Timings;

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

/// Durations by decision.
#[derive(Debug, Default)]
pub struct Decisions {
    by_role: Timings,
    by_policy: Timings,
    denied: Timings,
}

impl Decisions {
    pub(super) fn count(&self, decided: Decided, duration: Duration) {
        let timings = match decided {
            Decided::ByRole => &self.by_role,
            Decided::ByPolicy => &self.by_policy,
            Decided::Denied => &self.denied,
        };
        timings.count(duration);
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
        let Decisions { by_role, by_policy, denied } = &*self.0;
        let samples = [("role", by_role), ("policy", by_policy), ("denied", denied)]
            .map(|(outcome, timings)| (Outcome { outcome }, timings));
        let help = "How long it takes to decide whether a request is allowed, by what allowed it";
        encode_timings_by(&mut encoder, ("decision_duration_seconds", help), samples)
    }
}
