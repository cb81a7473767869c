//! Questions about policies: why may somebody do something, who may do it, and which policies are probably mistakes. They are
//! answered off the threads that serve requests, without holding a lock on the policies.

use std::collections::HashMap;

use spike_domain::{PERMISSIONS, Role, SecretPath, TrustRootsByRole};

use super::{
    Nexus,
    long_work::{Deadline, Lane},
    trust_domains::without_bundle,
};
use crate::{
    access::{Asked, Grant, Operation, Subject},
    error::Error,
    policies::policy_of,
    policy::{CIPHER_PATH, Explanation, Grantee, Permission, Policy, lint},
};

/// The longest SPIFFE ID, in bytes: its standard's limit.
const MAX_SPIFFE_ID: usize = 2048;

/// The most near misses in an answer.
const NEAR_MISSES: usize = 5;

/// Asks why somebody may, or may not, do something. No field is checked yet.
#[derive(Debug)]
pub struct Explain {
    /// The SPIFFE ID of the caller.
    pub spiffe_id: String,
    /// The path.
    pub path: String,
    /// The word of the permission.
    pub permission: String,
}

/// Asks who may do something to a path. No field is checked yet.
#[derive(Debug)]
pub struct AskWhoCan {
    /// The path.
    pub path: String,
    /// The word of the permission.
    pub permission: String,
}

/// Asks for probable mistakes in the stored policies.
#[derive(Debug)]
pub struct LintPolicies;

/// Why somebody may, or may not, do something.
#[derive(Debug)]
pub enum Explained {
    /// A built-in role decides, independent of the policies.
    ByRole {
        /// The role.
        role: Role,
        /// Its answer.
        allowed: bool,
        /// How many policies there are.
        policies: usize,
        /// How many of them cannot be read, and allow nothing.
        unusable: usize,
    },
    /// The policies decide.
    ByPolicies(Explanation),
}

/// An explanation, and what else stands in the way.
#[derive(Debug)]
pub struct Explanatory {
    /// Who decides, and how.
    pub explained: Explained,
    /// The trust domain of the SPIFFE ID, if no trust bundle of it is held.
    pub no_bundle_of: Option<String>,
}

/// Everybody who may do something to a path.
#[derive(Debug)]
pub struct WhoCan {
    /// The SPIFFE IDs of the roles that need no policy. IDs below them have the same role.
    pub roles: Vec<String>,
    /// Who is allowed by a policy, in the order of the policies' names.
    pub grantees: Vec<Grantee>,
}

/// The probable mistakes in the stored policies.
#[derive(Debug)]
pub struct Linted {
    /// Every finding, in the order of the policies' names.
    pub findings: Vec<lint::Finding>,
    /// How many policies were examined.
    pub policies: usize,
}

impl Asked for Explain {
    const OPERATION: Operation = Operation::PolicyExplain;
    const SUBJECT: Subject<Self> = Subject::Named(|asked| &asked.path);
}

impl Asked for AskWhoCan {
    const OPERATION: Operation = Operation::PolicyWhoCan;
    const SUBJECT: Subject<Self> = Subject::Named(|asked| &asked.path);
}

impl Asked for LintPolicies {
    const OPERATION: Operation = Operation::PolicyLint;
    const SUBJECT: Subject<Self> = Subject::Nothing;
}

