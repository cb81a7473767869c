//! The frame of requests, with a daemon that the path controls.

use std::{
    fs::File,
    io::{Read as _, pipe},
    os::fd::OwnedFd,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::{HeaderValue, StatusCode, Uri, Version, header, request, uri};
use bytes::Bytes;
use futures_util::poll;
use http_body_util::BodyExt;
use serde_json::Value;
use spike_mtls::{
    IdentityEnded, Peer,
    budget::{Bounds, Class},
};
use tokio::sync::Notify;

use super::*;
use crate::{audit::AuditLog, limit::Rate};

/// Its paths name what it does.
struct Daemon {
    frame: Arc<Frame>,
    changed: AtomicUsize,
    go_on: Notify,
    audit: Mutex<std::io::PipeReader>,
}

impl Daemon {
    fn new(in_flight: Bounds, memory: Bounds) -> Arc<Self> {
        let (audit, writer) = pipe().unwrap();
        let log = AuditLog::to_file(File::from(OwnedFd::from(writer))).unwrap();
        let body = BodyLimits { bytes: 1 << 20, time: Duration::from_mins(1) };
        let denials = Rate { per_second: 1, burst: 2 };
        let limits = RequestLimits { body, in_flight, memory, denials };
        let frame = Frame::new(log, RequestMetrics::new(["route"]), limits);
        let (changed, go_on) = (AtomicUsize::new(0), Notify::new());
        Arc::new(Self { frame, changed, go_on, audit: Mutex::new(audit) })
    }

    fn unlimited() -> Arc<Self> {
        Self::new(Bounds::NONE, Bounds::NONE)
    }

    /// The sender of a request that no connection brought.
    fn sender(&self) -> Arc<Sender> {
        let (frame, peer) = (Arc::clone(&self.frame), Peer::unverified("spiffe://a/b"));
        Arc::new(Sender { frame, peer, caller: Caller::WORKLOAD })
    }

    /// The next audit lines.
    fn lines(&self, count: usize) -> Vec<Value> {
        let mut audit = self.audit.lock().unwrap();
        let mut line = || {
            let mut line = Vec::new();
            let mut byte = [0];
            while byte != [b'\n'] {
                audit.read_exact(&mut byte).unwrap();
                line.push(byte[0]);
            }
            serde_json::from_slice::<Value>(&line).unwrap()["audit"].take()
        };
        (0..count).map(|_| line()).collect()
    }

    /// Which requests were counted.
    fn counted(&self) -> Vec<String> {
        self.samples("requests_total")
    }

    /// The samples of a metric.
    fn samples(&self, metric: &str) -> Vec<String> {
        let mut registry = prometheus_client::registry::Registry::default();
        self.frame.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.lines().filter(|line| line.starts_with(metric)).map(str::to_owned).collect()
    }
}

impl Service for Daemon {
    type Operation = ();
    type Error = FrameError;

    fn frame(&self) -> &Arc<Frame> {
        &self.frame
    }

    fn role(&self, _: &str) -> Option<Role> {
        None
    }

    fn operation(&self, exchange: &Exchange) -> Option<()> {
        exchange.is_post().then_some(())
    }

    fn names((): ()) -> Names {
        Names { label: "route", component: "handler", action: "act", changes: true }
    }

    async fn carry_out(
        self: &Arc<Self>,
        exchange: &Exchange,
        _: Option<()>,
        body: &mut RequestBody,
    ) -> Outcome<FrameError> {
        let path = exchange.path().unwrap_or_default();
        if path == "/denied" {
            // As daemons do: the body comes first.
            if let Err(error) =
                body.read(self.frame.body_limits(), || Ok::<_, FrameError>(())).await
            {
                return Outcome::without_subject(error);
            }
            return Outcome::without_subject(IdentityEnded::Expired.into());
        }
        let result = match path {
            "/panic" => panic!("a bug"),
            "/large" => Ok(Reply::ok(Bytes::from(vec![b'x'; 10_000]))),
            _ => body
                .read(self.frame.body_limits(), || Ok::<_, FrameError>(()))
                .await
                .map(|_| Reply::ok(Bytes::new())),
        };
        if path == "/change" {
            self.go_on.notified().await;
            self.changed.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        Outcome { result, subject: Some("what it is about".to_owned()) }
    }

    fn error_reply(_: Option<()>, error: &FrameError) -> Reply {
        let (status, _) = error.wire();
        Reply::new(status, Bytes::new()).retry_after(error.retry_after())
    }

    fn log_failure(&self, _: &Exchange, _: Option<()>, error: &FrameError) -> String {
        error.to_string()
    }

    fn is_denial(error: &FrameError) -> bool {
        matches!(error, FrameError::Identity(_))
    }

    fn is_unavailable(_: &FrameError) -> bool {
        false
    }

    fn frame_error(error: &FrameError) -> Option<&FrameError> {
        Some(error)
    }
}

fn post(target: &str) -> request::Builder {
    Request::post(target).header(header::HOST, "h")
}

fn send(daemon: &Arc<Daemon>, request: request::Builder) -> crate::serve::HandlerFuture {
    app(daemon).connect(Peer::unverified("spiffe://a/b"))(request.body(Body::empty()).unwrap())
}

#[tokio::test]
async fn a_change_whose_peer_has_gone_is_made_logged_and_counted() {
    for polls in 1..4 {
        let daemon = Daemon::unlimited();
        let mut answer = send(&daemon, post("/change"));
        for _ in 0..polls {
            assert!(poll!(&mut answer).is_pending());
        }
        drop(answer);
        daemon.go_on.notify_one();
        daemon.frame.tasks.close();
        daemon.frame.tasks.wait().await;
        assert_eq!(daemon.changed.load(Ordering::Relaxed), 1);
        let line = daemon.lines(1).remove(0);
        assert_eq!(line["Status"], 200);
        assert_eq!(line["Subject"], "what it is about");
        assert_eq!(
            daemon.counted(),
            [r#"requests_total{route="route",status="200",role="workload"} 1"#]
        );
    }
}

#[tokio::test]
async fn a_request_that_nobody_polls_has_a_line_too() {
    let daemon = Daemon::unlimited();
    let mut answer = send(&daemon, post("/"));
    // Begun and dropped at once.
    assert!(poll!(&mut answer).is_pending(), "its audit line is on its way");
    drop(answer);
    assert_eq!(daemon.lines(1)[0]["Status"], 200);
    let head = post("/x").body(()).unwrap().into_parts().0;
    drop(Exchange::begin(daemon.sender(), head));
    let line = daemon.lines(1).remove(0);
    assert_eq!((line["Status"].as_u64(), line["Path"].as_str()), (Some(499), Some("/x")));
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_500_and_has_a_line() {
    let daemon = Daemon::unlimited();
    let answer = send(&daemon, post("/panic")).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let line = daemon.lines(1).remove(0);
    assert_eq!(line["Err"], "the handler of the request panicked");
    assert_eq!(line["State"], "audit-errored");
    assert_eq!(daemon.samples("request_panics_total"), ["request_panics_total 1"]);
}

#[tokio::test]
async fn an_unclean_path_is_redirected_with_its_query() {
    let daemon = Daemon::unlimited();
    let answer = send(&daemon, post("/v1//store/x?action=get&y")).await;
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers()[header::LOCATION], "/v1/store/x?action=get&y");
    assert_eq!(daemon.lines(1)[0]["Status"], 307);
}

#[tokio::test]
async fn what_go_answers_by_itself_never_reaches_a_handler_and_has_its_line() {
    let without_host = Request::post("/v1/store/shard");
    let connect = Request::builder().method("CONNECT").uri("h:1").header("host", "h");
    let options = Request::options("*").header("host", "h");
    let no_path = Uri::from_parts(uri::Parts::default()).unwrap();
    let no_path = Request::post(no_path).version(Version::HTTP_2);
    let coded = |coding| post("/").header(header::TRANSFER_ENCODING, coding);
    let twice = coded("chunked").header(header::TRANSFER_ENCODING, "chunked");
    for (request, status) in [
        (without_host, 400),
        (connect, 404),
        (options, 200),
        (no_path, 400),
        (coded("identity, chunked"), 400),
        (coded("gzip"), 400),
        (twice, 400),
    ] {
        let daemon = Daemon::unlimited();
        assert_eq!(send(&daemon, request).await.status(), status);
        let line = daemon.lines(1).remove(0);
        assert_eq!(
            (line["Status"].as_u64(), line["Subject"].as_str()),
            (Some(status.into()), None)
        );
    }
}

#[tokio::test]
async fn a_head_over_64_kib_is_refused_and_one_of_64_kib_is_not() {
    let daemon = Daemon::unlimited();
    // The request line "POST / HTTP/1.1" with its end, and the fields "host: h" and "x: ..." with theirs.
    let around = 4 + 1 + 14 + (4 + 1 + 4) + (1 + 4);
    for (more, status) in [(0, 200), (1, 431)] {
        let value = "x".repeat(crate::serve::MAX_HEAD - around + more);
        let request = post("/").header("x", HeaderValue::from_str(&value).unwrap());
        assert_eq!(send(&daemon, request).await.status(), status);
    }
    assert_eq!(daemon.lines(2)[1]["Status"], 431);
}

#[tokio::test]
async fn a_head_of_many_fields_is_refused_and_a_large_one_is_not_held_while_the_body_comes() {
    let daemon = Daemon::unlimited();
    let with = |fields: usize| {
        (0..fields).fold(post("/"), |request, number| request.header(format!("x-{number}"), "v"))
    };
    // One more is the host.
    assert_eq!(send(&daemon, with(99)).await.status(), 200);
    assert_eq!(send(&daemon, with(100)).await.status(), 431);

    let (head, ()) = with(90).header(header::CONTENT_TYPE, "x/y").body(()).unwrap().into_parts();
    let mut exchange = Exchange::begin(daemon.sender(), head);
    exchange.drop_large_head();
    let kept: Vec<_> = exchange.headers().keys().map(ToString::to_string).collect();
    assert_eq!(kept, ["host", "content-type"]);
}

#[tokio::test]
async fn two_hosts_are_a_bad_request_and_a_long_path_is_not_sent_back() {
    let daemon = Daemon::unlimited();
    let two = post("/").header(header::HOST, "other");
    assert_eq!(send(&daemon, two).await.status(), 400);
    let long = send(&daemon, post(&format!("//{}", "a".repeat(60_000)))).await;
    assert!(!long.headers().contains_key(header::LOCATION));
}

#[tokio::test]
async fn over_the_limit_of_requests_in_flight_the_answer_is_429_and_operators_are_served() {
    let bounds = Bounds { all: 3, each: 1, reserve: 1 };
    let daemon = Daemon::new(bounds, Bounds::NONE);
    let first = send(&daemon, post("/")).await;
    let second = send(&daemon, post("/")).await;
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(second.headers()[header::RETRY_AFTER], "1");
    let operator = Peer::unverified_of("spiffe://a/operator", Class::Reserved);
    let request = post("/").body(Body::empty()).unwrap();
    assert_eq!(app(&daemon).connect(operator)(request).await.status(), StatusCode::OK);
    // The slot is held until the answer has been sent.
    drop(first);
    assert_eq!(send(&daemon, post("/")).await.status(), StatusCode::OK);
    assert_eq!(daemon.lines(4)[1]["Status"], 429);
}

#[tokio::test]
async fn answers_that_nobody_takes_are_bounded_and_the_line_says_what_was_answered() {
    let memory = Bounds { all: 15_000, each: 15_000, reserve: 0 };
    let daemon = Daemon::new(Bounds::NONE, memory);
    let first = send(&daemon, post("/large")).await;
    assert_eq!(first.status(), StatusCode::OK);
    let second = send(&daemon, post("/large")).await;
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    let statuses: Vec<_> = daemon.lines(2).iter().map(|line| line["Status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(429)]);
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes().len(), 10_000);
    assert_eq!(send(&daemon, post("/large")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_peer_that_is_denied_again_and_again_gets_429_later_and_an_operator_does_not() {
    let daemon = Daemon::unlimited();
    let statuses = async |peer: Peer| {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let request = post("/denied").body(Body::empty()).unwrap();
            let begun = tokio::time::Instant::now();
            let answer = app(&daemon).connect(peer.clone())(request).await;
            let waited = begun.elapsed() >= ANSWER_DELAY;
            statuses.push((answer.status().as_u16(), waited));
        }
        statuses
    };
    let received = statuses(Peer::unverified("spiffe://a/b")).await;
    assert_eq!(received, [(401, false), (401, false), (429, true)]);
    assert_eq!(send(&daemon, post("/")).await.status(), StatusCode::OK, "what it may do it may");
    let operator = Peer::unverified_of("spiffe://a/operator", Class::Reserved);
    assert_eq!(statuses(operator).await, [(401, false); 3]);
}

#[tokio::test]
async fn redirects_options_and_connect_do_not_escape_the_limit_on_denials() {
    type Make = fn() -> request::Builder;
    let requests: [(Make, u16); 4] = [
        (|| post("//x"), 307),
        (|| Request::options("*").header(header::HOST, "h"), 200),
        (|| Request::builder().method("CONNECT").uri("h:1").header(header::HOST, "h"), 404),
        (|| post("/").header(header::HOST, "other"), 400),
    ];
    for (request, first) in requests {
        let daemon = Daemon::unlimited();
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(send(&daemon, request()).await.status().as_u16());
        }
        assert_eq!(statuses, [first, first, 429]);
        assert_eq!(daemon.lines(3)[2]["Status"], 429);
    }
    let daemon = Daemon::unlimited();
    let answer = app(&daemon).connect(Peer::unverified("spiffe://a/b"));
    for status in [307, 429] {
        let large = post("//x").body(Body::from(vec![b'x'; 100 * 1024])).unwrap();
        assert_eq!(answer(large).await.status(), status, "a large body counts for more");
    }
}

/// Every request has one, and a larger one is slower to create and to move.
#[test]
fn the_future_of_a_request_stays_below_a_kibibyte() {
    let daemon = Daemon::unlimited();
    let request = post("/").body(Body::empty()).unwrap();
    let sender = daemon.sender();
    let allowance = daemon.frame.allowance(&sender.peer);
    let context = Arc::new(PeerContext { daemon, sender, scrapers: None, allowance });
    assert!(size_of_val(&answer(context, request)) < 1024);
}

mod denied;
mod large;
