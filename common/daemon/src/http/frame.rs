//! What all requests of a daemon share: the audit log, metrics, limits and budgets.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::Counter, gauge::ConstGauge},
    registry::Registry,
};
use spike_domain::{Role, TrustRootsByRole};
use spike_mtls::{
    Peer,
    budget::{Bounds, Budget, Class},
    clock::Moment,
};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::{
    BodyLimits, RequestMetrics,
    allowance::{Allowance, Denials},
    body_end::BodyEnd,
    recent::{Recent, RecentCounts},
    scrape::Scrapers,
};
use crate::{
    audit::AuditLog,
    limit::{DenialLimit, Rate},
    serve::Serving,
};

/// Bounds on the requests of a daemon.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Bounds on every body.
    pub body: BodyLimits,
    /// Requests that are being carried out, or whose answers are not fully sent.
    pub in_flight: Bounds,
    /// Bytes of bodies and answers in memory.
    pub memory: Bounds,
    /// How often one SPIFFE ID may be denied.
    pub denials: Rate,
}

/// The most answers that are delayed at the same time. Others are sent at once.
const DELAYED_ANSWERS: Bounds = Bounds { all: 8192, each: 4096, reserve: 0 };

/// HTTP/2: the most answers to refused requests that wait for their peers. Others have no body, which would wait for a window. Each
/// takes some 2 KiB.
const REFUSALS: Bounds = Bounds { all: 2048, each: 256, reserve: 256 };

/// For how many requests of slowed-down peers the body is still discarded, at the same time and in a second.
const DISCARDS: Bounds = Bounds { all: 16, each: 2, reserve: 0 };

/// How long the end of the daemon waits for bodies that still arrive.
const BODY_GRACE: Duration = Duration::from_secs(5);

/// How long requests have to end once what they waited for is closed.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// How long peers may still send requests after a daemon has begun to end, so that requests on the way are answered.
const STOP_NOTICE: Duration = Duration::from_millis(300);

/// The audit log, metrics, limits and budgets of one daemon.
#[derive(Debug)]
pub struct Frame {
    audit: AuditLog,
    metrics: RequestMetrics,
    recent: RecentCounts,
    /// When this frame was made.
    started: Moment,
    body: BodyLimits,
    in_flight: Budget,
    memory: Budget,
    delayed: Budget,
    refusals: Budget,
    discards: Budget,
    pub(super) denials: Arc<DenialLimit>,
    pub(super) panics: Counter,
    /// `None`: the metrics are not served over mTLS.
    pub(super) scrapers: Option<Scrapers>,
    /// Requests that run in tasks of their own.
    pub(super) tasks: TaskTracker,
    /// Until when bodies are waited for.
    ending: Arc<BodyEnd>,
}

impl Frame {
    /// A frame whose requests are written to `audit`. It serves no metrics.
    pub fn new(audit: AuditLog, metrics: RequestMetrics, limits: RequestLimits) -> Arc<Self> {
        Self::with_scrapers(audit, metrics, limits, None)
    }

    /// As [`Self::new`], and `scrapers` may read the metrics.
    pub fn with_scrapers(
        audit: AuditLog,
        metrics: RequestMetrics,
        limits: RequestLimits,
        scrapers: Option<Scrapers>,
    ) -> Arc<Self> {
        let panics = metrics.panics();
        Arc::new(Self {
            audit,
            metrics,
            recent: RecentCounts::default(),
            started: Moment::now(),
            body: limits.body,
            in_flight: Budget::fair(limits.in_flight),
            memory: Budget::fair(limits.memory),
            delayed: Budget::fair(DELAYED_ANSWERS),
            refusals: Budget::fair(REFUSALS),
            discards: Budget::new(DISCARDS),
            denials: Arc::new(DenialLimit::new(limits.denials)),
            panics,
            scrapers,
            tasks: TaskTracker::new(),
            ending: Arc::default(),
        })
    }

    /// The audit log of every request.
    pub const fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// The metrics of requests.
    pub(super) const fn metrics(&self) -> &RequestMetrics {
        &self.metrics
    }

