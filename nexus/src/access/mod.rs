//! Who may do what, and the only maker of a [`Grant`].
//!
//! Every operation has a [`Rule`] in the table of operations; there is no default. Whatever reads or changes anything takes a
//! [`Grant`] of the call that it carries out, so that a handler that forgets to ask does not compile. The rules are those of
//! wire-api 5.3: built-in roles first, then policies.

pub(crate) mod grant;

use std::{borrow::Cow, sync::Arc};

use spike_domain::{Role, SecretPath, TrustRootsByRole};
use spike_mtls::Peer;
use spike_wire::{Call, Rule, Subject};

pub use self::grant::Grant;
use self::grant::Scope;
use crate::{
    error::Error,
    keys::seal::Seal,
    policy::{Decision, Permission, ReservedRule},
};

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

    /// Whether `peer` may do what it asks for, on the path that its request names. Nothing of the request has been validated
    /// yet.
    ///
    /// # Errors
    /// [`Error::Denied`] with a reason for the audit log; the peer learns only that it was denied.
    pub fn authorize<C: Call>(&self, peer: &Peer, request: C::Request) -> Result<Grant<C>, Error> {
        let path = match C::subject(&request) {
            Subject::Path(path) => path,
            Subject::Named(_) | Subject::Share(_) | Subject::Nothing => "",
        };
        let scope = self.decide(peer, C::OPERATION.rule(), path)?;
        Ok(Grant::new(request, scope, peer.clone()))
    }

    /// As [`Self::authorize`], before the request is parsed. It does not compile for a call whose rule is about the path of
    /// the request.
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub fn authorize_unread<C: Call>(&self, peer: &Peer) -> Result<Grant<C, ()>, Error> {
        const { assert!(!C::OPERATION.rule().is_on_the_path(), "the path must be read first") };
        let scope = self.decide(peer, C::OPERATION.rule(), "")?;
        Ok(Grant::new((), scope, peer.clone()))
    }

    fn decide(&self, peer: &Peer, rule: Rule, path: &str) -> Result<Scope, Error> {
        let is = |role| self.roots.hold(role, peer.id());
        match rule {
            Rule::Roles(roles) if roles.iter().copied().any(is) => Ok(Scope::Whole),
            Rule::Roles(_) => Err(denied(rule.only())),
            _ if is(Role::PilotSuperuser) => Ok(Scope::Whole),
            Rule::Cipher(..) if is(Role::LiteWorkload) => Ok(Scope::Whole),
            _ if is(Role::LiteWorkload) => Err(denied(rule.only())),
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
        self.seal.decide(|policies| {
            // The lite backend has no policies, so that only the built-in roles get in.
            let Some(policies) = policies else {
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
        self.seal.decide(|policies| {
            let Some(policies) = policies else { return Err(otherwise) };
            if policies.set().paths_open_to(self.reserved, peer.id(), wanted).is_empty() {
                return Err(otherwise);
            }
            Ok(Scope::NamesOpenTo(wanted))
        })
    }
}

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Every source that has a part in carrying out requests.
    fn sources(directory: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                sources(&path, found);
            } else if path.is_file() {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.display().to_string(), text));
            }
        }
    }

    #[test]
    fn nothing_that_carries_out_a_request_reaches_the_keys_as_a_task_of_the_daemon() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        for directory in ["serve", "service"] {
            sources(&root.join(directory), &mut found);
        }
        assert!(found.len() > 10, "{found:?}");
        for (path, text) in found {
            assert!(!text.contains("OwnTask"), "{path}: only a grant leads to the keys here");
        }
    }
}
