//! What every request of a daemon is held against: the audit log, the counts, the limits and the budgets.

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
};
use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    BodyLimits, RequestMetrics,
    allowance::{Allowance, Denials},
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
    /// Requests that are carried out, or whose answers have not been taken.
    pub in_flight: Bounds,
    /// Bytes of bodies and answers in memory.
    pub memory: Bounds,
    /// How often one SPIFFE ID may be denied.
    pub denials: Rate,
}

/// How many answers are held back at the same time. Others go out at once.
const HELD_BACK: Bounds = Bounds { all: 8192, each: 4096, reserve: 0 };

/// Of how many requests by peers that have to wait the bodies are read all the same, and thrown away: at once, and in a second.
const TURNS: Bounds = Bounds { all: 16, each: 2, reserve: 0 };

/// How long requests whose bodies have not arrived are waited for at the end.
const BODY_GRACE: Duration = Duration::from_secs(5);

/// How long peers may go on sending requests once a daemon has begun to end: theirs that are on the way get answers.
const NOTICE: Duration = Duration::from_millis(300);

/// The audit log, the counts, the limits and the budgets of one daemon. Its requests share it.
#[derive(Debug)]
pub struct Frame {
    audit: AuditLog,
    metrics: RequestMetrics,
    body: BodyLimits,
    in_flight: Budget,
    memory: Budget,
    held_back: Budget,
    turns: Budget,
    pub(super) denials: Arc<DenialLimit>,
    pub(super) panics: Counter,
    /// Requests that are carried out in tasks of their own.
    pub(super) tasks: TaskTracker,
    /// No body is waited for any more.
    ending: Arc<CancellationToken>,
}

impl Frame {
    /// A frame for requests that are written down in `audit`.
    pub fn new(audit: AuditLog, metrics: RequestMetrics, limits: RequestLimits) -> Arc<Self> {
        let panics = metrics.panics();
        Arc::new(Self {
            audit,
            metrics,
            body: limits.body,
            in_flight: Budget::new(limits.in_flight),
            memory: Budget::new(limits.memory),
            held_back: Budget::new(HELD_BACK),
            turns: Budget::new(TURNS),
            denials: Arc::new(DenialLimit::new(limits.denials)),
            panics,
            tasks: TaskTracker::new(),
            ending: Arc::default(),
        })
    }

    /// Where every request is written down.
    pub const fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Requests in numbers.
    pub const fn metrics(&self) -> &RequestMetrics {
        &self.metrics
    }

    /// Bounds on every body.
    pub const fn body_limits(&self) -> BodyLimits {
        self.body
    }

    /// Makes the numbers of requests visible in `registry`.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        self.metrics.register(registry);
        registry.register_collector(Box::new(BudgetMetrics(Arc::clone(self))));
    }

    /// What `peer` may hold of the budgets. Operators, Nexus and Bootstrap are not slowed down.
    pub(super) fn allowance(&self, peer: &Peer) -> Arc<Allowance> {
        let (id, class) = (peer.shared_id(), peer.class());
        Arc::new(Allowance {
            in_flight: self.in_flight.account(&id, class),
            memory: self.memory.account(&id, class),
            held_back: self.held_back.account(&id, class),
            turns: self.turns.account(&id, class),
            denials: (class == Class::Ordinary)
                .then(|| Denials { limit: Arc::clone(&self.denials), id }),
            ending: Arc::clone(&self.ending),
        })
    }

    /// Ends `serving` in good order: no new connections, no new requests, what was read is carried out, answers go out. Tells
    /// whether everything that was read was carried out within `bound`. Whatever peers do or leave undone, it does not take
    /// longer for it.
    pub async fn drain(&self, serving: Serving, bound: Duration) -> bool {
        let deadline = Instant::now() + bound;
        serving.stop();
        if !serving.is_quiet() {
            tokio::time::sleep(NOTICE.min(bound / 4)).await;
        }
        serving.end();
        self.tasks.close();
        let bodies = deadline.min(Instant::now() + BODY_GRACE.min(bound / 2));
        if timeout_at(bodies, self.tasks.wait()).await.is_err() {
            self.ending.cancel();
        }
        let finished = timeout_at(deadline, self.tasks.wait()).await.is_ok();
        serving.close(deadline).await;
        // A request that came in the last moment.
        finished && timeout_at(deadline, self.tasks.wait()).await.is_ok()
    }
}

/// How full the budgets are, read when it is asked for.
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
                "How many there may be for all SPIFFE IDs together",
                in_flight.bounds().all,
            ),
            ("request_memory_bytes", "Large bodies and answers that are in memory", memory.used()),
            (
                "request_memory_limit_bytes",
                "How much they may take for all SPIFFE IDs together",
                memory.bounds().all,
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

/// Who may use what is kept back in every budget: operators, Nexus and Bootstrap.
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
