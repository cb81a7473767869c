//! Ports for daemons: the usual ones if they are free, otherwise others.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
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

/// Where this process looks for the next free port: from a random place on, so that two processes rarely try the same. Each port is
/// tried once before any is tried again, so a daemon that is down for a while finds its own free.
static NEXT: LazyLock<AtomicU32> =
    LazyLock::new(|| AtomicU32::new(getrandom::u32().unwrap_or_default()));

/// A free port.
fn other(at: impl Fn(u16) -> io::Result<TcpListener>) -> io::Result<TcpListener> {
    let mut last = io::Error::other("no port was tried");
    for _ in 0..TRIES {
        let width = u32::from(OTHERS.end - OTHERS.start);
        let place = NEXT.fetch_add(1, Relaxed) % width;
        match at(OTHERS.start + u16::try_from(place).unwrap_or_default()) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}