impl Nexus {
    /// Explains why `spiffe_id` may, or may not, do what is asked. `then` makes the answer, on the thread that did the work.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown permission, and for a SPIFFE ID or a path that is too long; [`Error::Busy`],
    /// [`Error::TookTooLong`].
    pub async fn explain<T: Send + 'static>(
        &self,
        grant: Grant<Explain>,
        then: impl FnOnce(Explanatory) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let unsealed = self.seal.granted(&grant);
        let (Explain { spiffe_id, path, permission: asked }, caller) = grant.into_parts();
        let wanted = permission(&asked)?;
        bounded("spiffeId", &spiffe_id, MAX_SPIFFE_ID)?;
        bounded("path", &path, SecretPath::MAX_LEN)?;
        let unsealed = unsealed?;
        let rule = self.access.reserved();
        let no_bundle_of = without_bundle(&self.trust_domains.names(), &spiffe_id);
        let by_role = by_role(self.access.roots(), &spiffe_id, &path, wanted);
        let work = move |deadline: Deadline| {
            let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
            if let Some((allowed, role)) = by_role {
                let set = policies.set();
                let (policies, unusable) = (set.len(), set.unusable().len());
                let explained = Explained::ByRole { role, allowed, policies, unusable };
                return then(Explanatory { explained, no_bundle_of });
            }
            // The lock on the policies ends with this statement.
            let question = policies.set().question(rule, &spiffe_id, &path, wanted);
            let explanation = question.explain(NEAR_MISSES, || deadline.check())?;
            then(Explanatory { explained: Explained::ByPolicies(explanation), no_bundle_of })
        };
        let narrower = "ask `can-i` for a decision alone";
        self.long_work.run(Lane::Questions, &caller, narrower, work).await
    }

    /// Lists who may do what is asked. `then` as for [`Self::explain`].
    ///
    /// # Errors
    /// As [`Self::explain`].
    pub async fn who_can<T: Send + 'static>(
        &self,
        grant: Grant<AskWhoCan>,
        then: impl FnOnce(WhoCan) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let unsealed = self.seal.granted(&grant);
        let (AskWhoCan { path, permission: asked }, caller) = grant.into_parts();
        let wanted = permission(&asked)?;
        bounded("path", &path, SecretPath::MAX_LEN)?;
        let unsealed = unsealed?;
        let rule = self.access.reserved();
        let roots = self.access.roots();
        let mut roles: Vec<String> =
            roots.of(Role::PilotSuperuser).ids(Role::PilotSuperuser).collect();
        if is_cipher(&path, wanted) {
            roles.extend(roots.of(Role::LiteWorkload).ids(Role::LiteWorkload));
        }
        let work = move |deadline: Deadline| {
            let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
            let question = policies.set().ask_who_can(rule, &path, wanted);
            let grantees = question.answer(|| deadline.check())?;
            then(WhoCan { roles, grantees })
        };
        let narrower = "list the policies whose patterns hold a part of the path";
        self.long_work.run(Lane::Questions, &caller, narrower, work).await
    }

    /// Lists probable mistakes in the stored policies. `then` as for [`Self::explain`].
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::TookTooLong`], [`Error::Store`].
    pub async fn lint_policies<T: Send + 'static>(
        &self,
        grant: Grant<LintPolicies>,
        then: impl FnOnce(Linted) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let unsealed = self.seal.granted(&grant)?;
        let (LintPolicies, caller) = grant.into_parts();
        let rule = self.access.reserved();
        let held = self.trust_domains.names();
        let work = move |deadline: Deadline| {
            let stored = unsealed.store()?.policies()?.policies;
            deadline.check()?;
            let policies: Vec<_> = stored.iter().map(policy_of).collect();
            let mut findings = lint::lint_all_by(rule, &policies, || deadline.check())?;
            add_missing_bundles(&mut findings, &policies, &held);
            then(Linted { findings, policies: policies.len() })
        };
        let narrower = "check them in files, with `spike policy lint --file`";
        self.long_work.run(Lane::Questions, &caller, narrower, work).await
    }
}

/// Adds the findings about trust domains whose bundles are not held, each beside the others about its policy.
fn add_missing_bundles(findings: &mut Vec<lint::Finding>, policies: &[Policy], held: &[String]) {
    if held.is_empty() {
        return;
    }
    let is_held = |domain: &str| held.iter().any(|held| held == domain);
    findings.extend(policies.iter().filter_map(|policy| lint::without_bundle(policy, is_held)));
    let order: HashMap<&str, usize> =
        policies.iter().enumerate().map(|(at, policy)| (policy.name.as_str(), at)).collect();
    findings.sort_by_key(|finding| order.get(finding.policy.as_str()).copied());
}

/// Refuses a text that is longer than a valid one can be.
fn bounded(field: &'static str, text: &str, limit: usize) -> Result<(), Error> {
    if text.len() <= limit {
        return Ok(());
    }
    let reason = format!("has {} bytes, at most {limit} are allowed", text.len());
    Err(Error::Invalid { field, reason })
}

fn permission(word: &str) -> Result<Permission, Error> {
    Permission::from_word(word).ok_or_else(|| Error::Invalid {
        field: "permission",
        reason: format!("expected one of {}", PERMISSIONS.join(", ")),
    })
}

/// The answer of the built-in roles, if they have one; then the policies are not asked (wire-api 5.3).
fn by_role(
    roots: &TrustRootsByRole,
    id: &str,
    path: &str,
    wanted: Permission,
) -> Option<(bool, Role)> {
    if roots.hold(Role::PilotSuperuser, id) {
        return Some((true, Role::PilotSuperuser));
    }
    let lite = roots.hold(Role::LiteWorkload, id);
    lite.then(|| (is_cipher(path, wanted), Role::LiteWorkload))
}

fn is_cipher(path: &str, wanted: Permission) -> bool {
    path == CIPHER_PATH && wanted == Permission::Execute
}
