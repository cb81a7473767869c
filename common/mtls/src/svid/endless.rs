//! An agent that sends no message, and does not stop sending.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::SvidSource;

/// Of HTTP/2: what a client sends first, and types and flags of frames.
const PREFACE: usize = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_HEADERS: u8 = 4;

/// A frame of the stream of the first request, or of none.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Reads until the head of a request has come.
async fn request(stream: &mut TcpStream) -> io::Result<()> {
    stream.read_exact(&mut [0; PREFACE]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        stream.read_exact(&mut vec![0; length]).await?;
        if head[3] == HEADERS {
            return Ok(());
        }
    }
}

/// Serves one connection: heads of interim answers, 128 MiB in all, of 8 KiB each.
async fn send_interim_heads(listener: TcpListener) -> io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    request(&mut stream).await?;
    // The status 100, and a field `x` with a value of 8000 bytes.
    let fields = [b"\x08\x03100\x00\x01x\x7f\xc1\x3d", &[b'x'; 8000][..]].concat();
    let head = frame(HEADERS, END_HEADERS, 1, &fields);
    for _ in 0..(128 << 20) / head.len() {
        stream.write_all(&head).await?;
    }
    Ok(())
}

/// They were read for as long as they came.
#[tokio::test]
async fn an_agent_that_sends_interim_answers_without_end_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let agent = tokio::spawn(send_interim_heads(listener));
    let source = SvidSource::follow(&format!("tcp://{address}"));
    let mut status = source.subscribe();
    let failed = status.wait_for(|status| status.last_error.is_some());
    let failed = timeout(Duration::from_mins(1), failed).await.unwrap().unwrap().clone();
    let (_, reason) = failed.last_error.unwrap();
    assert!(reason.contains("the server sent more than"), "{reason}");
    assert!(agent.await.unwrap().is_err(), "all was read");
}
