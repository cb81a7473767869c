//! Connects to a name with several addresses, as RFC 8305 says: an address that does not answer costs a quarter of a
//! second.

use std::{collections::VecDeque, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Uri, uri::Scheme};
use tokio::net::{TcpStream, lookup_host};

use crate::call_limits::{CONNECTING, TransportError, within};

/// How long an address is tried before the next one is tried too (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The host and port of an address.
pub(super) struct Target {
    /// Without the brackets of an IPv6 address.
    pub(super) name: String,
    /// As it is shown.
    pub(super) at: String,
    port: u16,
}

impl Target {
    /// # Errors
    /// [`TransportError::Address`] if it has no host.
    pub(super) fn of(uri: &Uri) -> Result<Self, TransportError> {
        let host = uri.host().ok_or_else(|| TransportError::Address(uri.to_string()))?;
        let usual = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(usual);
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { name, at: format!("{host}:{port}"), port })
    }

    /// # Errors
    /// [`TransportError::Connect`]; [`TransportError::Timeout`] after `limit`. Zero means no limit.
    pub(super) async fn dial(&self, limit: Duration) -> Result<TcpStream, TransportError> {
        let dialled = within(limit, CONNECTING, async {
            dial(&self.name, self.port).await.map_err(|error| TransportError::Connect {
                host: self.at.clone(),
                source: Arc::new(error),
            })
        });
        let stream = dialled.await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(reason = %error, "cannot set TCP_NODELAY");
        }
        Ok(stream)
    }
}

/// Connects to the first address of `host` that answers. The caller limits the time.
///
/// # Errors
/// The resolver's, or that of the address that failed last.
async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = lookup_host((host, port)).await.map_err(|error| unknown(host, &error))?;
    race(alternate(addresses), TcpStream::connect).await
}

/// The resolver's error, with its most frequent cause: the name of a Service without its namespace.
fn unknown(host: &str, error: &io::Error) -> io::Error {
    let is_short = host.matches('.').count() < 2;
    let hint = if is_short {
        ". If it is a Service of Kubernetes, its full name is SERVICE.NAMESPACE.svc"
    } else {
        ""
    };
    io::Error::new(error.kind(), format!("the name {host} has no address here ({error}){hint}"))
}

/// The addresses in the resolver's order, but alternating between the families (RFC 8305, section 4).
fn alternate(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut addresses = addresses.peekable();
    let first_is_ipv4 = addresses.peek().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (VecDeque<_>, VecDeque<_>) =
        addresses.partition(|address| address.is_ipv4() == first_is_ipv4);
    let mut ordered = VecDeque::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => return ordered,
            (one, other) => ordered.extend(one.into_iter().chain(other)),
        }
    }
}

/// Tries the next address after the earlier ones have failed, or have not answered for a while.
async fn race<T, F: Future<Output = io::Result<T>>>(
    mut addresses: VecDeque<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut tries = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = addresses.pop_front() {
            tries.push(connect(address));
        }
        let ended = if addresses.is_empty() {
            tries.next().await
        } else {
            match tokio::time::timeout(ATTEMPT_DELAY, tries.next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        };
        match ended {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => last = error,
            None => return Err(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Mutex};

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// An address that never answers: its backlog is full, and nothing accepts.
    async fn black_hole() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address("127.0.0.1:0")).unwrap();
        let listener = socket.listen(1).unwrap();
        let at = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        loop {
            match tokio::time::timeout(ATTEMPT_DELAY, TcpStream::connect(at)).await {
                Ok(stream) => waiting.push(stream.unwrap()),
                Err(_) => return (at, waiting, listener),
            }
        }
    }

    #[tokio::test]
    async fn a_dead_first_address_does_not_keep_a_client_from_the_second() {
        let (dead, _waiting, _listener) = black_hole().await;
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [dead, alive.local_addr().unwrap()].into();
        // Far below the system's own time limit.
        let limit = Duration::from_secs(20);
        let raced = tokio::time::timeout(limit, race(addresses, TcpStream::connect)).await;
        assert_eq!(raced.unwrap().unwrap().peer_addr().unwrap(), alive.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_refused_address_is_followed_by_the_next_at_once() {
        let tried = Mutex::new(Vec::new());
        let addresses: VecDeque<_> = [1, 2, 3].map(|n| address(&format!("192.0.2.{n}:1"))).into();
        let connect = |address: SocketAddr| {
            tried.lock().unwrap().push(address);
            async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) }
        };
        let error = race(addresses.clone(), connect).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(addresses, *tried.lock().unwrap());
        assert!(race(VecDeque::new(), connect).await.is_err());
    }

    #[tokio::test]
    async fn an_address_that_only_was_slow_still_wins() {
        let slow = address("192.0.2.1:1");
        let connect = |address: SocketAddr| async move {
            if address != slow {
                return pending().await;
            }
            tokio::time::sleep(2 * ATTEMPT_DELAY).await;
            Ok(address)
        };
        let addresses = [slow, address("192.0.2.2:1")].into();
        assert_eq!(race(addresses, connect).await.unwrap(), slow);
    }

    #[test]
    fn a_short_name_without_an_address_is_reported_with_the_form_of_a_full_one() {
        let resolver = io::Error::other("Name or service not known");
        for (name, is_short) in
            [("spike-nexus", true), ("spike-nexus.spike", true), ("nexus.spike.svc", false)]
        {
            let text = unknown(name, &resolver).to_string();
            assert!(text.contains(name) && text.contains("Name or service not known"), "{text}");
            assert_eq!(text.contains("SERVICE.NAMESPACE.svc"), is_short, "{text}");
        }
    }

    #[test]
    fn families_alternate_and_begin_with_the_one_that_the_resolver_prefers() {
        for (given, expected) in [
            (
                vec!["[::1]:1", "[::2]:1", "10.0.0.1:1", "10.0.0.2:1"],
                vec!["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1"],
            ),
            (
                vec!["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "[::1]:1"],
                vec!["10.0.0.1:1", "[::1]:1", "10.0.0.2:1", "10.0.0.3:1"],
            ),
            (vec![], vec![]),
        ] {
            let ordered: Vec<_> = alternate(given.into_iter().map(address)).into();
            let expected: Vec<_> = expected.into_iter().map(address).collect();
            assert_eq!(ordered, expected);
        }
    }
}
