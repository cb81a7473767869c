//! Against a small server that answers as the API server does.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::super::{
    Marker,
    claim::{ClaimResult, Watch, in_config_map},
};
use super::*;

const NAME: &str = "spike-bootstrap-state";

/// One namespace with room for one ConfigMap; and what is answered instead, by verb.
#[derive(Default)]
struct Server {
    kept: Option<Value>,
    version: u64,
    /// What the next calls are answered, whatever they are; the last one first.
    hiccups: Vec<(u16, Value)>,
    get: Option<(u16, Value)>,
    create: Option<(u16, Value)>,
    update: Option<(u16, Value)>,
    verbs: Vec<&'static str>,
}

type Shared = Arc<Mutex<Server>>;

const QUICK: Retry =
    Retry { attempts: Some(3), limit: None, pauses: (Duration::ZERO, Duration::ZERO) };

fn status(code: u16, reason: &str) -> (u16, Value) {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("configmaps: {reason}"), "reason": reason, "code": code,
    });
    (code, body)
}

fn answer((code, body): (u16, Value)) -> Response {
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}

async fn read(State(server): State<Shared>, Path((ns, name)): Path<(String, String)>) -> Response {
    assert_eq!((ns.as_str(), name.as_str()), ("team-a", NAME));
    let mut server = server.lock().unwrap();
    server.verbs.push("get");
    if let Some(hiccup) = server.hiccups.pop() {
        return answer(hiccup);
    }
    let kept = server.kept.clone().map_or_else(|| status(404, "NotFound"), |map| (200, map));
    answer(server.get.clone().unwrap_or(kept))
}

async fn create(State(server): State<Shared>, Json(map): Json<Value>) -> Response {
    let mut server = server.lock().unwrap();
    server.verbs.push("create");
    let hiccup = server.hiccups.pop();
    if let Some(refusal) = hiccup.or_else(|| server.create.clone()) {
        return answer(refusal);
    }
    if server.kept.is_some() {
        return answer(status(409, "AlreadyExists"));
    }
    answer((201, server.keep(map)))
}

async fn update(State(server): State<Shared>, Json(map): Json<Value>) -> Response {
    let mut server = server.lock().unwrap();
    server.verbs.push("update");
    let hiccup = server.hiccups.pop();
    if let Some(refusal) = hiccup.or_else(|| server.update.clone()) {
        return answer(refusal);
    }
    let version = |map: &Value| map["metadata"]["resourceVersion"].clone();
    let wanted = version(&map);
    if !wanted.is_null() && Some(wanted) != server.kept.as_ref().map(version) {
        return answer(status(409, "Conflict"));
    }
    answer((200, server.keep(map)))
}

