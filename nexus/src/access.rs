//! Who may do what, and the only maker of a [`Grant`].
//!
//! Every operation has a [`Rule`]; there is no default. Whatever reads or changes anything takes a `&Grant`, so that a
//! route that forgets to ask does not compile. The rules are those of wire-api 5.3: built-in roles first, then policies.

use std::{borrow::Cow, sync::Arc};

use spike_common::{
    identity::{Role, TrustRootsByRole},
    mtls::Peer,
    wire::Operation,
};

use crate::{
    error::Error,
    policy::{ACL_PATH, CIPHER_PATH, Decision, Permission, ReservedRule, SECRET_PATH},
    seal::Seal,
    secret::SecretPath,
};

/// Who may use an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The superuser, and whom a policy gives this permission on the path that is asked for. Never a lite workload.
    OnThePath(Permission),
    /// The superuser, and whom a policy gives this permission on this system path. Never a lite workload.
    OnSystemPath(Permission, &'static str),
    /// As [`Rule::OnSystemPath`] for all names; otherwise those names on which a policy gives this permission.
    Names(Permission, &'static str),
    /// As [`Rule::OnSystemPath`], and lite workloads.
    Cipher(Permission, &'static str),
    /// The recover role only. No policy can grant it, nor the rest.
    Recover,
    /// The restore role only.
    Restore,
    /// Bootstrap only.
    Bootstrap,
    /// Any of the operator's roles.
    Operator,
}

impl Rule {
    /// The rule of an operation. A new operation does not compile without one.
    pub const fn of(operation: Operation) -> Self {
        match operation {
            Operation::SecretPut | Operation::SecretDelete | Operation::SecretUndelete => {
                Self::OnThePath(Permission::Write)
            }
            Operation::SecretGet | Operation::SecretMetadata => Self::OnThePath(Permission::Read),
            Operation::SecretList => Self::Names(Permission::List, SECRET_PATH),
            Operation::PolicyPut | Operation::PolicyDelete => {
                Self::OnSystemPath(Permission::Write, ACL_PATH)
            }
            Operation::PolicyGet
            | Operation::PolicyExplain
            | Operation::PolicyWhoCan
            | Operation::PolicyLint => Self::OnSystemPath(Permission::Read, ACL_PATH),
            Operation::PolicyList => Self::OnSystemPath(Permission::List, ACL_PATH),
            Operation::CipherEncrypt | Operation::CipherDecrypt => {
                Self::Cipher(Permission::Execute, CIPHER_PATH)
            }
            Operation::OperatorRecover => Self::Recover,
            Operation::OperatorRestore => Self::Restore,
            Operation::OperatorStatus => Self::Operator,
            Operation::BootstrapVerify | Operation::BootstrapSurvey => Self::Bootstrap,
        }
    }
}

/// Proof that one request was allowed. Only [`Access`] makes it, and it cannot be kept: it is neither `Clone` nor `Copy`.
#[derive(Debug)]
pub struct Grant {
    /// Nobody outside this module can write these fields, so nobody else can make a grant.
    scope: Scope,
    peer: Peer,
}

#[derive(Debug)]
enum Scope {
    /// What was asked for, and all of it.
    Whole,
    /// Only the names on which a policy gives this peer this permission.
    NamesOpenTo(Permission),
}

impl Grant {
    /// Whose names may be shown and by which permission; `None` for all names.
    pub(crate) fn names_open_to(&self) -> Option<(&str, Permission)> {
        match &self.scope {
            Scope::Whole => None,
            Scope::NamesOpenTo(wanted) => Some((self.peer.id(), *wanted)),
        }
    }

    /// Who asks.
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// Decides.
#[derive(Debug)]
pub struct Access {
    roots: Arc<TrustRootsByRole>,
    seal: Arc<Seal>,
    reserved: ReservedRule,
}

impl Access {
    /// Recognises the built-in roles under these trust roots, and goes by the policies of what `seal` holds and by
    /// this rule for reserved paths.
    pub const fn new(
        roots: Arc<TrustRootsByRole>,
        seal: Arc<Seal>,
        reserved: ReservedRule,
    ) -> Self {
        Self { roots, seal, reserved }
    }

    /// Which patterns open a reserved path.
    pub const fn reserved(&self) -> ReservedRule {
        self.reserved
    }

    /// The trust roots of the built-in roles.
    pub fn roots(&self) -> &TrustRootsByRole {
        &self.roots
    }

    /// Whether `peer` may do `operation` on `path`, which is as the request has it: nothing has been validated yet.
    ///
    /// # Errors
    /// [`Error::Denied`] with a reason for the audit log; the peer learns only that it was denied.
    pub fn authorize(&self, peer: &Peer, operation: Operation, path: &str) -> Result<Grant, Error> {
        let scope = self.scope(peer, operation, path)?;
        Ok(Grant { scope, peer: peer.clone() })
    }

    fn scope(&self, peer: &Peer, operation: Operation, path: &str) -> Result<Scope, Error> {
        let is = |role| self.roots.hold(role, peer.id());
        let only = |role| {
            if is(role) { Ok(Scope::Whole) } else { Err(denied(format!("only {role} may"))) }
        };
        match Rule::of(operation) {
            Rule::Recover => only(Role::PilotRecover),
            Rule::Restore => only(Role::PilotRestore),
            Rule::Bootstrap => only(Role::Bootstrap),
            Rule::Operator if OPERATORS.into_iter().any(is) => Ok(Scope::Whole),
            Rule::Operator => Err(denied("only an operator may".to_owned())),
            _ if is(Role::PilotSuperuser) => Ok(Scope::Whole),
            Rule::Cipher(..) if is(Role::LiteWorkload) => Ok(Scope::Whole),
            _ if is(Role::LiteWorkload) => {
                Err(denied("a lite workload may use the cipher and nothing else".to_owned()))
            }
            Rule::OnThePath(wanted) => self.by_policy(peer, path, wanted),
            Rule::OnSystemPath(wanted, system) | Rule::Cipher(wanted, system) => {
                self.by_policy(peer, system, wanted)
            }
            Rule::Names(wanted, system) => self
                .by_policy(peer, system, wanted)
                .or_else(|denied| self.names(peer, wanted, denied)),
        }
    }

    fn by_policy(&self, peer: &Peer, path: &str, wanted: Permission) -> Result<Scope, Error> {
        self.seal.look(|unsealed| {
            // The lite backend has no policies, so that only the built-in roles get in.
            let Some(policies) = unsealed.policies() else {
                return Err(denied("this backend has no policies".to_owned()));
            };
            // Paths are validated after this (wire-api 4.3); what can be none is not worth a search.
            if path.len() > SecretPath::MAX_LEN {
                return Err(denied("the path is too long to be one".to_owned()));
            }
            let searched = in_ascii(path);
            let decision = policies.set().decide_by(self.reserved, peer.id(), &searched, wanted);
            match decision {
                Decision::Allowed { .. } => Ok(Scope::Whole),
                Decision::Denied => Err(denied(why_denied(path, wanted))),
            }
        })
    }

    /// A workload that may not see all names may see those that a permission on them covers.
    fn names(&self, peer: &Peer, wanted: Permission, otherwise: Error) -> Result<Scope, Error> {
        let unsealed = self.seal.unsealed()?;
        let Some(policies) = unsealed.policies() else { return Err(otherwise) };
        if policies.set().paths_open_to(self.reserved, peer.id(), wanted).is_empty() {
            return Err(otherwise);
        }
        Ok(Scope::NamesOpenTo(wanted))
    }
}

const OPERATORS: [Role; 3] = [Role::PilotSuperuser, Role::PilotRecover, Role::PilotRestore];

/// How much of a path the reason of a denial repeats, in characters.
const QUOTED: usize = 120;

/// `path`, where patterns are quick to search. One that is not ASCII is refused once it is validated, whatever was
/// decided, so that a stand-in for its characters can only change how it is refused.
fn in_ascii(path: &str) -> Cow<'_, str> {
    if path.is_ascii() {
        return Cow::Borrowed(path);
    }
    Cow::Owned(path.chars().map(|c| if c.is_ascii() { c } else { '\u{7f}' }).collect())
}

/// For the audit log. It costs the same whatever policies there are: to find out which came near takes long, and whoever
/// is denied would decide how often. Operators ask `explain`.
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
