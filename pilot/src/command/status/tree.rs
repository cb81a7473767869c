//! A look for JSON and YAML. The fields are stable, and always present.

use spike_mtls::PeerCertificate;

use super::look::{KeeperSeen, Look, Shown};
use crate::command::operator::status_node;
use crate::output::Node;

/// The whole look. `error` says why Nexus did not answer, if it did not.
pub(super) fn node<'a>(look: &'a Look, error: Option<&'a str>) -> Node<'a> {
    let keepers = look.seen.keepers.iter().flatten().map(|keeper| {
        let KeeperSeen { index, url, shown } = keeper;
        Node::map([
            ("index", Node::Integer((*index).into())),
            ("url", Node::Text(url)),
            ("svid", shown.as_ref().map_or(Node::Null, certificate)),
            ("error", why(shown)),
        ])
    });
    let nexus = &look.seen.nexus;
    Node::map([
        ("at", Node::Time(look.at)),
        ("api", Node::Text(&look.api)),
        ("nexus", look.answer.as_ref().map_or(Node::Null, status_node)),
        ("error", Node::optional(error)),
        ("svid", look.own.as_ref().map_or(Node::Null, certificate)),
        ("nexusSvid", nexus.as_ref().map_or(Node::Null, certificate)),
        ("nexusSvidError", why(nexus)),
        ("keepers", Node::List(keepers.collect())),
    ])
}

fn why(shown: &Shown) -> Node<'_> {
    Node::optional(shown.as_ref().err().map(String::as_str))
}

fn certificate(certificate: &PeerCertificate) -> Node<'_> {
    Node::map([
        ("id", Node::Text(&certificate.id)),
        ("notBefore", Node::Time(certificate.not_before)),
        ("notAfter", Node::Time(certificate.not_after)),
    ])
}
