//! Whom a request acts for.

use std::sync::Arc;

use spike_mtls::{Peer, budget::Class};
use time::OffsetDateTime;

/// Whom a request acts for: a SPIFFE ID, until its SVID ends. It is made for each request, from the verified peer.
#[derive(Clone, Debug)]
pub struct Principal {
    id: Arc<str>,
    class: Class,
    until: OffsetDateTime,
}

impl Principal {
    /// Its SPIFFE ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its SPIFFE ID, for use after the request.
    pub fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// Whether it may use the part of each budget that is reserved for operators, Nexus and Bootstrap.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The end of its SVID, after which it is allowed nothing.
    pub const fn until(&self) -> OffsetDateTime {
        self.until
    }
}

impl From<&Peer> for Principal {
    fn from(peer: &Peer) -> Self {
        Self { id: peer.shared_id(), class: peer.class(), until: peer.not_after() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_good_for_as_long_as_the_svid_of_its_peer() {
        let peer = Peer::unverified_of("spiffe://spike.ist/operator", Class::Reserved);
        let principal = Principal::from(&peer);
        assert_eq!(principal.until(), peer.not_after());
        assert_eq!((principal.id(), principal.class()), (peer.id(), Class::Reserved));
    }
}
