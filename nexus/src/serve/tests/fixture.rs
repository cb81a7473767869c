//! A Nexus without a network: its store and its audit log are files, and its Keepers are never called.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ::http::Request;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use spike_config::KeeperPeers;
use spike_crypto::{Derivation, Quorum, RootKey, Share, split};
use spike_daemon::{
    audit::AuditLog,
    http::{BodyLimits, Frame, RequestLimits, RequestMetrics},
    limit::Rate,
    serve::HandlerFuture,
    settings::Backend,
    telemetry::HealthView,
};
use spike_domain::{SecretPath, Selector, TrustRootsByRole};
use spike_mtls::{
    ClientTimeouts, Peer,
    budget::{Bounds, Class},
    clock,
    svid::SvidSource,
};
use spike_wire::Operation;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{
    access::Access,
    keys::{
        KeySource, Shares,
        quorum::{
            AdoptError, Adopter, Candidates, Connection, DataDirectory, Keepers, Restoration,
            Timing,
        },
        seal::{OwnTask, Seal, Unsealed},
    },
    policy::ReservedRule,
    serve::app,
    service::{Nexus, Parts, trust_domains::HeldTrustDomains},
    store::{Home, Options, PolicyText, Store},
};

/// The state of Nexus when the request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its key and its data.
    Unsealed,
    /// Its data, and one share less than it needs.
    OneShareShort,
    /// A key that Bootstrap has not proved, and no data.
    KeyUnproved,
}

/// A live secret, a deleted one, and one that does not exist.
pub(super) const KEPT: &str = "data/kept";
pub(super) const DELETED: &str = "data/deleted";
pub(super) const NEW: &str = "data/new";
/// A policy that exists, and one that does not.
pub(super) const OLD_POLICY: &str = "old-policy";
pub(super) const NEW_POLICY: &str = "new-policy";

const KEEPERS: &str = "https://127.0.0.1:1,https://127.0.0.1:2,https://127.0.0.1:3";

/// A Nexus and what belongs to it.
pub(super) struct Fixture {
    nexus: Arc<Nexus>,
    seal: Arc<Seal>,
    pub(super) shares: Vec<Share>,
    directory: TempDir,
}

/// A fixed key.
pub(super) fn root_key() -> RootKey {
    RootKey::from_bytes(&[1; 32]).unwrap()
}

pub(super) fn path(text: &str) -> SecretPath {
    SecretPath::parse(text).unwrap()
}

/// Who may read by a policy of this name, and what.
pub(super) fn policy(name: &str) -> PolicyText {
    PolicyText {
        spiffe_id_pattern: format!("^{}$", reader(name)),
        path_pattern: format!("^{}$", readable(name)),
        permissions: vec!["read".to_owned()],
    }
}

pub(super) fn reader(policy: &str) -> String {
    format!("spiffe://spike.ist/workload/{policy}")
}

pub(super) fn readable(policy: &str) -> String {
    format!("tenants/{policy}")
}

impl Fixture {
    pub(super) async fn new(state: State) -> Self {
        Self::with_memory(state, Bounds::NONE).await
    }

    /// With these bounds on the memory of bodies and answers.
    pub(super) async fn with_memory(state: State, memory: Bounds) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::File(directory.path().join("data"));
        let quorum = Quorum::new(3, 2).unwrap();
        let shares = split(&root_key(), quorum, Derivation::Reject);
        let seal = Arc::new(Seal::sealed("no share yet"));
        match state {
            State::Unsealed => {
                seal.unseal(
                    Unsealed::with_store(root_key(), store_with_rows(&home).await).unwrap(),
                );
            }
            State::OneShareShort => store_with_rows(&home).await.close().await.unwrap(),
            State::KeyUnproved => {}
        }
        let source = keys(&home, quorum, &seal);
        if let KeySource::Shares(source) = &source {
            arrange(state, source, &shares).await;
        }
        let access = Access::new(Arc::default(), Arc::clone(&seal), ReservedRule::Pattern);
        let frame = frame(&directory.path().join("audit.log"), memory);
        let parts = Parts {
            access,
            seal: Arc::clone(&seal),
            key_source: source,
            unused_data: None,
            max_ciphertext: 65_536,
            frame,
            health: HealthView::default(),
            trust_domains: HeldTrustDomains::default(),
        };
        Self { nexus: Arc::new(Nexus::new(parts)), seal, shares, directory }
    }

    /// Sends a request without a connection. Its body arrives in two parts, each with a delay.
    pub(super) fn send(&self, id: &str, operation: Operation, body: &Bytes) -> HandlerFuture {
        let (first, second) = body.split_at(body.len() / 2);
        let parts = [Bytes::copy_from_slice(first), Bytes::copy_from_slice(second)];
        let body = Body::from_stream(stream::iter(parts).then(async |part| {
            tokio::task::yield_now().await;
            std::io::Result::Ok(part)
        }));
        let request = Request::post(operation.path_and_query()).header("host", "nexus");
        app(&self.nexus).connect(Peer::unverified(id))(request.body(body).unwrap())
    }

    /// As [`Self::send`] for a peer of this class, with a body that is there at once.
    pub(super) fn send_as(
        &self,
        (id, class): (&str, Class),
        operation: Operation,
        body: Bytes,
    ) -> HandlerFuture {
        let request = Request::post(operation.path_and_query()).header("host", "nexus");
        let peer = Peer::unverified_of(id, class);
        app(&self.nexus).connect(peer)(request.body(Body::from(body)).unwrap())
    }

    /// The service.
    pub(super) const fn nexus(&self) -> &Arc<Nexus> {
        &self.nexus
    }

    /// Waits until no task works for a request any more: each such task holds Nexus.
    pub(super) async fn quiet(&self) {
        let quiet = async {
            while Arc::strong_count(&self.nexus) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), quiet).await.expect("requests that end");
    }

    /// Every audit record so far.
    pub(super) fn records(&self) -> Vec<Value> {
        self.nexus.frame().audit().flush();
        let text = std::fs::read_to_string(self.directory.path().join("audit.log")).unwrap();
        let line = |line| serde_json::from_str::<Value>(line).unwrap()["audit"].take();
        text.lines().map(line).collect()
    }

    /// The unsealed Nexus, if there is a key.
    pub(super) fn unsealed(&self) -> Option<Arc<Unsealed>> {
        self.seal.for_own_task(OwnTask::Test).ok()
    }
}

