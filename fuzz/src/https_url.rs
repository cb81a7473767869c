//! The URL of an API, and the list of Keepers.

use std::collections::HashSet;

use spike_config::{HttpsUrl, KeeperPeers};

/// See the module.
pub fn check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let alone = text.parse::<HttpsUrl>();
    if let Ok(url) = &alone {
        assert_one_form(url);
    }
    let Ok(peers) = text.parse::<KeeperPeers>() else { return alone.is_ok() };

    let urls: Vec<&HttpsUrl> = peers.iter().map(|(_, url)| url).collect();
    for url in &urls {
        assert_one_form(url);
    }
    assert_eq!(urls.iter().collect::<HashSet<_>>().len(), peers.len(), "one Keeper counts twice");
    let indices: Vec<u16> = peers.iter().map(|(index, _)| index).collect();
    assert!(indices.iter().zip(1..).all(|(&index, position)| index == position));
    let written: Vec<String> = urls.iter().map(ToString::to_string).collect();
    assert_eq!(written.join(",").parse(), Ok(peers.clone()), "prints what reads back");
    true
}

/// The printed form of an address reads back as itself, and only the route follows it in a request.
fn assert_one_form(url: &HttpsUrl) {
    let text = url.to_string();
    assert_eq!(text.parse().as_ref(), Ok(url));
    assert!(url.port() != 0 && !url.host().is_empty(), "{text}");
    assert!(!url.host().contains(['@', '/']), "{text}");
    assert!(!text.ends_with('/') && !text.contains(['?', '#', ' ']), "{text}");
    let joined: HttpsUrl = url.join("/v1/store/shard").parse().expect("a route can follow");
    assert_eq!((joined.host(), joined.port()), (url.host(), url.port()));
}
