//! A server that answers for one ConfigMap like the API server of Kubernetes. It makes Bootstrap run like a pod, with a service
//! account where a kubelet would have put one.

use std::{
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::{Path as Route, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve,
};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    process::Command,
    task::AbortHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{Credential, crew::Crew};

/// The ConfigMap of Bootstrap, unless a setting says otherwise.
const NAME: &str = "spike-bootstrap-state";
const NAMESPACE: &str = "team-a";
const TOKEN: &str = "token-of-the-service-account";

/// The settings that tell a process that it runs in Kubernetes, and as which pod.
pub type PodSettings = [(&'static str, String); 3];

/// The server. It ends when this is dropped.
#[derive(Debug)]
pub struct KubeApi {
    shared: Arc<Mutex<Shared>>,
    address: SocketAddr,
    /// Where the pod finds its service account.
    account: PathBuf,
    task: AbortHandle,
}

/// The ConfigMap, and the requests for it.
#[derive(Debug, Default)]
struct Shared {
    kept: Option<Value>,
    version: u64,
    token: String,
    forbidden: Vec<&'static str>,
    /// What the next calls of a verb are answered, whatever they ask for.
    hiccups: Vec<(&'static str, (u16, &'static str))>,
    pace: Pace,
    verbs: Vec<&'static str>,
}

/// How long calls take.
#[derive(Debug, Default)]
struct Pace {
    every: Duration,
    /// The next one alone.
    next: Option<Duration>,
}

impl KubeApi {
    /// Serves with a certificate of the crew's authority, and puts a service account where the crew's Bootstrap finds it. `None`
    /// if this machine does not permit mount namespaces.
    ///
    /// # Errors
    /// If it cannot listen, or the service account cannot be written.
    pub async fn serve(crew: &Crew) -> Result<Option<Self>> {
        let may = Command::new("unshare").args(["--mount", "true"]).status().await;
        if !may.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        let ca = crew.ca();
        let id = crew.spiffe_id("/kube-apiserver")?;
        let credential = Credential::named(ca, id, &["localhost"], Duration::from_hours(1))?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(credential.chain(), credential.key())?;
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let address = tcp.local_addr()?;
        let shared = Shared { token: TOKEN.to_owned(), ..Shared::default() };
        let shared = Arc::new(Mutex::new(shared));
        let app = Router::new()
            .route("/api/v1/namespaces/{namespace}/configmaps/{name}", get(read).put(update))
            .route("/api/v1/namespaces/{namespace}/configmaps", post(create))
            .layer(from_fn_with_state(Arc::clone(&shared), take_time))
            .with_state(Arc::clone(&shared));
        let listener = TlsListener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let task = tokio::spawn(async move { serve(listener, app).await }).abort_handle();
        let account = move_into_a_pod(crew, ca.root_pem()).await?;
        Ok(Some(Self { shared, address, account, task }))
    }

    /// The variables that a kubelet adds to the environment of this pod.
    pub fn pod(&self, name: &str) -> PodSettings {
        [
            ("KUBERNETES_SERVICE_HOST", "localhost".to_owned()),
            ("KUBERNETES_SERVICE_PORT", self.address.port().to_string()),
            ("HOSTNAME", name.to_owned()),
        ]
    }

    /// The data of the ConfigMap; `null` if there is none.
    pub fn data(&self) -> Value {
        let shared = lock(&self.shared);
        shared.kept.as_ref().and_then(|map| map.get("data")).cloned().unwrap_or_default()
    }

    /// Creates or replaces the ConfigMap with this data.
    pub fn put(&self, data: &Value) {
        lock(&self.shared).keep(json!({ "metadata": { "name": NAME }, "data": data }));
    }

    /// Removes the ConfigMap, as in a namespace that was restored.
    pub fn lose(&self) {
        lock(&self.shared).kept = None;
    }

    /// Takes the right to these verbs from the service account.
    pub fn forbid(&self, verbs: &[&'static str]) {
        lock(&self.shared).forbidden = verbs.to_vec();
    }

    /// The next calls of this verb, as many as there are answers, get these, and do nothing.
    pub fn answer_next(&self, verb: &'static str, answers: &[(u16, &'static str)]) {
        lock(&self.shared).hiccups.extend(answers.iter().map(|answer| (verb, *answer)));
    }

    /// What is left of those answers is forgotten.
    pub fn answer_as_usual(&self) {
        lock(&self.shared).hiccups.clear();
    }

    /// Every call takes so long.
    pub fn slow(&self, pace: Duration) {
        lock(&self.shared).pace.every = pace;
    }

    /// The next call takes so long.
    pub fn stall(&self, pace: Duration) {
        lock(&self.shared).pace.next = Some(pace);
    }

    /// No other token than this is taken from now on.
    pub fn take_only(&self, token: &str) {
        token.clone_into(&mut lock(&self.shared).token);
    }

    /// The kubelet puts this token in the place of the one that the pod has.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn hand_out(&self, token: &str) -> Result<()> {
        // Beside it, and renamed, as a kubelet does: nobody reads half of one.
        let new = self.account.join(".token");
        fs::write(&new, token)?;
        Ok(fs::rename(new, self.account.join("token"))?)
    }

    /// The verbs of all requests so far.
    pub fn verbs(&self) -> Vec<&'static str> {
        lock(&self.shared).verbs.clone()
    }
}