impl Server {
    fn keep(&mut self, mut map: Value) -> Value {
        self.version += 1;
        map["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.kept = Some(map.clone());
        map
    }

    fn data(&self) -> Value {
        self.kept.as_ref().map(|map| map["data"].clone()).unwrap_or_default()
    }
}

/// A marker and the server behind it. The namespace file ends with a newline, as a careless mount may have it.
async fn marker(server: Server) -> (ConfigMapMarker, Shared) {
    let shared = Arc::new(Mutex::new(server));
    let app = Router::new()
        .route("/api/v1/namespaces/{ns}/configmaps/{name}", get(read).put(update))
        .route("/api/v1/namespaces/{ns}/configmaps", post(create))
        .with_state(Arc::clone(&shared));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (ConfigMapMarker::at(&config(&address.to_string()), NAME, QUICK).unwrap(), shared)
}

fn config(address: &str) -> Config {
    let mut config = Config::new(format!("http://{address}").parse().unwrap());
    // The server speaks no TLS, and a minimal system has no certificates of authorities.
    config.root_cert = Some(Vec::new());
    config.default_namespace = "team-a\n".to_owned();
    config
}

#[tokio::test]
async fn where_there_is_no_config_map_nothing_was_done() {
    let (marker, _) = marker(Server::default()).await;
    assert_eq!(marker.read().await.unwrap(), None);
}

#[tokio::test]
async fn what_was_written_has_upstreams_keys_and_is_read_again() {
    let (marker, server) = marker(Server::default()).await;
    let completion = Completion::now(Some("pod-1"));
    marker.write(&completion).await.unwrap();
    assert_eq!(marker.read().await.unwrap(), Some(completion));
    let kept = server.lock().unwrap().kept.clone().unwrap();
    assert_eq!(kept["kind"], "ConfigMap");
    assert_eq!(kept["metadata"]["name"], NAME);
    assert_eq!(kept["data"]["bootstrap-completed"], "true");
    assert_eq!(kept["data"]["completed-by-pod"], "pod-1");
    let at = kept["data"]["completed-at"].as_str().unwrap();
    assert!(at.len() == "2026-01-01T00:00:00Z".len() && at.ends_with('Z'), "{at}");
    assert_eq!(server.lock().unwrap().verbs, ["create", "get"]);
}

#[tokio::test]
async fn one_that_exists_is_replaced() {
    let old = json!({ "metadata": { "name": NAME }, "data": { "bootstrap-completed": "false" } });
    let (marker, server) = marker(Server { kept: Some(old), ..Server::default() }).await;
    assert_eq!(marker.read().await.unwrap(), None, "false is not done");
    marker.write(&Completion::now(None)).await.unwrap();
    assert!(marker.read().await.unwrap().is_some());
    assert_eq!(server.lock().unwrap().verbs, ["get", "create", "update", "get"]);
}

#[tokio::test]
async fn one_that_may_be_updated_but_not_created_is_updated() {
    let refused = Server { create: Some(status(403, "Forbidden")), ..Server::default() };
    let (marker, server) = marker(refused).await;
    marker.write(&Completion::now(None)).await.unwrap();
    assert!(server.lock().unwrap().kept.is_some());
}

#[tokio::test]
async fn only_not_found_means_not_done() {
    // F18: upstream takes every failure for "not done", and makes another key.
    let proxy = (404, json!("no such page"));
    for answer in [status(403, "Forbidden"), status(401, "Unauthorized"), status(500, "x"), proxy] {
        let server = Server { get: Some(answer.clone()), ..Server::default() };
        let (marker, _) = marker(server).await;
        let error = marker.read().await.unwrap_err().to_string();
        assert!(
            error.starts_with("cannot read ConfigMap team-a/spike-bootstrap-state: "),
            "{error}"
        );
        assert!(error.contains(&answer.0.to_string()), "{error}");
    }
    // Nothing listens on a port that was released.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let marker = ConfigMapMarker::at(&config(&address.to_string()), NAME, QUICK).unwrap();
    assert!(matches!(marker.read().await, Err(ConfigMapError::Read { .. })));
}

#[tokio::test]
async fn one_that_can_be_neither_created_nor_updated_is_an_error_with_both_reasons() {
    let (create, update) = (Some(status(403, "Forbidden")), Some(status(500, "InternalError")));
    let (marker, _) = marker(Server { create, update, ..Server::default() }).await;
    let error = marker.write(&Completion::now(None)).await.unwrap_err().to_string();
    assert!(error.contains("403 Forbidden") && error.contains("500 InternalError"), "{error}");
}

#[tokio::test]
async fn a_service_account_without_a_namespace_means_the_namespace_of_upstream() {
    let mut config = config("127.0.0.1:1");
    config.default_namespace = "\n".to_owned();
    let marker = ConfigMapMarker::at(&config, NAME, QUICK).unwrap();
    assert_eq!(marker.to_string(), "ConfigMap spike/spike-bootstrap-state");
}

#[tokio::test]
async fn a_pod_without_a_service_account_cannot_tell_and_says_so() {
    // There is no service account in tests; upstream would take that for "done".
    let error = ConfigMapMarker::in_cluster(NAME).unwrap_err();
    assert!(matches!(error, ConfigMapError::NoServiceAccount(_)), "{error}");
}

/// 429 and 503 were tried again for minutes without a word, and 500 not at all.
#[tokio::test]
async fn what_may_pass_is_tried_again_a_few_times_and_no_more() {
    for code in [429, 500, 502, 503] {
        let (hiccup, kept) = (status(code, "Hiccup"), Completion::now(None));
        let hiccups = vec![hiccup.clone(); 2];
        let (marker, server) = marker(Server { hiccups, ..Server::default() }).await;
        assert!(marker.put(Some(&claim("one")), None).await.unwrap(), "{code}");
        marker.write(&kept).await.unwrap();
        server.lock().unwrap().hiccups = vec![hiccup.clone(); 2];
        assert_eq!(marker.read().await.unwrap(), Some(kept), "{code}");

        server.lock().unwrap().get = Some(hiccup);
        server.lock().unwrap().verbs.clear();
        let error = marker.read().await.unwrap_err().to_string();
        assert!(error.contains(&format!("{code} Hiccup")), "{error}");
        assert!(error.ends_with("(3 attempts)"), "{error}");
        assert_eq!(server.lock().unwrap().verbs, ["get"; 3], "{code}");
    }
    // A right that is missing does not come by itself.
    let (marker, server) =
        marker(Server { get: Some(status(403, "Forbidden")), ..Server::default() }).await;
    marker.read().await.unwrap_err();
    assert_eq!(server.lock().unwrap().verbs, ["get"]);
}

const BRIEF: Watch = Watch { pause: Duration::from_millis(1), limit: Duration::from_millis(50) };
const LONG: Watch = Watch { pause: Duration::from_millis(1), limit: Duration::from_mins(10) };

fn claim(id: &str) -> Claim {
    Claim { id: id.to_owned(), by: Some(format!("pod-{id}")) }
}

#[tokio::test]
async fn a_claim_is_no_completion_and_upstreams_bootstrap_reads_it_as_not_done() {
    let (marker, server) = marker(Server::default()).await;
    let claimed = in_config_map(&marker, claim("one"), LONG).await.unwrap();
    assert!(matches!(claimed, ClaimResult::Mine(_)));
    assert_eq!(marker.read().await.unwrap(), None);
    let data = server.lock().unwrap().data();
    let expected =
        json!({"bootstrap-completed": "false", "claim": "one", "claimed-by-pod": "pod-one"});
    assert_eq!(data, expected);
    marker.write(&Completion::now(None)).await.unwrap();
    assert!(marker.read().await.unwrap().is_some());
}

/// Two Bootstraps at the same time made a key each, and Keepers got shares of both.
#[tokio::test]
async fn of_two_bootstraps_one_waits_for_the_other_and_finds_the_work_done() {
    let (marker, server) = marker(Server::default()).await;
    in_config_map(&marker, claim("one"), LONG).await.unwrap();
    let waiting = in_config_map(&marker, claim("two"), LONG);
    let working = async {
        while server.lock().unwrap().verbs.len() < 8 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(server.lock().unwrap().data()["claim"], "one");
        marker.write(&Completion::now(Some("pod-one"))).await.unwrap();
    };
    let (waited, ()) = tokio::join!(waiting, working);
    assert!(matches!(waited.unwrap(), ClaimResult::Done));
}

#[tokio::test]
async fn a_claim_whose_bootstrap_has_died_is_taken_over_and_the_dead_one_would_notice() {
    let (marker, _) = marker(Server::default()).await;
    let held = in_config_map(&marker, claim("one"), LONG).await.unwrap();
    let ClaimResult::Mine(first) = held else { panic!("not mine") };
    let taken = in_config_map(&marker, claim("two"), BRIEF).await.unwrap();
    let ClaimResult::Mine(second) = taken else { panic!("not mine") };
    let marker = Marker::ConfigMap(Box::new(marker));
    assert!(!marker.still_holds(&first).await.unwrap());
    assert!(marker.still_holds(&second).await.unwrap());
    // What it gives back is not its own any more.
    marker.give_back(first).await;
    assert!(marker.still_holds(&second).await.unwrap());
}

#[tokio::test]
async fn a_claim_that_was_given_back_is_had_at_once() {
    let (marker, server) = marker(Server::default()).await;
    let ClaimResult::Mine(held) = in_config_map(&marker, claim("one"), LONG).await.unwrap() else {
        panic!("not mine")
    };
    let marker = Marker::ConfigMap(Box::new(marker));
    marker.give_back(held).await;
    assert_eq!(server.lock().unwrap().data(), json!({"bootstrap-completed": "false"}));
    let Marker::ConfigMap(marker) = marker else { panic!("another marker") };
    let again = in_config_map(&marker, claim("two"), LONG).await.unwrap();
    assert!(matches!(again, ClaimResult::Mine(_)));
}

/// A marker whose server sends `head` and then `piece` again and again, 64 MiB in all.
async fn endless(head: &'static [u8], piece: &'static [u8]) -> ConfigMapMarker {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _request = stream.read(&mut [0; 4096]).await?;
                stream.write_all(head).await?;
                let pieces = piece.repeat(64 << 10);
                for _ in 0..(64 << 20) / pieces.len() {
                    stream.write_all(&pieces).await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    ConfigMapMarker::at(&config(&address.to_string()), NAME, QUICK).unwrap()
}

/// They were read for as long as they came, and the body was kept in memory.
#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let interim = endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n").await;
    let body = endless(b"HTTP/1.1 200 OK\r\n\r\n", b"{ \"data\": ").await;
    for marker in [interim, body] {
        let error = marker.read().await.unwrap_err().to_string();
        assert!(error.contains("the server sent more than"), "{error}");
    }
}
