//! The list of Keepers.

use std::{collections::HashSet, str::FromStr};

use super::{HttpsUrl, HttpsUrlError};

/// The Keepers in the order of their shares. The order matters for the key: the first Keeper holds share 1, and so on
/// (cli-config-deploy 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeeperPeers(Vec<HttpsUrl>);

/// What is wrong with a list of Keepers. Positions count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeeperPeersError {
    /// An empty element: a trailing or a double comma.
    #[error("element {0} of the list is empty (a stray comma?)")]
    Empty(usize),
    /// An element that is not an https URL.
    #[error("element {0} of the list: {1}")]
    Url(usize, HttpsUrlError),
    /// A repeated Keeper: it would count one share as two.
    #[error("element {0} of the list repeats an earlier one")]
    Repeated(usize),
}

impl KeeperPeers {
    /// The number of Keepers; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a list that was read is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each Keeper with the index of its share, from 1.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &HttpsUrl)> {
        (1..=u16::MAX).zip(&self.0)
    }
}

impl FromStr for KeeperPeers {
    type Err = KeeperPeersError;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let mut seen = HashSet::new();
        let mut read = |(position, element): (usize, &str)| {
            let element = element.trim();
            if element.is_empty() {
                return Err(KeeperPeersError::Empty(position));
            }
            let url: HttpsUrl =
                element.parse().map_err(|error| KeeperPeersError::Url(position, error))?;
            // Upstream compares texts; here two spellings of one address are one Keeper.
            let (host, port, prefix) = url.place();
            if !seen.insert((host, port, prefix.to_owned())) {
                return Err(KeeperPeersError::Repeated(position));
            }
            Ok(url)
        };
        (1..).zip(list.split(',')).map(&mut read).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_in_the_list_is_the_index_of_the_share() {
        let peers: KeeperPeers = "https://k1:8443, https://k2:8543 ,https://k3".parse().unwrap();
        let listed: Vec<_> = peers.iter().map(|(index, url)| (index, url.to_string())).collect();
        let expected = [(1, "https://k1:8443"), (2, "https://k2:8543"), (3, "https://k3")];
        assert_eq!(listed, expected.map(|(index, url)| (index, url.to_owned())));
        assert_eq!(peers.len(), 3);
    }

    #[test]
    fn refuses_what_upstream_refuses_and_names_the_element() {
        use KeeperPeersError::{Empty, Repeated, Url};
        let cases = [
            ("https://a,", Empty(2)),
            ("https://a,,https://b", Empty(2)),
            (" ", Empty(1)),
            ("https://a,http://b", Url(2, HttpsUrlError::Scheme)),
            ("https://", Url(1, HttpsUrlError::Host)),
            ("https://a,https://b,https://a", Repeated(3)),
            ("https://a,https://A:443/", Repeated(2)),
            ("https://a:8443,https://a.:8443", Repeated(2)),
            ("https://[::1]:8443,https://[0:0:0:0:0:0:0:1]:8443", Repeated(2)),
        ];
        for (list, expected) in cases {
            assert_eq!(list.parse::<KeeperPeers>(), Err(expected), "{list:?}");
        }
    }
}