impl Drop for KubeApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes Bootstrap run in a mount namespace of its own, with the service account at the path of a pod.
async fn move_into_a_pod(crew: &Crew, ca: &str) -> Result<PathBuf> {
    let account = crew.dir().join("service-account");
    fs::create_dir(&account)?;
    for (name, content) in [("ca.crt", ca), ("token", TOKEN), ("namespace", NAMESPACE)] {
        fs::write(account.join(name), content)?;
    }
    let script = r#"exec unshare --mount sh -c '
  run=$(readlink -f /var/run) && mount -t tmpfs tmpfs "$run" &&
  at=$run/secrets/kubernetes.io/serviceaccount && mkdir -p "$at" && mount --bind "$1" "$at" &&
  shift && exec "$@"
' pod "$ACCOUNT" "$PROGRAM" "$@""#;
    crew.wrap("bootstrap", &format!("ACCOUNT='{}'\n{script}", account.display())).await?;
    Ok(account)
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.tcp.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

type Held = Arc<Mutex<Shared>>;

async fn take_time(State(shared): State<Held>, request: Request, next: Next) -> Response {
    let pace = {
        let mut shared = lock(&shared);
        shared.pace.next.take().unwrap_or(shared.pace.every)
    };
    tokio::time::sleep(pace).await;
    next.run(request).await
}

async fn read(
    State(shared): State<Held>,
    Route((namespace, name)): Route<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut shared = lock(&shared);
    if let Some(refusal) = shared.refusal("get", &namespace, &headers) {
        return refusal;
    }
    let kept = shared.kept.clone().filter(|_| name == NAME);
    kept.map_or_else(|| status(404, "NotFound"), |map| answer(200, map))
}

async fn create(
    State(shared): State<Held>,
    Route(namespace): Route<String>,
    headers: HeaderMap,
    Json(map): Json<Value>,
) -> Response {
    let mut shared = lock(&shared);
    if let Some(refusal) = shared.refusal("create", &namespace, &headers) {
        return refusal;
    }
    if shared.kept.is_some() {
        return status(409, "AlreadyExists");
    }
    answer(201, shared.keep(map))
}

async fn update(
    State(shared): State<Held>,
    Route((namespace, _)): Route<(String, String)>,
    headers: HeaderMap,
    Json(map): Json<Value>,
) -> Response {
    let mut shared = lock(&shared);
    if let Some(refusal) = shared.refusal("update", &namespace, &headers) {
        return refusal;
    }
    let Some(kept) = &shared.kept else { return status(404, "NotFound") };
    let version = |map: &Value| map.pointer("/metadata/resourceVersion").cloned();
    if version(&map).is_some_and(|wanted| Some(wanted) != version(kept)) {
        return status(409, "Conflict");
    }
    answer(200, shared.keep(map))
}

impl Shared {
    /// Why the API server refuses a request, if it does.
    fn refusal(
        &mut self,
        verb: &'static str,
        namespace: &str,
        headers: &HeaderMap,
    ) -> Option<Response> {
        self.verbs.push(verb);
        let token = headers.get("authorization").and_then(|value| value.to_str().ok());
        if token != Some(&format!("Bearer {}", self.token)) {
            return Some(status(401, "Unauthorized"));
        }
        if let Some(next) = self.hiccups.iter().position(|(of, _)| *of == verb) {
            let (_, (code, reason)) = self.hiccups.remove(next);
            return Some(status(code, reason));
        }
        let is_forbidden = self.forbidden.contains(&verb) || namespace != NAMESPACE;
        is_forbidden.then(|| status(403, "Forbidden"))
    }

    fn keep(&mut self, mut map: Value) -> Value {
        self.version += 1;
        if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), json!(self.version.to_string()));
        }
        self.kept = Some(map.clone());
        map
    }
}

fn status(code: u16, reason: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("configmaps: {reason}"), "reason": reason, "code": code,
    });
    answer(code, body)
}

fn answer(code: u16, body: Value) -> Response {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, Json(body)).into_response()
}
