//! Listen addresses.

use std::net::{IpAddr, SocketAddr};

use spike_config::ListenAddress;

/// See the module.
pub fn check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(address) = text.parse::<ListenAddress>() else {
        assert!(text.parse::<SocketAddr>().is_err(), "refused a socket address");
        return false;
    };
    assert_eq!(address.to_string().parse(), Ok(address.clone()), "prints what reads back");

    // Host names are not resolved: that uses the network.
    let ip = address.host.as_ref().map(|host| host.parse::<IpAddr>());
    let sockets = match ip {
        Some(Err(_)) => return true,
        Some(Ok(_)) | None => address.sockets().expect("an IP address needs no resolver"),
    };
    assert!(sockets.iter().all(|socket| socket.port() == address.port));
    match ip {
        Some(Ok(ip)) => assert_eq!(sockets, [SocketAddr::new(ip, address.port)]),
        Some(Err(_)) | None => assert!(sockets.iter().all(|socket| socket.ip().is_unspecified())),
    }
    true
}
