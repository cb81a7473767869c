//! Repeats one request over one kept connection, at the lowest cost for the client.

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::Dialer;

/// Calls until `until` and returns how often. Each answer must be a 200 with the length of the first.
///
/// # Errors
/// At the first other answer, or if the connection breaks.
pub async fn calls_until(
    dialer: &Dialer,
    target: &str,
    body: &[u8],
    until: Instant,
) -> Result<u32> {
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    let request = [head.as_bytes(), body].concat();
    let mut stream = dialer.connect().await?.into_stream();
    let mut answer = Vec::new();
    let mut calls = 0;
    while Instant::now() < until {
        call_again(&mut stream, &request, &mut answer).await?;
        calls += 1;
    }
    Ok(calls)
}

/// Sends a request over a kept connection and reads its answer into `answer`, which holds the one before, or nothing before the first.
/// Headers and body are the same each time, so each answer has the length of the first.
///
/// # Errors
/// If the answer is no 200, or the connection breaks.
pub async fn call_again(
    stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    request: &[u8],
    answer: &mut Vec<u8>,
) -> Result<()> {
    stream.write_all(request).await?;
    stream.flush().await?;
    if answer.is_empty() {
        *answer = first_answer(stream).await?;
    } else {
        stream.read_exact(answer).await?;
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(answer));
    Ok(())
}

/// Reads one answer, head and body. The head says where it ends.
///
/// # Errors
/// If the connection ends first, or the head has no `Content-Length`.
async fn first_answer(stream: &mut (impl AsyncReadExt + Unpin)) -> Result<Vec<u8>> {
    let mut answer = Vec::with_capacity(4096);
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the connection ended");
        let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(answer.get(..head).unwrap_or_default());
        let text = text.to_ascii_lowercase();
        let length = text.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("no content-length")?.trim().parse()?;
        while answer.len() < head + 4 + length {
            ensure!(stream.read_buf(&mut answer).await? > 0, "the connection ended");
        }
        return Ok(answer);
    }
}
