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

/// A route, and the status it ended with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    route: &'static str,
    status: u16,
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
    answered: OnceLock<Counter>,
    duration: OnceLock<Histogram>,
}

impl RequestMetrics {
    /// Metrics for a daemon with these routes. Other routes are counted too, but more slowly.
    pub fn new(routes: impl IntoIterator<Item = &'static str>) -> Self {
        // 100 microseconds to about 3 seconds.
        let buckets = || Histogram::new(exponential_buckets(0.0001, 2.0, 16));
        let at_hand =
            |route| CachedRoute { route, answered: OnceLock::new(), duration: OnceLock::new() };
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
            "Requests by route and status; route `other` is every request that no route matched",
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
        let requests = || self.requests.get_or_create_owned(&Outcome { route, status });
        let durations = || self.durations.get_or_create_owned(&Route { route });
        let at_hand = self.at_hand.iter().find(|at_hand| std::ptr::eq(at_hand.route, route));
        match at_hand {
            Some(at_hand) if status == 200 => at_hand.answered.get_or_init(requests).inc(),
            Some(_) | None => requests().inc(),
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

    use super::*;

    #[test]
    fn every_request_is_counted_by_route_and_status_whether_its_route_is_known_or_not() {
        let metrics = RequestMetrics::new(["get", "put"]);
        for (route, status) in [("get", 200), ("get", 404), ("get", 200), ("other", 400)] {
            metrics.count(route, status, Duration::from_millis(1));
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
                r#"request_duration_seconds_count{route="get"} 3"#,
                r#"request_duration_seconds_count{route="other"} 1"#,
                r#"requests_total{route="get",status="200"} 2"#,
                r#"requests_total{route="get",status="404"} 1"#,
                r#"requests_total{route="other",status="400"} 1"#,
            ],
            "and a route that nobody asked for is not there"
        );
    }
}
