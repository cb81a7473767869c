//! Listening sockets.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that the system queues until they are accepted.
const BACKLOG: u32 = 1024;

/// Listens on the first of `addresses` that works. An IPv6 socket takes IPv4 too, as in Go, whatever the system's
/// default (`net.ipv6.bindv6only`).
///
/// # Errors
/// The error of the last address, if none could be bound.
pub fn listen(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
    for address in addresses {
        match listen_on(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted daemon must get its port while old connections linger.
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[tokio::test]
    async fn a_listener_on_every_ipv6_address_takes_ipv4_too() {
        let listener = match listen(&["[::]:0".parse().unwrap()]) {
            Ok(listener) => listener,
            // Without IPv6 there is nothing to test.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::AFNOSUPPORT) => return,
            Err(error) => panic!("{error}"),
        };
        // A container runtime turns this on by default.
        assert!(!rustix::net::sockopt::ipv6_v6only(&listener).unwrap());
        let port = listener.local_addr().unwrap().port();
        let client = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(accepted.local_addr().unwrap().port(), client.peer_addr().unwrap().port());
    }

    #[tokio::test]
    async fn the_next_address_is_used_where_the_first_is_taken() {
        let taken = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let addresses = [taken.local_addr().unwrap(), "127.0.0.1:0".parse().unwrap()];
        let listener = listen(&addresses).unwrap();
        assert_ne!(listener.local_addr().unwrap(), taken.local_addr().unwrap());
        let refused = listen(&[taken.local_addr().unwrap()]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(listen(&[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
