//! Health checks as metrics.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use spike_mtls::clock;

use super::{HealthView, Status};

/// Whether the process is ready, and whether each check passes, asked on each scrape.
#[derive(Debug)]
pub(super) struct HealthMetrics(pub(super) HealthView);

impl Collector for HealthMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(report) = self.0.report(clock::now()) else { return Ok(()) };
        let ready = gauge(report.status != Status::Failing);
        let help = "1 when the process can do its work, as /readyz says";
        ready.encode(encoder.encode_descriptor("ready", help, None, MetricType::Gauge)?)?;
        let help = "1 when the check of /healthz passes";
        let mut family =
            encoder.encode_descriptor("check_passing", help, None, MetricType::Gauge)?;
        for (check, state) in report.checks {
            let passing = gauge(state.status == Status::Ok);
            passing.encode(family.encode_family(&[("check", check)])?)?;
        }
        Ok(())
    }
}

fn gauge(is_true: bool) -> ConstGauge {
    ConstGauge::new(i64::from(is_true))
}
