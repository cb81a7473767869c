//! Metrics of the audit log.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::AuditLog;

/// Metrics of the audit log, collected on each scrape.
#[derive(Debug)]
pub struct AuditMetrics(pub AuditLog);

impl Collector for AuditMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.counts();
        for (name, help, value) in [
            ("audit_lines_written", "Audit lines that were written", counts.written),
            ("audit_lines_failed", "Audit lines that could not be written", counts.failed),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for (name, help, value) in [
            ("audit_backlog_lines", "Audit lines that wait to be written", counts.waiting),
            (
                "audit_backlog_bytes",
                "Bytes of audit lines that wait to be written",
                counts.waiting_bytes,
            ),
            (
                "audit_failing",
                "Whether the audit log cannot be written, or will soon not be",
                self.0.failure().is_some().into(),
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}
