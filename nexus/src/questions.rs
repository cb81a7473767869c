//! Questions over policies: why may somebody do something, who may, and what do policies say that nobody meant.

use spike_common::{
    identity::{Role, TrustRootsByRole},
    wire::{
        ExplainRequest, ExplainResponse, Grantee, LintFinding, LintResponse, NearMiss,
        WhoCanRequest, WhoCanResponse,
    },
};

use crate::{
    access::Grant,
    error::Error,
    nexus::Nexus,
    policies::policy_of,
    policy::{Decision, Permission, lint},
};

/// How many near misses an answer has.
const NEAR_MISSES: usize = 5;

impl Nexus {
    /// Why `request.spiffe_id` may, or may not, do what is asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a word that is no permission.
    pub fn explain(
        &self,
        grant: &Grant,
        request: &ExplainRequest,
    ) -> Result<ExplainResponse, Error> {
        let wanted = permission(&request.permission)?;
        let unsealed = self.seal().granted(grant)?;
        let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
        let set = policies.set();
        let (id, path) = (request.spiffe_id.as_str(), request.path.as_str());
        let by_role = by_role(self.access().roots(), id, path, wanted);
        if let Some((allowed, role)) = by_role {
            let role = Some(role.to_string());
            let (policies, unusable) = (set.len(), set.unusable().len());
            return Ok(ExplainResponse { allowed, role, policies, unusable, ..Default::default() });
        }
        let explanation = set.explain(id, path, wanted, NEAR_MISSES);
        let (allowed, policy) = match explanation.decision {
            Decision::Allowed { policy } => (true, Some(policy.to_string())),
            Decision::Denied => (false, None),
        };
        let near_misses = explanation.near_misses.into_iter().map(|miss| NearMiss {
            name: miss.policy.to_string(),
            spiffeid_pattern: miss.spiffe_id_pattern,
            path_pattern: miss.path_pattern,
            failed: miss.failed.iter().map(ToString::to_string).collect(),
            suggestions: miss.suggestions.into_iter().map(|change| change.text).collect(),
        });
        Ok(ExplainResponse {
            allowed,
            policy,
            role: None,
            near_misses: if allowed { Vec::new() } else { near_misses.collect() },
            policies: explanation.policies,
            unusable: explanation.unusable,
        })
    }

    /// Who may do what is asked.
    ///
    /// # Errors
    /// As [`Self::explain`].
    pub fn who_can(&self, grant: &Grant, request: &WhoCanRequest) -> Result<WhoCanResponse, Error> {
        let wanted = permission(&request.permission)?;
        let unsealed = self.seal().granted(grant)?;
        let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
        let roots = self.access().roots();
        let mut roles: Vec<String> =
            roots.of(Role::PilotSuperuser).ids(Role::PilotSuperuser).collect();
        if is_cipher(&request.path, wanted) {
            roles.extend(roots.of(Role::LiteWorkload).ids(Role::LiteWorkload));
        }
        let grantees = policies.set().who_can(&request.path, wanted);
        let grantees = grantees.into_iter().map(|grantee| Grantee {
            policy: grantee.policy.to_string(),
            spiffeid_pattern: grantee.spiffe_id_pattern,
        });
        Ok(WhoCanResponse { roles, grantees: grantees.collect() })
    }

    /// What the stored policies may not mean to say.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn lint_policies(&self, grant: &Grant) -> Result<LintResponse, Error> {
        let unsealed = self.seal().granted(grant)?;
        let stored = unsealed.store()?.policies()?.policies;
        let policies: Vec<_> = stored.iter().map(policy_of).collect();
        let findings = lint::lint_all(&policies).into_iter().map(|finding| LintFinding {
            policy: finding.policy,
            code: finding.code.as_str().to_owned(),
            severity: finding.severity.as_str().to_owned(),
            field: finding.field.to_string(),
            message: finding.message,
            fix: finding.fix,
            replacement: finding.replacement,
        });
        Ok(LintResponse { findings: findings.collect(), policies: policies.len() })
    }
}

fn permission(word: &str) -> Result<Permission, Error> {
    Permission::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = Permission::ALL.iter().map(|word| word.as_str()).collect();
        Error::Invalid {
            field: "permission",
            reason: format!("expected one of {}", words.join(", ")),
        }
    })
}

/// The answer of the built-in roles, where they have one: policies are not asked then (wire-api 5.3).
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
    path == crate::policy::CIPHER_PATH && wanted == Permission::Execute
}
