//! The decision. Every operation has a [`Rule`] in the table of operations; there is no default. The rules are those of
//! wire-api 5.3: built-in roles first, then policies.

use std::{borrow::Cow, sync::Arc, time::Instant};

use spike_domain::{Role, SecretPath, TrustRootsByRole};
use spike_wire::Rule;

use super::{
    asked::{Asked, Operation, Subject},
    decisions::{Decided, Decisions},
    grant::{Grant, Scope, UnreadGrant},
    principal::Principal,
};
use crate::{
    error::Error,
    keys::seal::Seal,
    policy::{Decision, Permission, ReservedRule},
};

/// Authorizes requests.
#[derive(Debug)]
pub struct Access {
    roots: Arc<TrustRootsByRole>,
    seal: Arc<Seal>,
    reserved: ReservedRule,
    decisions: Arc<Decisions>,
}

impl Access {
    /// Recognises the built-in roles under these trust roots, and uses the policies of the unsealed Nexus with this rule for
    /// reserved paths.
    pub fn new(roots: Arc<TrustRootsByRole>, seal: Arc<Seal>, reserved: ReservedRule) -> Self {
        Self { roots, seal, reserved, decisions: Arc::default() }
    }

    /// What was decided so far.
    pub const fn decisions(&self) -> &Arc<Decisions> {
        &self.decisions
    }

    /// Which patterns cover a reserved path.
    pub const fn reserved(&self) -> ReservedRule {
        self.reserved
    }

    /// The trust roots of the built-in roles.
    pub fn roots(&self) -> &TrustRootsByRole {
        &self.roots
    }

    /// Authorizes `principal` for the operation of the request, on the path in the request. No field has been validated yet. It
    /// does not compile for a request whose rule is about a path and whose type names none.
    ///
    /// # Errors
    /// [`Error::Denied`] with a reason for the audit log; the caller learns only that it was denied.
    pub fn authorize<R: Asked>(&self, principal: Principal, request: R) -> Result<Grant<R>, Error> {
        const {
            let is_about_a_path = matches!(R::SUBJECT, Subject::Path(_));
            assert!(R::OPERATION.rule().is_on_the_path() == is_about_a_path, "path or no path?");
        }
        let path = match R::SUBJECT {
            Subject::Path(path) => path(&request),
            Subject::Named(_) | Subject::Share(_) | Subject::Nothing => "",
        };
        let scope = self.decide(&principal, R::OPERATION.rule(), On::Path(path))?;
        Ok(Grant::new(request, scope, principal))
    }

    /// Whether `principal` may carry the operation out at all: on some path, if the rule is about paths. It is asked before a
    /// large body is read. It gives no grant: the request is still to be authorized.
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub fn may_somewhere(&self, principal: &Principal, operation: Operation) -> Result<(), Error> {
        let begun = Instant::now();
        let (_, decision) = self.judge(principal, operation.rule(), On::Any);
        // One that goes on is decided, and counted, once its path is known.
        if decision.is_err() {
            self.decisions.count(Decided::Denied, begun.elapsed());
        }
        decision.map(drop)
    }

    /// As [`Self::authorize`], before the request is parsed. It does not compile for one whose rule is about its path.
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub fn authorize_unread<R: Asked>(
        &self,
        principal: Principal,
    ) -> Result<UnreadGrant<R>, Error> {
        const { assert!(!R::OPERATION.rule().is_on_the_path(), "the path must be read first") };
        let scope = self.decide(&principal, R::OPERATION.rule(), On::Any)?;
        Ok(UnreadGrant::new(scope, principal))
    }

    fn decide(&self, principal: &Principal, rule: Rule, on: On<'_>) -> Result<Scope, Error> {
        let begun = Instant::now();
        let (by, decision) = self.judge(principal, rule, on);
        let decided = if decision.is_ok() { by } else { Decided::Denied };
        self.decisions.count(decided, begun.elapsed());
        decision
    }

    /// The decision, and what makes it. It is not counted.
    fn judge(
        &self,
        principal: &Principal,
        rule: Rule,
        on: On<'_>,
    ) -> (Decided, Result<Scope, Error>) {
        match self.by_role(principal, rule) {
            Some(decision) => (Decided::ByRole, decision),
            None => (Decided::ByPolicy, self.by_policies(principal, rule, on)),
        }
    }

