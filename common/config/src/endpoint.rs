//! The address of the SPIFFE Workload API.

use std::{
    ffi::OsStr,
    fmt,
    net::SocketAddr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use spike_wire::percent_decoded;

/// Characters that are escaped in the path of a socket.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest path of a Unix socket, in bytes: it must fit into `sockaddr_un` with its terminating zero.
pub const MAX_SOCKET_PATH: usize = 107;

/// `unix:` and an absolute path, or `tcp:` and an IP address with a port: what the SPIFFE Workload Endpoint
/// specification allows in `SPIFFE_ENDPOINT_SOCKET`.
///
/// The path is read as go-spiffe reads it: `%20` and the like are decoded, and a space is accepted too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSocket {
    text: String,
    address: EndpointAddress,
}

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointAddress {
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
    /// A TCP address. The connection is not encrypted.
    Tcp(SocketAddr),
}

/// Why a text is not an address of a Workload API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Neither `unix:` nor `tcp:`.
    #[error("it must begin with unix: or tcp:")]
    Scheme,
    /// A control character, such as a newline at the end.
    #[error("it has a control character")]
    ControlCharacter,
    /// `?` begins a query and `#` a fragment; neither has a meaning here.
    #[error("it has a {0:?}: if it belongs to the path, write {1}")]
    Reserved(char, &'static str),
    /// `unix://host/path`.
    #[error("a unix: address has no host: write unix:///path")]
    Host,
    /// No path, or a relative one.
    #[error("a unix: address needs an absolute path")]
    NotAbsolute,
    /// `%` without two hexadecimal digits, or `%00`.
    #[error(
        "it has a % that is not followed by the two hexadecimal digits of a byte: write %25 for a %"
    )]
    Escape,
    /// The path is too long for the operating system.
    #[error("the path has {0} bytes, and a Unix socket's may have at most {MAX_SOCKET_PATH}")]
    TooLong(usize),
    /// Not an IP address and a port.
    #[error("a tcp: address needs an IP address and a port")]
    NotAnIpAddress,
}

impl EndpointSocket {
    /// The address as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where to connect.
    pub const fn address(&self) -> &EndpointAddress {
        &self.address
    }

    /// The path of the socket; `None` for a TCP address.
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.address {
            EndpointAddress::Unix(path) => Some(path),
            EndpointAddress::Tcp(_) => None,
        }
    }

    /// The address of the Unix socket at `path`, which may have any characters.
    pub fn of_unix_path(path: &Path) -> String {
        format!("unix://{}", percent_encode(path.as_os_str().as_bytes(), ESCAPED))
    }
}

impl FromStr for EndpointSocket {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once(':').ok_or(EndpointError::Scheme)?;
        if text.contains(|character: char| character.is_ascii_control()) {
            return Err(EndpointError::ControlCharacter);
        }
        for (reserved, escaped) in [('?', "%3F"), ('#', "%23")] {
            if text.contains(reserved) {
                return Err(EndpointError::Reserved(reserved, escaped));
            }
        }
        let address = match scheme.to_ascii_lowercase().as_str() {
            "unix" => EndpointAddress::Unix(socket_path(rest)?),
            "tcp" => EndpointAddress::Tcp(socket_address(rest)?),
            _ => return Err(EndpointError::Scheme),
        };
        Ok(Self { text: text.to_owned(), address })
    }
}

impl fmt::Display for EndpointSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads `///path`, or the short form `/path`.
fn socket_path(rest: &str) -> Result<PathBuf, EndpointError> {
    let path = match rest.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        Some("") => return Err(EndpointError::NotAbsolute),
        Some(_) => return Err(EndpointError::Host),
        None if rest.starts_with('/') => rest,
        None => return Err(EndpointError::NotAbsolute),
    };
    let bytes = percent_decoded(path.as_bytes()).ok_or(EndpointError::Escape)?;
    if bytes.contains(&0) {
        return Err(EndpointError::Escape);
    }
    match bytes.len() {
        0 | 1 => Err(EndpointError::NotAbsolute),
        2..=MAX_SOCKET_PATH => Ok(PathBuf::from(OsStr::from_bytes(&bytes))),
        length => Err(EndpointError::TooLong(length)),
    }
}

