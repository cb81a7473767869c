//! The address of an HTTPS API.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use http::Uri;

use super::address::is_host_name;

/// `https`, a host, and optionally a port and a path that precedes every route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpsUrl {
    /// In lower case; an IPv6 address in brackets.
    host: String,
    port: u16,
    /// Empty, or with a slash at the start and none at the end.
    prefix: String,
}

/// Why a text is not an https URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpsUrlError {
    /// Not a URL at all.
    #[error("not a URL")]
    Malformed,
    /// Another scheme, or none. SPIKE uses only mTLS.
    #[error("the scheme is not https")]
    Scheme,
    /// No host.
    #[error("the host is missing")]
    Host,
    /// A host that is neither an IPv6 address in brackets nor a host name.
    #[error("the host is neither an IP address nor a host name")]
    NotAHost,
    /// A port outside 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A user name before the host: identity comes from the SVID.
    #[error("a user name or password does not belong here")]
    Credentials,
    /// A query or fragment after the path.
    #[error("a query or fragment does not belong here")]
    Query,
}

impl HttpsUrl {
    /// The host: a name in lower case, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 443 if the URL has none.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What is equal for two spellings of one address: a dot at the end of a name and the zeros of an IPv6 address change nothing.
    pub(super) fn place(&self) -> (String, u16, &str) {
        let inner = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = inner.and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        let host = address.map_or_else(
            || self.host.strip_suffix('.').unwrap_or(&self.host).to_owned(),
            |address| address.to_string(),
        );
        (host, self.port, &self.prefix)
    }

    /// The URL of a route: the prefix of this URL, and `path`, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{self}{path}")
    }
}

impl FromStr for HttpsUrl {
    type Err = HttpsUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A URL is ASCII (RFC 3986). `http` accepts more in the path, such as a no-break space.
        if !text.is_ascii() {
            return Err(HttpsUrlError::Malformed);
        }
        // `http` drops a fragment silently.
        if text.contains('#') {
            return Err(HttpsUrlError::Query);
        }
        let Some((scheme, after)) = text.split_once("://") else {
            return Err(HttpsUrlError::Scheme);
        };
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(HttpsUrlError::Scheme);
        }
        if after.is_empty() || after.starts_with(['/', ':', '?']) {
            return Err(HttpsUrlError::Host);
        }
        let uri: Uri = text.parse().ok().ok_or(HttpsUrlError::Malformed)?;
        let authority = uri.authority().ok_or(HttpsUrlError::Host)?;
        if authority.as_str().contains('@') {
            return Err(HttpsUrlError::Credentials);
        }
        if uri.query().is_some() {
            return Err(HttpsUrlError::Query);
        }
        let host = authority.host();
        // `http` accepts text around the brackets too, and then returns no meaningful host.
        if !is_host(host) {
            return Err(HttpsUrlError::NotAHost);
        }
        // An empty port, `https://host:`, is the default one, also in Go.
        let port = match authority.as_str().get(host.len()..) {
            None | Some("" | ":") => 443,
            Some(_) => match authority.port_u16() {
                None | Some(0) => return Err(HttpsUrlError::Port),
                Some(port) => port,
            },
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { host: host.to_ascii_lowercase(), port, prefix })
    }
}

/// One form for one address: the port only if it is not 443, and no slash at the end.
impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, prefix } = self;
        match port {
            443 => write!(f, "https://{host}{prefix}"),
            _ => write!(f, "https://{host}:{port}{prefix}"),
        }
    }
}

/// An IPv6 address in brackets, an IPv4 address, or a host name, perhaps with a dot at its end.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => is_host_name(text.strip_suffix('.').unwrap_or(text)),
    }
}

/// `text` with everything between `//` and `@` hidden, because it may contain a password.
pub(super) fn without_credentials(text: &str) -> String {
    let hide = |part: &str| match (part.find("//"), part.rfind('@')) {
        (Some(slashes), Some(at)) if slashes + 2 < at => {
            let (before, after) = (part.get(..slashes + 2), part.get(at..));
            format!("{}***{}", before.unwrap_or_default(), after.unwrap_or_default())
        }
        _ => part.to_owned(),
    };
    text.split(',').map(hide).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<HttpsUrl, HttpsUrlError> {
        text.parse()
    }

    #[test]
    fn routes_are_joined_behind_the_prefix() {
        let join = |text: &str| parse(text).unwrap().join("/v1/store/secrets");
        assert_eq!(join("https://localhost:8553"), "https://localhost:8553/v1/store/secrets");
        assert_eq!(join("https://localhost:8553/"), "https://localhost:8553/v1/store/secrets");
        assert_eq!(join("https://gw/team/spike/"), "https://gw/team/spike/v1/store/secrets");
    }

    #[test]
    fn one_address_has_one_form() {
        for same in
            ["https://Nexus.Example", "HTTPS://nexus.example:443/", "https://nexus.example:"]
        {
            assert_eq!(parse(same).unwrap().to_string(), "https://nexus.example");
        }
        assert_eq!(parse("https://nexus.example.").unwrap().host(), "nexus.example.");
        let six = parse("https://[::1]:8553").unwrap();
        assert_eq!((six.host(), six.port()), ("[::1]", 8553));
        assert_eq!(six.to_string(), "https://[::1]:8553");
    }

    #[test]
    fn refuses_what_is_no_https_address_with_the_reason() {
        use HttpsUrlError::{Credentials, Host, Malformed, NotAHost, Port, Query, Scheme};
        let cases = [
            ("localhost:8553", Scheme),
            ("http://localhost:8553", Scheme),
            ("https:", Scheme),
            ("https://", Host),
            ("https:///v1", Host),
            ("https://:8553", Host),
            ("https://nexus[::1]:8553", NotAHost),
            ("https://[nexus]", NotAHost),
            ("https://nexus..example", NotAHost),
            ("https://nexus;x", NotAHost),
            ("https://nexus:99999", Port),
            ("https://nexus:0", Port),
            ("https://user:secret@nexus", Credentials),
            ("https://nexus?x=1", Query),
            ("https://nexus/#x", Query),
            ("https://a b", Malformed),
            ("https://nexus/team\u{a0}", Malformed),
            (" https://nexus", Scheme),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_password_is_hidden_from_what_is_shown() {
        let list = "https://a:hunter2@one,https://two,https://b:hunter2@three";
        assert_eq!(without_credentials(list), "https://***@one,https://two,https://***@three");
    }
}