    /// The decision, if the role of the principal makes it.
    fn by_role(&self, principal: &Principal, rule: Rule) -> Option<Result<Scope, Error>> {
        let is = |role| self.roots.hold(role, principal.id());
        match rule {
            Rule::Roles(roles) if roles.iter().copied().any(is) => Some(Ok(Scope::Whole)),
            Rule::Roles(_) => Some(Err(denied(rule.only()))),
            _ if is(Role::PilotSuperuser) => Some(Ok(Scope::Whole)),
            Rule::Cipher(..) if is(Role::LiteWorkload) => Some(Ok(Scope::Whole)),
            _ if is(Role::LiteWorkload) => Some(Err(denied(rule.only()))),
            Rule::OnThePath(_) | Rule::OnSystemPath(..) | Rule::Cipher(..) | Rule::Names(..) => {
                None
            }
        }
    }

    fn by_policies(&self, principal: &Principal, rule: Rule, on: On<'_>) -> Result<Scope, Error> {
        match rule {
            // No policy gives what only a role has.
            Rule::Roles(_) => Err(denied(rule.only())),
            Rule::OnThePath(wanted) => match on {
                On::Path(path) => self.by_policy(principal, path, wanted),
                On::Any => self.anywhere(principal, wanted),
            },
            Rule::OnSystemPath(wanted, system) | Rule::Cipher(wanted, system) => {
                self.by_policy(principal, system, wanted)
            }
            Rule::Names(wanted, system) => self
                .by_policy(principal, system, wanted)
                .or_else(|denied| self.names(principal, wanted, denied)),
        }
    }

    fn by_policy(
        &self,
        principal: &Principal,
        path: &str,
        wanted: Permission,
    ) -> Result<Scope, Error> {
        self.seal.decide(|policies| {
            // The lite backend has no policies, so only the built-in roles are allowed.
            let Some(policies) = policies else {
                return Err(denied("this backend has no policies".to_owned()));
            };
            // Paths are validated later (wire-api 4.3). What is certainly no path is not searched for.
            if path.len() > SecretPath::MAX_LEN {
                return Err(denied("the path is too long to be one".to_owned()));
            }
            let searched = in_ascii(path);
            let decision =
                policies.set().decide_by(self.reserved, principal.id(), &searched, wanted);
            match decision {
                Decision::Allowed { .. } => Ok(Scope::Whole),
                Decision::Denied => Err(denied(why_denied(path, wanted))),
            }
        })
    }

    /// A workload that may not list all names sees the names that a permission covers.
    fn names(
        &self,
        principal: &Principal,
        wanted: Permission,
        otherwise: Error,
    ) -> Result<Scope, Error> {
        if self.has_open_paths(principal, wanted)? {
            return Ok(Scope::NamesOpenTo(wanted));
        }
        Err(otherwise)
    }

    fn anywhere(&self, principal: &Principal, wanted: Permission) -> Result<Scope, Error> {
        if self.has_open_paths(principal, wanted)? {
            return Ok(Scope::Whole);
        }
        Err(denied(format!("no policy lets it {wanted} anything, so its large body was not read")))
    }

    /// Whether a policy gives `principal` this permission on some path.
    fn has_open_paths(&self, principal: &Principal, wanted: Permission) -> Result<bool, Error> {
        self.seal.decide(|policies| {
            Ok(policies.is_some_and(|policies| {
                let set = policies.set();
                !set.paths_open_to(self.reserved, principal.id(), wanted).is_empty()
            }))
        })
    }
}

/// What a decision is about.
#[derive(Clone, Copy, Debug)]
enum On<'p> {
    /// The path of the request.
    Path(&'p str),
    /// No path, or any.
    Any,
}

/// How many characters of a path the reason of a denial repeats.
const QUOTED: usize = 120;

/// `path`, if patterns are searched in it quickly. A path that is not ASCII is refused at validation, whatever the decision
/// was, so a placeholder for its characters changes only how it is refused.
fn in_ascii(path: &str) -> Cow<'_, str> {
    if path.is_ascii() {
        return Cow::Borrowed(path);
    }
    Cow::Owned(path.chars().map(|c| if c.is_ascii() { c } else { '\u{7f}' }).collect())
}

/// The reason of a denial, for the audit log. Its cost does not depend on the policies: a search for near misses takes long,
/// and a denied peer could cause it as often as it likes. Operators ask `explain`.
fn why_denied(path: &str, wanted: Permission) -> String {
    match path.char_indices().nth(QUOTED) {
        None => format!("no policy lets it {wanted} {path:?}"),
        Some((end, _)) => {
            let beginning = path.get(..end).unwrap_or_default();
            format!("no policy lets it {wanted} a path that begins with {beginning:?}")
        }
    }
}

const fn denied(reason: String) -> Error {
    Error::Denied(reason)
}
