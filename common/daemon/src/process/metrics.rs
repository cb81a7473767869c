//! Metrics of the process itself.

use std::{fs, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use spike_mtls::clock;

use super::descriptors::descriptor_limit;
use crate::{http::Scrapers, settings::TelemetrySettings, telemetry::Telemetry};

/// What the process takes of the machine, asked on each scrape. What cannot be asked is left out.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    /// Seconds since 1970.
    started: i64,
}

impl ProcessMetrics {
    /// Those of a process that starts now.
    pub(super) fn new() -> Self {
        Self { started: clock::now().unix_timestamp() }
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, value) in [
            (
                "process_start_time_seconds",
                "When the process started, in seconds since 1970",
                Some(self.started),
            ),
            (
                "process_resident_memory_bytes",
                "Memory of the process that is in the machine's memory",
                resident_bytes(),
            ),
            ("process_open_fds", "Open file descriptors", open_descriptors()),
            (
                "process_max_fds",
                "The most file descriptors that the process may open",
                descriptor_limit().and_then(|limit| limit.try_into().ok()),
            ),
        ] {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

/// `VmRSS` of proc(5).
fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<i64>().ok()? * 1024)
}

fn open_descriptors() -> Option<i64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them lists the others.
    i64::try_from(open).ok().map(|open| open - 1)
}

/// Who may read the metrics over mTLS; `None` if the setting names nobody.
pub fn scrapers(settings: &TelemetrySettings, telemetry: &Telemetry) -> Option<Scrapers> {
    if settings.scrapers.is_empty() {
        return None;
    }
    let ids = settings.scrapers.iter().collect::<Vec<_>>().join(", ");
    tracing::info!(ids, "serving metrics over mTLS");
    Some(Scrapers::new(Arc::clone(&settings.scrapers), telemetry.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_descriptors_of_this_process_are_found() {
        let (memory, open) = (resident_bytes().unwrap(), open_descriptors().unwrap());
        assert!(memory > 1 << 20, "{memory} bytes");
        let file = fs::File::open("/proc/self/status").unwrap();
        assert!(open > 2, "{open} descriptors");
        assert!(descriptor_limit().is_none_or(|limit| limit > 3));
        drop(file);
    }
}
