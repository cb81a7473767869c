//! TLS (wire-api 2.1, Q-31): versions, no resumption, and clients that do not speak it.

use anyhow::Result;
use spike_tests::SUPERUSER;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::LIST;
use crate::scenario;

/// A `ClientHello` that offers TLS 1.1 at the most: record, handshake header, version, random, no session,
/// `TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA`, no compression, no extensions.
fn client_hello_of_tls_1_1() -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x09, 1, 0]);
    hello
}

#[tokio::test]
async fn tls_1_3_and_1_2_are_spoken() -> Result<()> {
    let cluster = scenario().start().await?;
    for (dialer, version) in [
        (cluster.dial_as(SUPERUSER)?.tls13(), "TLSv1_3"),
        (cluster.dial_as(SUPERUSER)?.tls12(), "TLSv1_2"),
    ] {
        let mut superuser = dialer.connect().await?;
        assert_eq!(superuser.tls_version().as_deref(), Some(version));
        assert_eq!(superuser.post(LIST, "{}").await?.status, 200);
    }
    cluster.stop().await
}

#[tokio::test]
async fn tls_1_1_is_refused_with_an_alert() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut stream = TcpStream::connect(cluster.stranger().address()).await?;
    stream.write_all(&client_hello_of_tls_1_1()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    // An alert (21) of two bytes, a fatal one (2). Go says protocol_version, rustls handshake_failure, because a client
    // of TLS 1.1 names no signature algorithms.
    assert_eq!((answer.first(), answer.get(3..6)), (Some(&21), Some(&[0, 2, 2][..])));
    assert_eq!(answer.len(), 7);
    cluster.stop().await
}

/// A resumed session would skip the verification of the peer.
#[tokio::test]
async fn no_session_is_ever_resumed() -> Result<()> {
    let cluster = scenario().start().await?;
    for dialer in [cluster.dial_as(SUPERUSER)?.tls13(), cluster.dial_as(SUPERUSER)?.tls12()] {
        let dialer = dialer.resuming();
        let connector = dialer.connector()?;
        for _ in 0..3 {
            let mut superuser = dialer.connect_with(&connector).await?;
            assert_eq!(superuser.post(LIST, "{}").await?.status, 200);
            assert_eq!((superuser.resumed(), superuser.tickets()), (false, 0));
        }
    }
    cluster.stop().await
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_what_is_wrong() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut stream = TcpStream::connect(cluster.stranger().address()).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"),
        "{answer}"
    );
    cluster.stop().await
}
