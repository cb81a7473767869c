//! Handshakes that begin and do not end. None needs a certificate that the server trusts.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use rustls::{ClientConnection, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::attack::Held;
use crate::{PATIENCE, raw::Dialer};

/// The largest TLS record, in bytes of its payload.
const RECORD: usize = 16 * 1024;
/// How long a connection may take the bytes of an attack. A server that does not read them keeps the rest waiting.
const STALL: Duration = Duration::from_secs(1);

/// The first `bytes` bytes of a `ClientHello` that announces 60 KiB.
pub fn long_hello(bytes: usize) -> Vec<u8> {
    let length = 60 * 1024_u32;
    let mut message = vec![1];
    message.extend(length.to_be_bytes().into_iter().skip(1));
    message.resize(length as usize, 0);
    let records = message.chunks(RECORD).flat_map(|part| {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[22, 3, 1], length.as_slice(), part].concat()
    });
    records.take(bytes).collect()
}

/// Opens `count` connections, sends `bytes` on each, and nothing more.
///
/// # Errors
/// If the kernel refuses a connection.
pub async fn stalled(address: SocketAddr, count: usize, bytes: &[u8]) -> Result<Held> {
    let mut held = Held::default();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await?;
        // The server may end the connection, or read no further.
        timeout(STALL, stream.write_all(bytes)).await.ok();
        held.tcp.push(stream);
    }
    Ok(held)
}

/// A whole `ClientHello` of this client. The server cannot tell that it was sent before.
///
/// # Errors
/// If TLS cannot be configured.
pub fn hello(dialer: &Dialer) -> Result<Vec<u8>> {
    Ok(client(dialer)?.1)
}

/// Opens `per_second` connections a second for `time`. Each sends a whole `ClientHello` and nothing more, and stays open.
///
/// # Errors
/// If the kernel refuses a connection, or TLS cannot be configured.
pub async fn begun(dialer: &Dialer, per_second: u32, time: Duration) -> Result<Held> {
    let mut held = Held::default();
    let hello = hello(dialer)?;
    let end = Instant::now() + time;
    let mut next = interval(Duration::from_secs(1) / per_second);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < end {
        next.tick().await;
        let mut stream = TcpStream::connect(dialer.address()).await?;
        stream.write_all(&hello).await.ok();
        held.tcp.push(stream);
    }
    Ok(held)
}

/// One connection whose handshake stops `missing` bytes before the end of what the client sends last: its certificates and
/// its signature.
///
/// # Errors
/// If the server does not answer the `ClientHello`, or less than that is sent at the end.
pub async fn stopped_in_certificates(dialer: &Dialer, missing: usize) -> Result<TcpStream> {
    let (mut client, hello) = client(dialer)?;
    let mut stream = TcpStream::connect(dialer.address()).await?;
    stream.write_all(&hello).await?;
    let mut last = Vec::new();
    while client.is_handshaking() {
        let mut part = vec![0; RECORD];
        let read = timeout(PATIENCE, stream.read(&mut part)).await.context("no answer")??;
        ensure!(read > 0, "the server has closed the connection");
        client.read_tls(&mut part.get(..read).unwrap_or_default())?;
        client.process_new_packets()?;
    }
    while client.wants_write() {
        client.write_tls(&mut last)?;
    }
    let sent = last.len().checked_sub(missing).context("too little is sent")?;
    timeout(STALL, stream.write_all(last.get(..sent).unwrap_or_default())).await.ok();
    Ok(stream)
}

fn client(dialer: &Dialer) -> Result<(ClientConnection, Vec<u8>)> {
    let config = Arc::clone(dialer.connector()?.config());
    let mut client = ClientConnection::new(config, ServerName::try_from("localhost")?)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    Ok((client, hello))
}