/// Reads `//IP:PORT`, or the short form `IP:PORT`.
fn socket_address(rest: &str) -> Result<SocketAddr, EndpointError> {
    let address = rest.strip_prefix("//").unwrap_or(rest);
    let address = address.strip_suffix('/').unwrap_or(address);
    match address.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(address),
        Ok(_) | Err(_) => Err(EndpointError::NotAnIpAddress),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix_path(text: &str) -> Option<PathBuf> {
        let endpoint: EndpointSocket = text.parse().unwrap();
        assert_eq!(endpoint.to_string(), text);
        endpoint.unix_path().map(Path::to_owned)
    }

    #[test]
    fn takes_an_absolute_socket_path_or_an_ip_address_with_a_port() {
        for text in ["unix:///run/agent.sock", "unix:/run/agent.sock", "UNIX:///run/agent.sock"] {
            assert_eq!(unix_path(text).as_deref(), Some("/run/agent.sock".as_ref()), "{text}");
        }
        for text in ["tcp://127.0.0.1:8080", "tcp:127.0.0.1:8080", "tcp://[::1]:8080/"] {
            assert_eq!(unix_path(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_is_decoded_as_go_spiffe_decodes_it() {
        for (text, path) in [
            ("unix:///run/my%20agent/a.sock", "/run/my agent/a.sock"),
            ("unix:///run/my agent/a.sock", "/run/my agent/a.sock"),
            ("unix:///run/100%25/a.sock", "/run/100%/a.sock"),
            ("unix:///run/a%3Fb%23c.sock", "/run/a?b#c.sock"),
            ("unix:///run/%C3%BC/a.sock", "/run/\u{fc}/a.sock"),
            ("unix:///run/\u{fc}/a.sock", "/run/\u{fc}/a.sock"),
            ("unix:///run/a:b+c.sock", "/run/a:b+c.sock"),
        ] {
            assert_eq!(unix_path(text), Some(PathBuf::from(path)), "{text}");
        }
    }

    #[test]
    fn refuses_what_no_agent_can_listen_on() {
        // Upstream ends at once with "malformed SPIFFE_ENDPOINT_SOCKET" (cli-config-deploy 7.1).
        for (text, error) in [
            ("/run/agent.sock", EndpointError::Scheme),
            ("http://127.0.0.1:80", EndpointError::Scheme),
            ("unix:agent.sock", EndpointError::NotAbsolute),
            ("unix:", EndpointError::NotAbsolute),
            ("unix://", EndpointError::NotAbsolute),
            ("unix:///", EndpointError::NotAbsolute),
            ("unix://run/agent.sock", EndpointError::Host),
            ("unix:///run/agent.sock\n", EndpointError::ControlCharacter),
            ("unix:///run/a?b", EndpointError::Reserved('?', "%3F")),
            ("unix:///run/a#b", EndpointError::Reserved('#', "%23")),
            ("unix:///run/100%/a.sock", EndpointError::Escape),
            ("unix:///run/a%2", EndpointError::Escape),
            ("unix:///run/a%00b", EndpointError::Escape),
            ("tcp://localhost:80", EndpointError::NotAnIpAddress),
            ("tcp://127.0.0.1", EndpointError::NotAnIpAddress),
            ("tcp://127.0.0.1:80/path", EndpointError::NotAnIpAddress),
            ("tcp://user@127.0.0.1:80", EndpointError::NotAnIpAddress),
        ] {
            assert_eq!(text.parse::<EndpointSocket>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_path_over_the_limit_of_the_system_is_refused_and_not_tried_for_ever() {
        let path = |length: usize| format!("unix:///{}", "a".repeat(length - 1));
        assert!(path(MAX_SOCKET_PATH).parse::<EndpointSocket>().is_ok());
        let refused = path(MAX_SOCKET_PATH + 1).parse::<EndpointSocket>();
        assert_eq!(refused, Err(EndpointError::TooLong(108)));
        // The decoded path counts.
        let spaces = format!("unix:///{}", "%20".repeat(MAX_SOCKET_PATH - 1));
        assert!(spaces.parse::<EndpointSocket>().is_ok());
    }

    #[test]
    fn every_path_can_be_written_as_an_address() {
        for path in ["/run/a b/\u{fc}#?:%.sock", "/tmp/plain.sock"] {
            let text = EndpointSocket::of_unix_path(Path::new(path));
            assert_eq!(unix_path(&text), Some(PathBuf::from(path)), "{text}");
        }
    }
}
