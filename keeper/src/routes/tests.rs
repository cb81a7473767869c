use std::{
    collections::HashSet,
    fs::File,
    io::{Read as _, pipe},
    os::fd::OwnedFd,
    time::Duration,
};

use ::http::Request;
use ::http::{Method, header};
use axum::{body::Body, response::Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use spike_daemon::{
    audit::AuditLog,
    http::{BodyLimits, RequestLimits, RequestMetrics},
    limit::Rate,
};
use spike_domain::TrustRootsByRole;
use spike_mtls::budget::Bounds;

use super::*;

mod dropped;

const NEXUS: &str = "spiffe://spike.ist/spike/nexus";
const NEXUS_POD: &str = "spiffe://spike.ist/spike/nexus/spike-nexus-0";
const BOOTSTRAP: &str = "spiffe://spike.ist/spike/bootstrap";
const PILOT: &str = "spiffe://spike.ist/spike/pilot/role/superuser";

const CONTRIBUTE: &str = "/v1/store/contribute";
const SHARD: &str = "/v1/store/shard";
const STATUS: &str = "/v1/store/status";
/// The share of the example in wire-api 8.
const SHARE: [u8; 32] = [
    212, 60, 38, 23, 32, 123, 232, 218, 248, 14, 70, 44, 251, 98, 219, 57, 241, 124, 44, 7, 251,
    246, 123, 17, 84, 33, 159, 45, 83, 39, 226, 56,
];

/// A Keeper and the other end of its audit log.
struct Subject {
    app: App,
    keeper: Arc<Keeper>,
    audit: std::io::PipeReader,
}

impl Subject {
    fn new() -> Self {
        let (audit, writer) = pipe().unwrap();
        let limits = RequestLimits {
            body: BodyLimits { bytes: 1024, time: Duration::from_mins(1) },
            in_flight: Bounds::NONE,
            memory: Bounds::NONE,
            denials: Rate { per_second: 0, burst: 0 },
        };
        let log = AuditLog::to_file(File::from(OwnedFd::from(writer))).unwrap();
        let labels = KeeperOperation::ALL.iter().copied().map(KeeperOperation::label);
        let frame = Frame::new(log, RequestMetrics::new(labels), limits);
        let keeper = Arc::new(Keeper::new(Arc::new(TrustRootsByRole::default()), frame));
        Self { app: app(&keeper), keeper, audit }
    }

    async fn send(&self, who: &str, request: Request<Body>) -> Response {
        let mut request = request;
        request.headers_mut().insert(header::HOST, "keeper:8443".parse().unwrap());
        self.app.connect(Peer::unverified(who))(request).await
    }

    /// A POST: its status and its body as text.
    async fn post(&self, who: &str, target: &str, body: &str) -> (u16, String) {
        let request = Request::post(target).body(Body::from(body.to_owned())).unwrap();
        let response = self.send(who, request).await;
        let status = response.status().as_u16();
        (status, text(response).await)
    }

    /// The audit lines so far; ends the log.
    fn audit_lines(self) -> Vec<Value> {
        let Self { app, keeper, mut audit } = self;
        drop((app, keeper));
        let mut text = String::new();
        audit.read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn contribution(share: &[u8]) -> String {
    json!({ "shard": share }).to_string()
}

fn held(share: &[u8]) -> (u16, String) {
    (200, format!(r#"{{"shard":{},"Err":""}}"#, json!(share)))
}

fn refused() -> (u16, String) {
    (400, r#"{"err":"api_bad_request"}"#.to_owned())
}

fn no_share() -> (u16, String) {
    (400, r#"{"shard":null,"Err":"api_bad_request"}"#.to_owned())
}

#[tokio::test]
async fn an_empty_keeper_answers_400_and_never_200_with_a_null_share() {
    // Upstream's Nexus crashes on a null share (Q-11).
    let keeper = Subject::new();
    assert_eq!(keeper.post(NEXUS, SHARD, "{}").await, no_share());
}

#[tokio::test]
async fn a_share_from_bootstrap_or_nexus_is_returned_to_nexus() {
    for giver in [BOOTSTRAP, NEXUS, NEXUS_POD, "spiffe://spike.ist/spike/bootstrap/pod"] {
        let keeper = Subject::new();
        let taken = keeper.post(giver, CONTRIBUTE, &contribution(&SHARE)).await;
        assert_eq!(taken, (200, "{}".to_owned()), "{giver}");
        assert_eq!(keeper.post(NEXUS_POD, SHARD, "{}").await, held(&SHARE), "{giver}");
    }
}

#[tokio::test]
async fn only_nexus_may_ask_for_the_share() {
    // Only Nexus may request the share (wire-api 15, row 39).
    let keeper = Subject::new();
    keeper.post(BOOTSTRAP, CONTRIBUTE, &contribution(&SHARE)).await;
    let denied = (401, r#"{"shard":null,"Err":"access_unauthorized"}"#.to_owned());
    assert_eq!(keeper.post(BOOTSTRAP, SHARD, "{}").await, denied);
    // TLS refuses this peer (row 40), and so does the route.
    assert_eq!(keeper.post(PILOT, SHARD, "{}").await, denied);
    let denied = (401, r#"{"err":"access_unauthorized"}"#.to_owned());
    assert_eq!(keeper.post(PILOT, CONTRIBUTE, &contribution(&[1; 32])).await, denied);
    assert_eq!(keeper.post(NEXUS, SHARD, "{}").await, held(&SHARE));
}

#[tokio::test]
async fn what_is_no_share_is_refused_and_the_held_one_stays() {
    // Upstream refuses some of these (row 42), and accepts short and long lists (row 41) and values of the group order
    // and above, on which its Nexus crashes (F4).
    let order = "255,255,255,255,0,0,0,0,255,255,255,255,255,255,255,255,\
                 188,230,250,173,167,23,158,132,243,185,202,194,252,99,37,81";
    let keeper = Subject::new();
    keeper.post(NEXUS, CONTRIBUTE, &contribution(&SHARE)).await;
    let bad = [
        r#"{"shard":"AAAA"}"#.to_owned(),
        r#"{"shard":[256]}"#.to_owned(),
        r#"{"shard":[-1]}"#.to_owned(),
        r#"{"shard":[1.0]}"#.to_owned(),
        r#"{"shard":null}"#.to_owned(),
        contribution(&[0; 32]),
        r#"{"shard":[7]}"#.to_owned(),
        contribution(&[7; 31]),
        contribution(&[7; 33]),
        contribution(&[255; 32]),
        format!(r#"{{"shard":[{order}]}}"#),
        "{}".to_owned(),
        "null".to_owned(),
        String::new(),
        "[]".to_owned(),
        "{".to_owned(),
    ];
    for body in bad {
        assert_eq!(keeper.post(BOOTSTRAP, CONTRIBUTE, &body).await, refused(), "{body}");
        assert_eq!(keeper.post(NEXUS, SHARD, "{}").await, held(&SHARE), "{body}");
    }
}

#[tokio::test]
async fn another_share_replaces_the_held_one_and_is_counted() {
    let keeper = Subject::new();
    let mut registry = prometheus_client::registry::Registry::default();
    keeper.keeper.register(&mut registry);
    let metrics = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    };
    assert!(metrics().contains("share_present 0\n"), "{}", metrics());
    for (share, replacements) in [(SHARE, 0), (SHARE, 0), ([9; 32], 1), (SHARE, 2)] {
        let taken = keeper.post(NEXUS, CONTRIBUTE, &contribution(&share)).await;
        assert_eq!(taken, (200, "{}".to_owned()));
        assert_eq!(keeper.post(NEXUS, SHARD, "{}").await, held(&share));
        let expected = format!("share_replacements_total {replacements}\n");
        assert!(metrics().contains(&expected), "{}", metrics());
    }
    assert!(metrics().contains("share_present 1\n"), "{}", metrics());
    let counted = r#"requests_total{route="keeper_shard",status="200",role="nexus"} 4"#;
    assert!(metrics().contains(counted), "{}", metrics());
}

/// A process with Bootstrap's SVID could overwrite every share while Nexus restarted.
#[tokio::test]
async fn bootstrap_fills_an_empty_keeper_and_replaces_no_share() {
    let keeper = Subject::new();
    let ok = (200, "{}".to_owned());
    for _ in 0..2 {
        assert_eq!(keeper.post(BOOTSTRAP, CONTRIBUTE, &contribution(&SHARE)).await, ok);
    }
    let (status, body) = keeper.post(BOOTSTRAP, CONTRIBUTE, &contribution(&[9; 32])).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["err"]), (409, &json!("entity_exists")));
    let reason = body["reason"].as_str().unwrap();
    assert!(reason.contains("only Nexus may replace it"), "{reason}");
    assert_eq!(keeper.post(NEXUS, SHARD, "{}").await, held(&SHARE));
    // Nexus may replace it, and Bootstrap still may not.
    assert_eq!(keeper.post(NEXUS, CONTRIBUTE, &contribution(&[9; 32])).await, ok);
    assert_eq!(keeper.post(BOOTSTRAP, CONTRIBUTE, &contribution(&SHARE)).await.0, 409);
    assert_eq!(keeper.post(NEXUS, SHARD, "{}").await, held(&[9; 32]));
}

#[tokio::test]
async fn bootstrap_and_nexus_learn_whether_there_is_a_share_and_nobody_learns_which() {
    let keeper = Subject::new();
    let mut processes = HashSet::new();
    for filled in [false, true] {
        for who in [BOOTSTRAP, NEXUS, NEXUS_POD] {
            let (status, body) = keeper.post(who, STATUS, "{}").await;
            let mut body: Value = serde_json::from_str(&body).unwrap();
            assert!(body["started"].take().is_string(), "{who}: {body}");
            let version = spike_daemon::VERSION;
            let told =
                json!({"filled": filled, "version": version, "started": null, "process": null});
            processes.insert(body["process"].take().as_str().unwrap().to_owned());
            assert_eq!((status, body), (200, told), "{who}");
        }
        let denied = (401, r#"{"err":"access_unauthorized"}"#.to_owned());
        assert_eq!(keeper.post(PILOT, STATUS, "{}").await, denied);
        assert_eq!(keeper.post(BOOTSTRAP, STATUS, "[]").await, refused());
        keeper.post(BOOTSTRAP, CONTRIBUTE, &contribution(&SHARE)).await;
    }
    let (_, other) = Subject::new().post(NEXUS, STATUS, "{}").await;
    let other: Value = serde_json::from_str(&other).unwrap();
    processes.insert(other["process"].as_str().unwrap().to_owned());
    assert_eq!(processes.len(), 2, "each process has one name of its own: {processes:?}");
}

#[tokio::test]
async fn json_is_read_as_go_reads_it() {
    // Unknown keys, case, duplicates, null bodies (wire-api 4.2).
    let keeper = Subject::new();
    let list = json!(SHARE);
    for body in [
        format!(r#"{{"SHARD":{list},"more":[1,{{}}]}}"#),
        format!(r#" {{"shard":[1,2],"shard":{list}}} "#),
    ] {
        assert_eq!(keeper.post(NEXUS, CONTRIBUTE, &body).await.0, 200, "{body}");
    }
    for (body, answer) in [
        ("null", held(&SHARE)),
        (r#"{"x":1}"#, held(&SHARE)),
        ("", no_share()),
        ("[]", no_share()),
        ("{} {}", no_share()),
    ] {
        assert_eq!(keeper.post(NEXUS, SHARD, body).await, answer, "{body}");
    }
}

#[tokio::test]
async fn a_malformed_body_is_reported_before_a_missing_permission() {
    // The order of checks is upstream's (wire-api 4.3).
    let keeper = Subject::new();
    assert_eq!(keeper.post(BOOTSTRAP, SHARD, "{").await, no_share());
    assert_eq!(keeper.post(PILOT, CONTRIBUTE, "{").await, refused());
    assert_eq!(keeper.post(PILOT, CONTRIBUTE, r#"{"shard":[7]}"#).await.0, 401);
}

#[tokio::test]
async fn a_request_without_a_route_gets_the_fallback() {
    let keeper = Subject::new();
    keeper.post(NEXUS, CONTRIBUTE, &contribution(&SHARE)).await;
    for target in ["/", "/v1/store/shards", "/v1/store/shard/", "/v1/store/shard?action=get"] {
        assert_eq!(keeper.post(NEXUS, target, "{}").await, refused(), "{target}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::from_bytes(b"FOO").unwrap()] {
        let request = Request::builder().method(&method).uri(SHARD).body(Body::empty()).unwrap();
        let response = keeper.send(NEXUS, request).await;
        assert_eq!((response.status().as_u16(), text(response).await), refused(), "{method}");
    }
    assert_eq!(keeper.post(NEXUS, "/v1/store/shar%64?action=", "{}").await, held(&SHARE));
}

#[tokio::test]
async fn an_unclean_path_is_redirected() {
    let keeper = Subject::new();
    let request = Request::post("/v1//store/shard").body(Body::from("{}")).unwrap();
    let response = keeper.send(NEXUS, request).await;
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.headers()[header::LOCATION], SHARD);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let keeper = Subject::new();
    let answer = keeper.post(NEXUS, CONTRIBUTE, &" ".repeat(1025)).await;
    let reason = "the body is larger than 1024 bytes (SPIKE_HTTP_SERVER_MAX_BODY_SIZE)";
    assert_eq!(answer, (413, format!(r#"{{"err":"api_bad_request","reason":"{reason}"}}"#)));
}

#[tokio::test]
async fn answers_forbid_caches_and_name_their_request() {
    let keeper = Subject::new();
    let request = Request::post(SHARD).body(Body::from("{}")).unwrap();
    let response = keeper.send(NEXUS, request).await;
    let headers = response.headers().clone();
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store, no-cache, must-revalidate, private"),
        ("pragma", "no-cache"),
        ("expires", "0"),
    ] {
        assert_eq!(headers[name], value);
    }
    let lines = keeper.audit_lines();
    assert_eq!(headers["x-request-id"], *lines[0]["audit"]["TrailID"].as_str().unwrap());
}

#[tokio::test]
async fn every_request_leaves_one_audit_line_with_caller_and_outcome_and_without_the_share() {
    let keeper = Subject::new();
    keeper.post(BOOTSTRAP, CONTRIBUTE, &contribution(&SHARE)).await;
    keeper.post(NEXUS, SHARD, "{}").await;
    keeper.post(BOOTSTRAP, SHARD, "{}").await;
    keeper.post(BOOTSTRAP, CONTRIBUTE, &contribution(&SHARE[..31])).await;
    keeper.post(NEXUS, "/v1/elsewhere", "{}").await;
    let lines = keeper.audit_lines();
    let recorded: Vec<Value> = lines
        .iter()
        .map(|line| {
            let audit = &line["audit"];
            json!([
                audit["Component"],
                audit["Action"],
                audit["UserID"],
                audit["State"],
                audit["Status"]
            ])
        })
        .collect();
    let (done, not) = ("audit-success", "audit-errored");
    assert_eq!(
        recorded,
        [
            json!(["RouteContribute", "create", BOOTSTRAP, done, 200]),
            json!(["RouteShard", "read", NEXUS, done, 200]),
            json!(["RouteShard", "read", BOOTSTRAP, not, 401]),
            json!(["RouteContribute", "create", BOOTSTRAP, not, 400]),
            json!(["", "fallback", NEXUS, not, 400]),
        ]
    );
    let reason = "[api_bad_request] the share has 31 elements: expected 32 numbers";
    assert_eq!(lines[3]["audit"]["Err"], reason);
    assert!(lines.iter().all(|line| !line.to_string().contains("212,60,38")), "{lines:?}");
}

#[tokio::test]
async fn a_request_whose_audit_line_cannot_be_written_fails() {
    let Subject { app, keeper, audit } = Subject::new();
    drop(audit);
    let keeper = Subject { app, keeper, audit: pipe().unwrap().0 };
    let answer = keeper.post(NEXUS, SHARD, "{}").await;
    assert_eq!(answer, (500, r#"{"shard":null,"Err":"api_internal_error"}"#.to_owned()));
}

#[test]
fn the_share_check_names_what_the_keeper_waits_for() {
    let keeper = Subject::new().keeper;
    assert_eq!(keeper.check().unwrap_err(), "no share yet: waiting for Bootstrap or Nexus");
    let nexus = Peer::unverified(NEXUS);
    keeper.contribute(&nexus, &spike_wire::Shard::new(&SHARE)).unwrap();
    assert_eq!(keeper.check(), Ok(()));
    keeper.wipe();
    assert!(keeper.check().is_err());
}
