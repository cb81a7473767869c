//! The address of the SPIFFE Workload API.

use std::{fmt, path::Path, str::FromStr};

use spiffe::transport::{Endpoint, EndpointError};

/// `unix:` and an absolute path, or `tcp:` and an IP address with a port: what the SPIFFE Workload Endpoint
/// specification allows in `SPIFFE_ENDPOINT_SOCKET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSocket {
    text: String,
    endpoint: Endpoint,
}

impl EndpointSocket {
    /// The address as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path of the socket; `None` where the address is a TCP one.
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.endpoint {
            Endpoint::Unix(path) => Some(path),
            _ => None,
        }
    }
}

impl FromStr for EndpointSocket {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { endpoint: Endpoint::parse(text)?, text: text.to_owned() })
    }
}

impl fmt::Display for EndpointSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_an_absolute_socket_path_or_an_ip_address_with_a_port() {
        let unix_path = |text: &str| {
            let endpoint: EndpointSocket = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), text);
            endpoint.unix_path().map(Path::to_owned)
        };
        assert_eq!(
            unix_path("unix:///run/agent.sock").as_deref(),
            Some("/run/agent.sock".as_ref())
        );
        assert_eq!(unix_path("unix:/run/agent.sock").as_deref(), Some("/run/agent.sock".as_ref()));
        assert_eq!(unix_path("tcp://127.0.0.1:8080"), None);
    }

    #[test]
    fn refuses_what_no_agent_can_listen_on() {
        // cli-config-deploy 7.1: "malformed SPIFFE_ENDPOINT_SOCKET" is an immediate end upstream.
        let bad = [
            "/run/agent.sock",
            "unix:agent.sock",
            "unix://run/agent.sock",
            "tcp://localhost:80",
            "tcp://127.0.0.1",
            "http://127.0.0.1:80",
            "unix:///",
        ];
        for text in bad {
            assert!(text.parse::<EndpointSocket>().is_err(), "{text}");
        }
    }
}
