//! The telemetry listener with hostile clients.

use std::{net::SocketAddr, time::Duration};

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
