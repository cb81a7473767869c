//! The identity of the process as health checks and metrics.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use spike_mtls::{
    clock,
    svid::{BundleFault, SvidSource},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Effect, Telemetry};

/// How many faulty trust bundles a health check names.
const FAULTS: usize = 5;

/// Watches `source`: health checks, and the metrics of [`SvidMetrics`].
///
/// Only `svid` decides on readiness: without a valid SVID no connection can be made. While the agent is away the last SVID
/// serves, and a foreign trust bundle that cannot be used concerns only the peers of its trust domain.
pub fn check_svid(telemetry: &Telemetry, source: &SvidSource, endpoint: &str) {
    let svid = source.clone();
    telemetry.health().add("svid", Effect::NotReady, move |now| {
        let status = svid.status();
        match status.not_after {
            _ if status.usable(now) => Ok(()),
            None => Err("no X.509-SVID yet".to_owned()),
            Some(end) if end <= now => Err(format!("the X.509-SVID expired at {}", text(end))),
            Some(_) => Err("the X.509-SVID is not valid yet: is the clock right?".to_owned()),
        }
    });
    let agent = source.clone();
    let endpoint = endpoint.to_owned();
    telemetry.health().add("workload_api", Effect::Degraded, move |_| {
        let status = agent.status();
        match (status.connected_since, status.disconnected_since) {
            (Some(_), _) | (None, None) => Ok(()),
            (None, Some(since)) => {
                let reason =
                    status.last_error.map_or("no answer yet".to_owned(), |(_, error)| error);
                Err(format!("no connection to {endpoint} since {}: {reason}", text(since)))
            }
        }
    });
    let bundles = source.clone();
    telemetry.health().add("trust_bundles", Effect::Degraded, move |_| {
        let faults = bundles.status().bundle_faults;
        if faults.is_empty() { Ok(()) } else { Err(told(&faults)) }
    });
    let late = source.clone();
    telemetry.health().add("svid_rotation", Effect::Degraded, move |now| {
        let status = late.status();
        if status.expiring(now) {
            Err("the X.509-SVID is past half of its life and the agent has sent no new one"
                .to_owned())
        } else {
            Ok(())
        }
    });
    let metrics = SvidMetrics(source.clone());
    telemetry.register(|registry| registry.register_collector(Box::new(metrics)));
}

/// The first few faults, and how many more there are.
fn told(faults: &[BundleFault]) -> String {
    let first: Vec<String> = faults.iter().take(FAULTS).map(ToString::to_string).collect();
    let more = match faults.len().saturating_sub(FAULTS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    first.join("; ") + &more
}

fn text(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// The metrics of an identity, read when they are asked for.
#[derive(Debug)]
pub struct SvidMetrics(pub SvidSource);

impl Collector for SvidMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let status = self.0.status();
        let now = clock::now();
        let expiry = status.not_after.map_or(0, OffsetDateTime::unix_timestamp);
        for (name, help, value) in [
            (
                "svid_expiry_timestamp_seconds",
                "When the X.509-SVID in use ends; 0 without one",
                expiry,
            ),
            (
                "svid_expiring",
                "1 when the X.509-SVID is over a minute past half of its life",
                i64::from(status.expiring(now)),
            ),
            ("svid_outdated", "1 when the X.509-SVID has expired", i64::from(status.outdated(now))),
            (
                "workload_api_connected",
                "1 while the stream to the SPIFFE Workload API is open",
                i64::from(status.connected_since.is_some()),
            ),
            (
                "trust_bundle_faults",
                "Trust bundles of the last update that could not be used, or not whole",
                i64::try_from(status.bundle_faults.len()).unwrap_or(i64::MAX),
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        for (name, help, value) in [
            ("svid_rotations", "X.509-SVIDs that replaced another", status.rotations),
            ("trust_bundle_updates", "Changes of the trust bundles", status.bundle_updates),
            (
                "workload_api_failures",
                "Times the Workload API stream was lost or could not be opened",
                status.failures,
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }
}