async fn store_with_rows(home: &Home) -> Store {
    let now = clock::unix_nanos();
    let max_versions = NonZeroU32::new(5000).unwrap();
    let options = Options { max_versions, ..Options::default() };
    let store = Store::create(home, &root_key(), &options, now).unwrap();
    for name in [KEPT, DELETED] {
        let value = Zeroizing::new(br#"{"k":"v"}"#.to_vec());
        store.put(&path(name), value, now).await.unwrap();
    }
    assert!(store.delete(&path(DELETED), vec![Selector::Current], now).await.unwrap());
    store.put_policy(OLD_POLICY, policy(OLD_POLICY), now).await.unwrap();
    store
}

fn keys(home: &Home, quorum: Quorum, seal: &Arc<Seal>) -> KeySource {
    let peers: KeeperPeers = KEEPERS.parse().unwrap();
    let options = Options::default();
    let data = DataDirectory::seen(Some(home.clone()));
    let adopter = Arc::new(Adopter::new(Arc::clone(seal), data, options, false));
    let timeouts = ClientTimeouts {
        whole: Duration::from_secs(1),
        dial: Duration::from_secs(1),
        handshake: Duration::from_secs(1),
        response_header: Duration::from_secs(1),
        idle: Duration::from_secs(1),
        idle_per_host: 1,
    };
    // No Keeper runs there, and none is called.
    let source = SvidSource::follow("unix:///nowhere");
    let roots = Arc::<TrustRootsByRole>::default();
    let connection = Connection { source: &source, roots: &roots, timeouts };
    let timing =
        Timing { update_interval: Duration::from_mins(5), longest_pause: Duration::from_mins(5) };
    let ours = (Arc::clone(seal), Arc::clone(&adopter));
    let keepers = Keepers::new(&peers, &connection, ours, quorum, timing).unwrap();
    KeySource::Shares(Shares {
        backend: Backend::Sqlite,
        quorum,
        max_index: 3,
        home: Some(home.clone()),
        keepers: Arc::new(keepers),
        adopter: Arc::clone(&adopter),
        restoration: Arc::new(Restoration::new(Arc::clone(seal), adopter, quorum)),
    })
}

/// Brings a sealed Nexus into its state.
async fn arrange(state: State, source: &Shares, shares: &[Share]) {
    match state {
        State::Unsealed => {}
        State::OneShareShort => {
            let fed = source
                .restoration
                .feed(shares[0].duplicate(), false, &source.keepers)
                .await
                .unwrap();
            assert_eq!((fed.remaining, fed.done), (1, false));
        }
        State::KeyUnproved => {
            let candidates = Candidates::find(&shares[..2], source.quorum).unwrap();
            let adopted = source.adopter.adopt(candidates).await;
            assert!(matches!(adopted, Err(AdoptError::NoData { .. })), "{adopted:?}");
        }
    }
}

fn frame(audit: &Path, memory: Bounds) -> Arc<Frame> {
    let file = std::fs::File::create(PathBuf::from(audit)).unwrap();
    let limits = RequestLimits {
        body: BodyLimits { bytes: 1 << 20, time: Duration::from_mins(1) },
        in_flight: Bounds::NONE,
        memory,
        denials: Rate { per_second: 0, burst: 0 },
    };
    let labels = Operation::ALL.iter().copied().map(Operation::label);
    Frame::new(AuditLog::to_file(file).unwrap(), RequestMetrics::new(labels), limits)
}
