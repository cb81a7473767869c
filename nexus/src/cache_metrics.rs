//! Metrics of the value cache.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::keys::seal::{OwnTask, Seal};

/// Metrics of the open store. There are none while Nexus is sealed.
#[derive(Debug)]
pub(crate) struct CacheMetrics(pub(crate) Arc<Seal>);

impl Collector for CacheMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(unsealed) = self.0.for_own_task(OwnTask::WatchStore) else { return Ok(()) };
        let Ok(store) = unsealed.store() else { return Ok(()) };
        let stats = store.cache_stats();
        for (name, help, value) in [
            (
                "read_cache_hits",
                "Reads of a current value that did not ask the database",
                stats.hits,
            ),
            ("read_cache_misses", "Reads of a current value that did", stats.misses),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for (name, help, value) in [
            ("read_cache_values", "Values kept in memory, encrypted", stats.values),
            ("read_cache_bytes", "What the values kept in memory take, about", stats.bytes),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}
