//! A Nexus for tests: a real listener with real mutual TLS, whose answers come from a function.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Request, StatusCode};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe::{SpiffeId, TrustDomain};
use spike_config::Environment;
use spike_daemon::serve::{App, ConnectionMetrics, Limits, Listener};
use spike_domain::{Role, TrustRootsByRole};
use spike_mtls::{
    PeerRule,
    svid::{Material, SvidSource},
};
use spike_wire::{ErrorCode, Operation};
use time::OffsetDateTime;
use tokio::runtime::Runtime;

use crate::context::Context;
use crate::{Exit, Streams};

/// The output and status of one run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl std::fmt::Display for Ran {
    /// Both streams and the status, for snapshots.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]\n{}--\n{}", self.exit.status(), self.stdout, self.stderr)
    }
}

/// Runs a command that needs no Nexus, without settings and without an agent.
pub(crate) fn run_alone(arguments: &[&str], stdin: &str) -> Ran {
    let environment = Environment::from_pairs([("SPIFFE_ENDPOINT_SOCKET", "tcp://never/asked")]);
    run_in(arguments, stdin, &environment, None)
}

pub(crate) fn run_in(
    arguments: &[&str],
    stdin: &str,
    environment: &Environment,
    fixed: Option<SvidSource>,
) -> Ran {
    run_on(arguments, stdin, environment, fixed, false)
}

fn run_on(
    arguments: &[&str],
    stdin: &str,
    environment: &Environment,
    fixed: Option<SvidSource>,
    terminal: bool,
) -> Ran {
    let (stdout, stderr) = (Captured::default(), Captured::default());
    let stdin = io::Cursor::new(stdin.as_bytes().to_vec());
    let streams = Streams::new(stdin, stdout.clone(), stderr.clone());
    let streams = if terminal { streams.watched() } else { streams };
    let mut context = Context::new(environment, streams);
    context.fixed = fixed;
    let arguments = std::iter::once("spike").chain(arguments.iter().copied());
    let exit = crate::execute(arguments.map(Into::into), context);
    Ran { exit, stdout: stdout.text(), stderr: stderr.text() }
}

