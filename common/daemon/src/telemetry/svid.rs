//! Health checks and metrics of the process's identity.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use spike_mtls::{
    clock,
    svid::{BundleFault, SvidSource, SvidStatus},
};
use time::OffsetDateTime;

use super::{Effect, OtherClock, Telemetry, encode_timings};

/// The most faulty trust bundles that a health check names.
const MAX_FAULTS: usize = 5;

/// Adds health checks and metrics of `source`. `holds_role` says what is wrong with a SPIFFE ID that has not the role of this
/// process: the agent may send another one at any time.
///
/// Only `svid` affects readiness: without a valid SVID no connection can be made. Without the agent, the last SVID
/// still works, and a foreign trust bundle that cannot be used affects only the peers of its trust domain.
pub fn check_svid(
    telemetry: &Telemetry,
    source: &SvidSource,
    endpoint: &str,
    holds_role: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
) {
    let svid = source.clone();
    telemetry.health().add("svid", Effect::NotReady, move |now| {
        let status = svid.status();
        validity(&status, now)?;
        status.id.as_deref().map_or(Ok(()), &holds_role)
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
                Err(format!("no connection to {endpoint} since {}: {reason}", clock::second(since)))
            }
        }
    });
    let bundles = source.clone();
    telemetry.health().add("trust_bundles", Effect::Degraded, move |_| {
        let faults = bundles.status().bundle_faults;
        if faults.is_empty() { Ok(()) } else { Err(first_faults(&faults)) }
    });
    let held = source.clone();
    telemetry.health().show("trustDomains", move || {
        held.current().map_or_else(Vec::new, |material| material.held_trust_domains()).into()
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
    let authority = source.clone();
    telemetry.compare_clocks(move || {
        let of = || "the authority, which has just made the SVID of this process".to_owned();
        let ahead = authority.status().authority_ahead();
        ahead.map(|ahead| OtherClock { of: of(), ahead }).into_iter().collect()
    });
    let metrics = SvidMetrics(source.clone());
    telemetry.register(|registry| registry.register_collector(Box::new(metrics)));
}

/// Whether the SVID is valid by this machine's clock. The clock may be wrong.
fn validity(status: &SvidStatus, now: OffsetDateTime) -> Result<(), String> {
    if status.usable(now) {
        return Ok(());
    }
    let (Some(from), Some(end)) = (status.not_before, status.not_after) else {
        return Err("no X.509-SVID yet".to_owned());
    };
    let is_over = end <= now;
    let (from, until, now) = (clock::second(from), clock::second(end), clock::second(now));
    Err(if is_over {
        format!(
            "the X.509-SVID expired at {until}, was valid from {from}, and it is {now} on this machine: is the clock right, \
             and does the agent send new SVIDs?"
        )
    } else {
        format!(
            "the X.509-SVID is valid from {from} until {until}, and it is {now} on this machine: is the clock right?"
        )
    })
}

/// The first few faults, and how many more there are.
fn first_faults(faults: &[BundleFault]) -> String {
    let first: Vec<String> = faults.iter().take(MAX_FAULTS).map(ToString::to_string).collect();
    let more = match faults.len().saturating_sub(MAX_FAULTS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    first.join("; ") + &more
}

/// The metrics of an identity, collected on each scrape.
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
                "svid_not_before_timestamp_seconds",
                "When the X.509-SVID in use began to be valid; 0 without one",
                status.not_before.map_or(0, OffsetDateTime::unix_timestamp),
            ),
            (
                "svid_received_timestamp_seconds",
                "When the X.509-SVID in use arrived; 0 without one",
                status.received.map_or(0, OffsetDateTime::unix_timestamp),
            ),
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
                "workload_api_updates",
                "Updates of the Workload API that were put to use",
                status.updates,
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        self.encode_tries(&mut encoder, &status)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

impl SvidMetrics {
    /// How the tries to reach the Workload API ended, and how long they and the updates took.
    fn encode_tries(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        status: &SvidStatus,
    ) -> Result<(), std::fmt::Error> {
        let help = "Times the Workload API stream was lost or could not be opened, by cause";
        let (name, kind) = ("workload_api_failures", MetricType::Counter);
        let mut failures = encoder.encode_descriptor(name, help, None, kind)?;
        for (failure, count) in status.failures.iter() {
            let cause = Cause { cause: failure.label() };
            ConstCounter::new(count).encode(failures.encode_family(&cause)?)?;
        }
        let help =
            "The pause before the next try to reach the Workload API; 0 while it is connected";
        let name = "workload_api_pause_seconds";
        let pause = ConstGauge::new(status.pause.unwrap_or_default().as_secs_f64());
        pause.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        for (name, help, timings) in [
            (
                "workload_api_fetch_seconds",
                "From the beginning of a try until its first update was in use",
                self.0.fetches(),
            ),
            (
                "workload_api_update_seconds",
                "From the arrival of an update until new handshakes used its SVID and bundles",
                self.0.updates(),
            ),
        ] {
            encode_timings(encoder, (name, help), timings)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    /// The message used to omit the other times.
    #[test]
    fn an_svid_out_of_its_time_is_reported_with_its_times_and_the_time_of_this_machine() {
        let at =
            |seconds: i64| OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(seconds * 1000 + 7);
        let status =
            SvidStatus { not_before: Some(at(60)), not_after: Some(at(120)), ..Default::default() };
        assert_eq!(validity(&status, at(61)), Ok(()));
        for (now, shown) in [(at(0), "1970-01-01T00:00:00Z"), (at(86_400), "1970-01-02T00:00:00Z")]
        {
            let reason = validity(&status, now).unwrap_err();
            for part in [
                "1970-01-01T00:01:00Z",
                "1970-01-01T00:02:00Z",
                &format!("it is {shown} on this machine"),
                "is the clock right",
            ] {
                assert!(reason.contains(part), "{part}: {reason}");
            }
        }
        let none = validity(&SvidStatus::default(), at(0)).unwrap_err();
        assert_eq!(none, "no X.509-SVID yet");
    }
}
