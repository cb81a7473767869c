//! What a request that was allowed is carried out with.

use std::{marker::PhantomData, sync::Arc};

use super::{asked::Asked, principal::Principal};
use crate::policy::Permission;

/// Proof that one request was allowed. It carries that request, so that nothing else can be done with it, and whoever carries
/// the request out takes it by value. Only [`super::Access`] makes it; it is neither `Clone` nor `Copy`.
#[derive(Debug)]
pub struct Grant<R> {
    request: R,
    /// Nobody outside of [`super`] can write these fields, so nobody else can make a grant.
    scope: Scope,
    principal: Principal,
}

/// The same for a request that is read after the decision, which does not depend on it.
#[derive(Debug)]
pub struct UnreadGrant<R> {
    scope: Scope,
    principal: Principal,
    request: PhantomData<fn() -> R>,
}

#[derive(Debug)]
pub(super) enum Scope {
    /// What was asked for, and all of it.
    Whole,
    /// Only the names on which a policy gives this principal this permission.
    NamesOpenTo(Permission),
}

impl<R: Asked> Grant<R> {
    pub(super) const fn new(request: R, scope: Scope, principal: Principal) -> Self {
        Self { request, scope, principal }
    }

    /// What was allowed.
    pub(crate) const fn request(&self) -> &R {
        &self.request
    }

    /// What was allowed and who asked, once the grant is used up.
    pub(crate) fn into_parts(self) -> (R, Principal) {
        (self.request, self.principal)
    }

    /// Whose names may be shown and by which permission; `None` for all names.
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

    /// The grant of the request, now that it was read.
    pub(crate) fn carrying(self, request: R) -> Grant<R> {
        Grant::new(request, self.scope, self.principal)
    }
}
