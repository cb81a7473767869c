//! Health checks and metrics for operators, on a plain HTTP listener of their own.
//!
//! The listener is not on the mTLS port, because a probe has no SVID. It is on the loopback address unless a setting
//! changes that. It answers GET `/livez`, `/readyz`, `/healthz` and `/metrics`, and holds no secret. From this
//! machine, `/log-level` changes the level of the log; it changes nothing else.

mod apart;
mod clocks;
mod disk_checks;
mod disk_metrics;
mod durations;
mod exposition;
mod health;
mod health_metrics;
mod listener;
mod log_level;
mod probe;
mod server;
mod svid;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apart::Apart;
pub(crate) use apart::HELD_UP;
use clocks::Clocks;
pub use clocks::{CLOCK_FAILS, CLOCK_TOLD, CLOCK_WARNING, OtherClock};
pub(crate) use disk_checks::hangs;
use disk_metrics::DiskMetrics;
use durations::encode_timings;
pub use durations::encode_timings_by;
pub(crate) use exposition::{Exposition, MetricsPage};
pub use health::{CheckReport, Health, HealthReport, HealthView, Status};
pub use probe::Effect;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use serde_json::Value;
pub use server::{TelemetryServer, bind};
pub use svid::{SvidMetrics, check_svid};

/// The health checks and metrics of one process; clones share them.
#[derive(Clone, Debug)]
pub struct Telemetry {
    program: &'static str,
    health: Health,
    clocks: Clocks,
    registry: Arc<Mutex<Registry>>,
    on_disk: DiskMetrics,
    /// Made on a thread of its own: no probe waits for that.
    page: Arc<Apart<MetricsPage>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    program: &'static str,
    version: &'static str,
}

impl Telemetry {
    /// Telemetry without checks, and with metrics of the build and of the checks.
    pub fn new(program: &'static str) -> Self {
        let mut registry = Registry::with_prefix("spike");
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { program, version: crate::VERSION }).set(1);
        registry.register("build_info", "Which program this is, in which version", build);
        let health = Health::default();
        registry.register_collector(Box::new(health_metrics::HealthMetrics(health.view())));
        let clocks = Clocks::default();
        registry.register_collector(Box::new(clocks.clone()));
        let checked = clocks.clone();
        health.add("clock", Effect::Degraded, move |_| checked.check());
        let seen = clocks.clone();
        health.show(CLOCK_WARNING, move || seen.warning().map_or(Value::Null, Value::String));
        let (registry, on_disk) = (Arc::new(Mutex::new(registry)), DiskMetrics::default());
        let (written, of_files) = (Arc::clone(&registry), on_disk.clone());
        let page = Apart::start("metrics", move || write_page(&lock(&written), &of_files));
        Self { program, health, clocks, registry, on_disk, page: Arc::new(page) }
    }

    /// The name of the process.
    pub const fn program(&self) -> &'static str {
        self.program
    }

    /// The health checks.
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// Compares the clock of this machine with others, for the check `clock`. It never affects readiness: what a wrong clock breaks
    /// has checks of its own.
    pub fn compare_clocks(&self, others: impl Fn() -> Vec<OtherClock> + Send + Sync + 'static) {
        self.clocks.add(others);
    }

    /// Adds metrics. Every name gets the prefix `spike_`.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut lock(&self.registry));
    }

    /// Adds metrics of files, whose disk may hold them up: then there are the last ones.
    pub fn register_on_disk(&self, add: impl FnOnce(&mut Registry)) {
        self.on_disk.register(add);
    }

    /// The metrics, as they are after this was called. Those who call this while a page is being made share the next one, so that
    /// many who ask at the same time take no more of the machine than one thread. `None`: a metric panicked.
    pub(crate) async fn metrics(&self) -> Option<MetricsPage> {
        tokio::join!(self.on_disk.fresh(), self.health.fresh());
        self.page.next().await
    }
}

fn write_page(registry: &Registry, of_files: &DiskMetrics) -> MetricsPage {
    let mut out = String::new();
    let written = text::encode_registry(&mut out, registry);
    out.push_str(&of_files.last());
    // Writing to a String cannot fail.
    if written.and_then(|()| text::encode_eof(&mut out)).is_err() {
        tracing::warn!("cannot write the metrics");
    }
    MetricsPage::new(out)
}

fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
