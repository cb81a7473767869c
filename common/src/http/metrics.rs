//! Requests in numbers.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Which route, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

/// Counts and durations of requests; clones share them.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    requests: Family<Outcome, Counter>,
    durations: Family<Route, Histogram>,
    panics: Counter,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        // 100 microseconds to about 3 seconds.
        let buckets = || Histogram::new(exponential_buckets(0.0001, 2.0, 16));
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(buckets),
            panics: Counter::default(),
        }
    }
}

impl RequestMetrics {
    /// Makes the numbers visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "requests",
            "Requests by route and status; route `other` is what no route took",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from a request's arrival to its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "request_panics",
            "Requests that ended in a bug of the program and were answered 500",
            self.panics.clone(),
        );
    }

    /// Counts one request.
    pub fn count(&self, route: &'static str, status: u16, duration: Duration) {
        self.requests.get_or_create(&Outcome { route, status }).inc();
        self.durations.get_or_create(&Route { route }).observe(duration.as_secs_f64());
    }

    /// Requests that ended in a panic, to be counted.
    pub(super) fn panics(&self) -> Counter {
        self.panics.clone()
    }
}
