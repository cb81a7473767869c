//! Ports for daemons: the usual ones where they are free, otherwise any.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// Where other ports are looked for: below those that Linux gives to outgoing connections, one of which could take a port
/// between our look and the daemon's start.
const OTHERS: std::ops::Range<u16> = 15_000..32_000;
/// How many are tried.
const TRIES: u32 = 1000;

/// Hands out loopback addresses that nobody listens on, each once.
#[derive(Debug)]
pub(super) struct Ports {
    usual: bool,
    /// Held until all are handed out, so that none is handed out twice.
    held: Vec<TcpListener>,
}

impl Ports {
    pub(super) const fn new(usual: bool) -> Self {
        Self { usual, held: Vec::new() }
    }

    /// The usual port if it is wanted and free, otherwise another.
    pub(super) fn take(&mut self, usual: u16) -> io::Result<SocketAddr> {
        let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = match self.usual.then(|| at(usual)) {
            Some(Ok(listener)) => listener,
            Some(Err(_)) | None => other(at)?,
        };
        let address = listener.local_addr()?;
        self.held.push(listener);
        Ok(address)
    }
}

/// A free port, drawn: two clusters that start at the same moment look in different places.
fn other(at: impl Fn(u16) -> io::Result<TcpListener>) -> io::Result<TcpListener> {
    let mut last = io::Error::other("no port was tried");
    for _ in 0..TRIES {
        let random = getrandom::u32().map_err(io::Error::other)?;
        let width = u32::from(OTHERS.end - OTHERS.start);
        let port = OTHERS.start + u16::try_from(random % width).unwrap_or_default();
        match at(port) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}