/// A stream that records what is written.
#[derive(Clone, Default)]
pub(crate) struct Captured(Rc<RefCell<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer: status and body.
pub(crate) type Answer = (u16, Bytes);

type Behaviour = dyn Fn(Operation, &[u8]) -> Answer + Send + Sync;

/// The error answer of an operation.
pub(crate) fn error(operation: Operation, code: ErrorCode) -> Answer {
    (code.status().as_u16(), operation.error_body(code))
}

/// A listening Nexus; it ends when it is dropped.
pub(crate) struct FakeNexus {
    _runtime: Runtime,
    environment: Environment,
    ca: Ca,
    asked: Arc<Mutex<Vec<Operation>>>,
}

impl FakeNexus {
    /// Answers each call with the result of `behaviour`.
    pub(crate) fn start(
        behaviour: impl Fn(Operation, &[u8]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_as(Role::Nexus, behaviour)
    }

    /// The same with the identity of another role.
    pub(crate) fn start_as(
        role: Role,
        behaviour: impl Fn(Operation, &[u8]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let ca = Ca::new();
        let svid = ca.source(role);
        Self::start_with(ca, &svid, behaviour)
    }

    /// The same with any identity.
    pub(crate) fn start_with(
        ca: Ca,
        source: &SvidSource,
        behaviour: impl Fn(Operation, &[u8]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let runtime = Runtime::new().unwrap();
        let asked = Arc::<Mutex<Vec<Operation>>>::default();
        let behaviour: Arc<Behaviour> = Arc::new(behaviour);
        let shared = Arc::clone(&asked);
        let app = App::new(move |_| {
            let (behaviour, shared) = (Arc::clone(&behaviour), Arc::clone(&shared));
            move |request| answer(Arc::clone(&behaviour), Arc::clone(&shared), request)
        });
        let address = runtime.block_on(async {
            let listener = Listener::bind(&[([127, 0, 0, 1], 0).into()]).await.unwrap();
            let address = listener.address();
            let limits = Limits {
                header_timeout: Duration::from_secs(30),
                idle_timeout: Duration::from_secs(30),
                stall_timeout: Duration::from_mins(1),
                connections: 16,
                connections_per_id: 16,
                handshakes: 16,
            };
            let metrics = ConnectionMetrics::default();
            listener.serve(source, PeerRule::AnySvid, limits, metrics, app).unwrap();
            address
        });
        let environment =
            Environment::from_pairs([("SPIKE_NEXUS_API_URL", format!("https://{address}"))]);
        Self { _runtime: runtime, environment, ca, asked }
    }

    /// Runs a command as the superuser.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs a command as the superuser with this standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> Ran {
        self.run_as(Role::PilotSuperuser, arguments, stdin)
    }

    /// Runs a command as the superuser, with a terminal for the outputs.
    pub(crate) fn run_on_terminal(&self, arguments: &[&str]) -> Ran {
        let source = self.ca.source(Role::PilotSuperuser);
        run_on(arguments, "", &self.environment, Some(source), true)
    }

    /// Runs a command with the identity of a role, with a terminal for the outputs.
    pub(crate) fn run_as_on_terminal(&self, role: Role, arguments: &[&str], stdin: &str) -> Ran {
        run_on(arguments, stdin, &self.environment, Some(self.ca.source(role)), true)
    }

    /// Runs a command with this identity.
    pub(crate) fn run_with_svid(&self, arguments: &[&str], svid: SvidSource) -> Ran {
        run_in(arguments, "", &self.environment, Some(svid))
    }

    /// The authority that this Nexus trusts.
    pub(crate) const fn ca(&self) -> &Ca {
        &self.ca
    }

    pub(crate) fn run_as(&self, role: Role, arguments: &[&str], stdin: &str) -> Ran {
        run_in(arguments, stdin, &self.environment, Some(self.ca.source(role)))
    }

    /// The operations of all calls so far, in order.
    pub(crate) fn asked(&self) -> Vec<Operation> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    behaviour: Arc<Behaviour>,
    asked: Arc<Mutex<Vec<Operation>>>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let operation = Operation::from_request(parts.uri.path(), parts.uri.query()).unwrap();
    asked.lock().unwrap().push(operation);
    let (status, body) = behaviour(operation, &body);
    (StatusCode::from_u16(status).unwrap(), [("x-request-id", "req-1")], body).into_response()
}

/// A trust domain of its own, `spike.ist`.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = vec![uri("spiffe://spike.ist")];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The identity of a role.
    pub(crate) fn source(&self, role: Role) -> SvidSource {
        self.source_of(&TrustRootsByRole::default().of(role).ids(role).next().unwrap())
    }

    /// Any identity.
    pub(crate) fn source_of(&self, id: &str) -> SvidSource {
        self.source_with(id, CertificateParams::default())
    }

    /// The identity of a role, with an SVID between these times.
    pub(crate) fn source_between(
        &self,
        role: Role,
        not_before: OffsetDateTime,
        not_after: OffsetDateTime,
    ) -> SvidSource {
        let id = TrustRootsByRole::default().of(role).ids(role).next().unwrap();
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (not_before, not_after);
        self.source_with(&id, params)
    }

    /// An identity of this authority that trusts only `other`.
    pub(crate) fn source_trusting(&self, role: Role, other: &Self) -> SvidSource {
        let id = TrustRootsByRole::default().of(role).ids(role).next().unwrap();
        self.signed(&id, CertificateParams::default(), other)
    }

    fn source_with(&self, id: &str, params: CertificateParams) -> SvidSource {
        self.signed(id, params, self)
    }

    fn signed(&self, id: &str, mut params: CertificateParams, trusted: &Self) -> SvidSource {
        let key = KeyPair::generate().unwrap();
        params.subject_alt_names = vec![uri(id)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let domain = TrustDomain::new("spike.ist").unwrap();
        let bundle = [(domain, vec![trusted.0.der().to_vec()])];
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let id = SpiffeId::new(id).unwrap();
        SvidSource::fixed(Material::from_der(id, chain, &key, bundle).unwrap())
    }
}

fn uri(id: &str) -> SanType {
    SanType::URI(id.try_into().unwrap())
}
