//! What a request that was allowed is carried out with.

use std::{marker::PhantomData, sync::Arc};

use spike_mtls::Peer;
use spike_wire::Call;

use crate::policy::Permission;

/// Proof that one request was allowed. It carries that request, so that nothing else can be done with it, and whoever carries
/// the request out takes it by value. Only [`super::Access`] makes it; it is neither `Clone` nor `Copy`.
#[derive(Debug)]
pub struct Grant<C: Call, R = <C as Call>::Request> {
    request: R,
    /// Nobody outside of [`super`] can write these fields, so nobody else can make a grant.
    scope: Scope,
    peer: Peer,
    call: PhantomData<fn() -> C>,
}

#[derive(Debug)]
pub(super) enum Scope {
    /// What was asked for, and all of it.
    Whole,
    /// Only the names on which a policy gives this peer this permission.
    NamesOpenTo(Permission),
}

impl<C: Call, R> Grant<C, R> {
    pub(super) const fn new(request: R, scope: Scope, peer: Peer) -> Self {
        Self { request, scope, peer, call: PhantomData }
    }

    /// What was allowed.
    pub(crate) const fn request(&self) -> &R {
        &self.request
    }

    /// What was allowed and who asked, once the grant is used up.
    pub(crate) fn into_parts(self) -> (R, Peer) {
        (self.request, self.peer)
    }

    /// Whose names may be shown and by which permission; `None` for all names.
    pub(crate) fn names_open_to(&self) -> Option<(Arc<str>, Permission)> {
        match &self.scope {
            Scope::Whole => None,
            Scope::NamesOpenTo(wanted) => Some((self.peer.shared_id(), *wanted)),
        }
    }

    /// Who asks.
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl<C: Call> Grant<C, ()> {
    /// The same for a request that was read after the decision, which did not depend on it.
    pub(crate) fn carrying<R>(self, request: R) -> Grant<C, R> {
        Grant::new(request, self.scope, self.peer)
    }
}
