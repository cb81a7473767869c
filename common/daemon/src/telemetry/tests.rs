//! The telemetry listener with hostile clients.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use futures_util::future::join_all;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::log_level::LogLevel;

use super::{Effect, Telemetry, TelemetryServer, bind};

fn serve(telemetry: &Telemetry) -> TelemetryServer {
    bind(telemetry, &["127.0.0.1:0".parse().unwrap()], &LogLevel::of_no_log()).unwrap()
}

async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // It ends by itself after its one request.
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await
}

#[tokio::test]
async fn livez_answers_at_once_and_readyz_only_when_every_check_is_there() {
    let telemetry = Telemetry::new("test");
    let server = serve(&telemetry);
    let address = server.address();
    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200 "));
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503 "));
    telemetry.health().add("store", Effect::NotReady, |_| Ok(()));
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503 "));
    telemetry.health().complete();
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn unfinished_heads_block_no_probe_and_have_no_more_than_their_slots() {
    let telemetry = Telemetry::new("test");
    let server = serve(&telemetry);
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost:").await.unwrap();
        held.push(stream);
    }
    for _ in 0..5 {
        assert!(get(server.address(), "/livez").await.starts_with("HTTP/1.1 200 "));
    }
    // The oldest ones were evicted, long before any time limit.
    let mut oldest = held.swap_remove(0);
    let ended = tokio::time::timeout(Duration::from_secs(4), oldest.read(&mut [0; 64])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}

#[tokio::test]
async fn a_connection_has_one_request_and_a_small_head() {
    let telemetry = Telemetry::new("test");
    let server = serve(&telemetry);
    let pipelined = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = exchange(server.address(), pipelined).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");

    let large = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(9000));
    let answer = exchange(server.address(), large.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn only_reading_is_possible() {
    let telemetry = Telemetry::new("test");
    let server = serve(&telemetry);
    for (request, status) in [
        ("POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        ("GET /v1/store/secrets HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 503),
    ] {
        let answer = exchange(server.address(), request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

/// A metric that counts how often it was asked for. Each time it waits until the test lets it go on, and not for ever.
#[derive(Debug)]
struct Slow {
    begun: Arc<AtomicUsize>,
    may_go_on: Mutex<mpsc::Receiver<()>>,
}

impl Collector for Slow {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let number = i64::try_from(self.begun.fetch_add(1, Relaxed) + 1).unwrap();
        self.may_go_on.lock().unwrap().recv_timeout(Duration::from_secs(5)).ok();
        let gauge = ConstGauge::new(number);
        gauge.encode(encoder.encode_descriptor("asked", "Times", None, MetricType::Gauge)?)
    }
}

/// Each request had a page made for itself, on the threads that answer probes.
#[tokio::test]
async fn a_page_of_metrics_is_made_once_for_all_who_ask_meanwhile_and_holds_up_no_probe() {
    let telemetry = Telemetry::new("test");
    let (go_on, may_go_on) = mpsc::channel();
    let begun = Arc::<AtomicUsize>::default();
    let slow = Slow { begun: Arc::clone(&begun), may_go_on: Mutex::new(may_go_on) };
    telemetry.register(|registry| registry.register_collector(Box::new(slow)));
    let server = serve(&telemetry);
    let address = server.address();
    let first = tokio::spawn(get(address, "/metrics"));
    while begun.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let mut others = join_all((0..10).map(|_| get(address, "/metrics")));
    // While the first page is being made, and all others have been asked for.
    for _ in 0..10 {
        tokio::select! {
            answer = get(address, "/livez") => assert!(answer.starts_with("HTTP/1.1 200 ")),
            _ = &mut others => panic!("they waited for nothing"),
        }
        assert_eq!(begun.load(Relaxed), 1, "it waited for a page");
    }
    go_on.send(()).unwrap();
    assert!(first.await.unwrap().contains("\nspike_asked 1\n"));
    // One for the others, and one for those of them that came just as that one began.
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    for answer in others.await {
        let (_, number) = answer.split_once("\nspike_asked ").unwrap();
        assert!(["2", "3"].contains(&number.lines().next().unwrap()), "{answer}");
    }
}
