//! Addresses to listen on, as Go writes them.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _},
    str::FromStr,
};

/// A listen address: `:8553` (all interfaces), `127.0.0.1:8553`, `[::1]:8553` or `localhost:8553`. With port 0 the
/// operating system chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// An IP address or a host name; `None` means all interfaces.
    pub host: Option<String>,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is not a listen address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// No colon before a port: a bare `8553`.
    #[error("no colon before the port")]
    NoPort,
    /// The port is not a number up to 65535. Service names are not resolved.
    #[error("the port is not a number from 0 to 65535")]
    Port,
    /// The host is neither an IP address nor a host name.
    #[error("the host is neither an IP address nor a host name")]
    Host,
    /// An IPv6 address without brackets.
    #[error("an IPv6 address needs brackets around it")]
    NoBrackets,
}

impl ListenAddress {
    /// Loopback only, at `port`.
    pub fn loopback(port: u16) -> Self {
        Self { host: Some(Ipv4Addr::LOCALHOST.to_string()), port }
    }

    /// The sockets to try in turn, until one can be bound.
    ///
    /// All interfaces are `[::]`, which usually takes IPv4 as well, and then `0.0.0.0` for a system without IPv6. Of
    /// the addresses of a host name, IPv4 comes first, as in Go.
    ///
    /// # Errors
    /// The host name cannot be resolved. Only host names may block on the network.
    pub fn sockets(&self) -> io::Result<Vec<SocketAddr>> {
        let Some(host) = &self.host else {
            let all: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
            return Ok(all.map(|ip| SocketAddr::new(ip, self.port)).to_vec());
        };
        let mut found: Vec<_> = (host.as_str(), self.port).to_socket_addrs()?.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        Ok(found)
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(ListenAddressError::NoPort)?;
        // `str::parse` alone would accept a sign.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or(ListenAddressError::Port)?;
        if host.is_empty() {
            return Ok(Self { host: None, port });
        }
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid = match bracketed {
            Some(inner) => is_ipv6(inner),
            None if host.contains(':') => return Err(ListenAddressError::NoBrackets),
            None => is_host_name(host),
        };
        if !valid {
            return Err(ListenAddressError::Host);
        }
        Ok(Self { host: Some(bracketed.unwrap_or(host).to_owned()), port })
    }
}

/// An IPv6 address, perhaps with a zone: `fe80::1%eth0`.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty()
}

/// Letters, digits, hyphens, underscores and dots: enough to detect a mistake.
pub(super) fn is_host_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split('.').all(|label| !label.is_empty() && label.chars().all(word))
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => write!(f, ":{}", self.port),
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ListenAddress, ListenAddressError> {
        text.parse()
    }

    fn sockets(text: &str) -> Vec<String> {
        parse(text).unwrap().sockets().unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reads_the_forms_of_go_and_prints_them_back() {
        let forms =
            [":8553", ":0", "127.0.0.1:8553", "[::1]:8553", "[fe80::1%eth0]:1", "localhost:80"];
        for text in forms {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_everything_else_with_the_reason() {
        use ListenAddressError::{Host, NoBrackets, NoPort, Port};
        let cases = [
            ("8553", NoPort),
            ("localhost", NoPort),
            ("[::1]", Port),
            (":", Port),
            ("localhost:", Port),
            (":https", Port),
            (":99999", Port),
            (":-1", Port),
            (":+80", Port),
            ("::1:8553", NoBrackets),
            ("[127.0.0.1]:80", Host),
            ("[::1%]:80", Host),
            ("*:80", Host),
            (" :8553", Host),
            ("a..b:80", Host),
            ("http//x:80", Host),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_port_alone_means_all_interfaces_of_both_families() {
        assert_eq!(sockets(":8553"), ["[::]:8553", "0.0.0.0:8553"]);
    }

    #[test]
    fn an_ip_address_means_that_socket_only() {
        assert_eq!(sockets("127.0.0.1:8553"), ["127.0.0.1:8553"]);
        assert_eq!(sockets("[::1]:8553"), ["[::1]:8553"]);
        assert_eq!(sockets("0.0.0.0:8553"), ["0.0.0.0:8553"]);
    }

    #[test]
    fn a_host_name_is_resolved_with_ipv4_first() {
        assert_eq!(sockets("localhost:80").first().map(String::as_str), Some("127.0.0.1:80"));
    }
}
