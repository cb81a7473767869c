//! The proof that a request was allowed.

use std::{marker::PhantomData, sync::Arc};

use super::{asked::Asked, principal::Principal};
use crate::policy::Permission;

/// Proof that one request was allowed. It carries that request, so it permits nothing else, and the method that carries the
/// request out takes it by value. Only [`super::Access`] makes it. It is neither `Clone` nor `Copy`.
#[derive(Debug)]
pub struct Grant<R> {
    request: R,
    /// Code outside of [`super`] cannot write these fields, so it cannot make a grant.
    scope: Scope,
    principal: Principal,
}

/// A grant for a request that is read after the decision. The decision does not depend on it.
#[derive(Debug)]
pub struct UnreadGrant<R> {
    scope: Scope,
    principal: Principal,
    request: PhantomData<fn() -> R>,
}

#[derive(Debug)]
pub(super) enum Scope {
    /// The whole request.
    Whole,
    /// Only the names on which a policy gives this principal this permission.
    NamesOpenTo(Permission),
}

impl<R: Asked> Grant<R> {
    pub(super) const fn new(request: R, scope: Scope, principal: Principal) -> Self {
        Self { request, scope, principal }
    }

    /// The request that was allowed.
    pub(crate) const fn request(&self) -> &R {
        &self.request
    }

    /// Whom the request acts for.
    pub(crate) const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The request and its principal. Uses up the grant.
    pub(crate) fn into_parts(self) -> (R, Principal) {
        (self.request, self.principal)
    }

    /// The principal and the permission that limit the names of a list; `None` for all names.
    pub(crate) fn names_open_to(&self) -> Option<(Arc<str>, Permission)> {
        match &self.scope {
            Scope::Whole => None,
            Scope::NamesOpenTo(wanted) => Some((self.principal.shared_id(), *wanted)),
        }
    }
}

impl<R: Asked> UnreadGrant<R> {
    pub(super) const fn new(scope: Scope, principal: Principal) -> Self {
        Self { scope, principal, request: PhantomData }
    }

    /// The grant, once the request has been read.
    pub(crate) fn carrying(self, request: R) -> Grant<R> {
        Grant::new(request, self.scope, self.principal)
    }
}
