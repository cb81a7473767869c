//! Ports for daemons: the usual ones if they are free, otherwise others.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// The range of the other ports. It is below the ports that Linux gives to outgoing connections: one of those could take a port
/// between this search and the start of the daemon.
const OTHERS: std::ops::Range<u16> = 15_000..32_000;
/// The most ports that are tried.
const TRIES: u32 = 1000;

/// Finds free loopback addresses, each only once.
#[derive(Debug)]
pub(super) struct Ports {
    usual: bool,
    /// Listeners on the addresses found so far, so that none is found twice.
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

/// A free port, chosen at random, so that two clusters that start at the same time rarely try the same.
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