    /// Counts a request that ended at this moment among those of the last minutes.
    pub(super) fn note_ended(&self, ended: std::time::Instant, status: u16) {
        self.recent.count(ended.duration_since(self.started.at()), status);
    }

    /// How many requests ended lately.
    pub fn recent(&self) -> Recent {
        self.recent.sum(self.started.elapsed())
    }

    /// When the daemon began to serve.
    pub const fn started(&self) -> OffsetDateTime {
        self.started.wall()
    }

    /// Bounds on every body.
    pub const fn body_limits(&self) -> BodyLimits {
        self.body
    }

    /// Adds the metrics of requests and budgets to `registry`.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        self.metrics.register(registry);
        registry.register_collector(Box::new(BudgetMetrics(Arc::clone(self))));
    }

    /// The budgets of `peer`. Operators, Nexus and Bootstrap are not slowed down.
    pub(super) fn allowance(&self, peer: &Peer) -> Arc<Allowance> {
        let (id, class) = (peer.shared_id(), peer.class());
        Arc::new(Allowance {
            in_flight: self.in_flight.account(&id, class),
            memory: self.memory.account(&id, class),
            delayed: self.delayed.account(&id, class),
            refusals: self.refusals.account(&id, class),
            discards: self.discards.account(&id, class),
            denials: (class == Class::Ordinary)
                .then(|| Denials { limit: Arc::clone(&self.denials), id }),
            ending: Arc::clone(&self.ending),
        })
    }

    /// Ends `serving`: refuses new connections and requests, finishes those that were read, and sends their answers.
    /// Returns whether all that were read finished within `bound`. No peer can make it take longer. Then the daemon closes what
    /// requests work with, and calls [`Self::settle`].
    pub async fn drain(&self, serving: &Serving, bound: Duration) -> bool {
        let deadline = Instant::now() + bound;
        serving.stop();
        self.ending.begin();
        if !serving.is_quiet() {
            tokio::time::sleep(STOP_NOTICE.min(bound / 4)).await;
        }
        serving.end();
        self.tasks.close();
        let bodies = deadline.min(Instant::now() + BODY_GRACE.min(bound / 2));
        if timeout_at(bodies, self.tasks.wait()).await.is_err() {
            self.ending.give_up();
            // Whoever asks on and on makes nobody wait.
            serving.stop_reading();
        }
        let finished = timeout_at(deadline, self.tasks.wait()).await.is_ok();
        serving.close(deadline).await;
        // A request may have arrived meanwhile.
        finished && timeout_at(deadline, self.tasks.wait()).await.is_ok()
    }

    /// Drops `serving` after [`Self::drain`], and the requests that still run with it. Before, requests that waited for
    /// what the daemon has just closed have a moment to end: what it carried out is not written down as dropped.
    pub async fn settle(&self, serving: Serving) {
        // Those that have not ended are dropped, and write that down.
        timeout_at(Instant::now() + LAST_MOMENT, self.tasks.wait()).await.ok();
        drop(serving);
    }
}

/// The usage of the budgets, collected on each scrape.
#[derive(Debug)]
struct BudgetMetrics(Arc<Frame>);

impl Collector for BudgetMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Frame { in_flight, memory, .. } = &*self.0;
        for (name, help, value) in [
            (
                "requests_in_flight",
                "Requests that are carried out or whose answers have not been taken",
                in_flight.used(),
            ),
            (
                "requests_in_flight_limit",
                "The most requests in flight for all SPIFFE IDs together",
                in_flight.bounds().all,
            ),
            ("request_memory_bytes", "Large bodies and answers that are in memory", memory.used()),
            (
                "request_memory_limit_bytes",
                "The most bytes of large bodies and answers for all SPIFFE IDs together",
                memory.bounds().all,
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

/// The class of a SPIFFE ID: operators, Nexus and Bootstrap may use the reserve of every budget.
pub fn class_by_role(roots: &TrustRootsByRole, id: &str) -> Class {
    let reserved = [
        Role::PilotSuperuser,
        Role::PilotRecover,
        Role::PilotRestore,
        Role::Nexus,
        Role::Bootstrap,
    ];
    if reserved.into_iter().any(|role| roots.hold(role, id)) {
        Class::Reserved
    } else {
        Class::Ordinary
    }
}
