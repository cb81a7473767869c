//! Metrics of requests.

use std::{sync::OnceLock, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::Caller;

/// A route, the status it ended with, and who asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    route: &'static str,
    status: u16,
    role: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

/// Counts and durations of requests.
#[derive(Debug)]
pub struct RequestMetrics {
    requests: Family<Outcome, Counter>,
    durations: Family<Route, Histogram>,
    panics: Counter,
    at_hand: Vec<CachedRoute>,
}

/// The metrics that a request of this route most likely updates. They are looked up once, because a lookup takes locks
/// that all processors share.
#[derive(Debug)]
struct CachedRoute {
    route: &'static str,
    /// Answered 200, by caller.
    answered: [OnceLock<Counter>; Caller::KINDS],
    duration: OnceLock<Histogram>,
}

impl RequestMetrics {
    /// Metrics for a daemon with these routes. Other routes are counted too, but more slowly.
    pub fn new(routes: impl IntoIterator<Item = &'static str>) -> Self {
        // 100 microseconds to about 3 seconds.
        let buckets = || Histogram::new(exponential_buckets(0.0001, 2.0, 16));
        let at_hand =
            |route| CachedRoute { route, answered: Default::default(), duration: OnceLock::new() };
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(buckets),
            panics: Counter::default(),
            at_hand: routes.into_iter().map(at_hand).collect(),
        }
    }

    /// Adds the metrics to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "requests",
            "Requests by route, status and role of the caller; route `other` is every request that no route matched",
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
    pub fn count(&self, route: &'static str, status: u16, caller: Caller, duration: Duration) {
        let role = caller.label();
        let requests = || self.requests.get_or_create_owned(&Outcome { route, status, role });
        let durations = || self.durations.get_or_create_owned(&Route { route });
        let at_hand = self.at_hand.iter().find(|at_hand| std::ptr::eq(at_hand.route, route));
        let answered = at_hand.filter(|_| status == 200);
        match answered.and_then(|at_hand| at_hand.answered.get(caller.index())) {
            Some(answered) => answered.get_or_init(requests).inc(),
            None => requests().inc(),
        };
        let duration = duration.as_secs_f64();
        match at_hand {
            Some(at_hand) => at_hand.duration.get_or_init(durations).observe(duration),
            None => durations().observe(duration),
        }
    }

    /// The counter of requests that ended in a panic.
    pub(super) fn panics(&self) -> Counter {
        self.panics.clone()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use spike_domain::Role;

    use super::*;

    #[test]
    fn every_request_is_counted_by_route_status_and_role_whether_its_route_is_known_or_not() {
        let metrics = RequestMetrics::new(["get", "put"]);
        let operator = Caller::from(Some(Role::PilotSuperuser));
        for (route, status, caller) in [
            ("get", 200, Caller::WORKLOAD),
            ("get", 404, Caller::WORKLOAD),
            ("get", 200, Caller::WORKLOAD),
            ("get", 200, operator),
            ("other", 400, operator),
        ] {
            metrics.count(route, status, caller, Duration::from_millis(1));
        }
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let mut counts: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("requests_total") || line.contains("_count"))
            .collect();
        counts.sort_unstable();
        assert_eq!(
            counts,
            [
                r#"request_duration_seconds_count{route="get"} 4"#,
                r#"request_duration_seconds_count{route="other"} 1"#,
                r#"requests_total{route="get",status="200",role="superuser"} 1"#,
                r#"requests_total{route="get",status="200",role="workload"} 2"#,
                r#"requests_total{route="get",status="404",role="workload"} 1"#,
                r#"requests_total{route="other",status="400",role="superuser"} 1"#,
            ],
            "and a route that nobody asked for is not there"
        );
    }
}
