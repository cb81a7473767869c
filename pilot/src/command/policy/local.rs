//! Answers that are computed here from downloaded policies: for upstream's Nexus, which has no such routes, and for questions
//! that no Nexus answers. [`spike_policy`] decides, as in our Nexus. The built-in roles come from the settings of this process.

use std::sync::Arc;

use spike_domain::{CIPHER_PATH, Role, TrustRootsByRole};
use spike_policy::lint::Finding;
use spike_policy::{Decision, Permission, Policy, PolicySet};
use spike_wire as wire;
use spike_wire::{
    ExplainResponse, Grantee, LintFinding, NearMiss, PolicyPutRequest, WhoCanResponse,
};

/// The most near misses in an answer.
const NEAR_MISSES: usize = 5;

/// The policies, ready to answer.
#[derive(Debug)]
pub(super) struct Local {
    set: PolicySet,
    roots: Arc<TrustRootsByRole>,
}

impl Local {
    pub(super) fn new(policies: &[wire::Policy], roots: Arc<TrustRootsByRole>) -> Self {
        Self { set: policies.iter().map(stored).collect::<Vec<_>>().iter().collect(), roots }
    }

    /// Why `spiffe_id` may, or may not, do `wanted` to `path`.
    pub(super) fn explain(
        &self,
        spiffe_id: &str,
        path: &str,
        wanted: Permission,
    ) -> ExplainResponse {
        let explanation = self.set.explain(spiffe_id, path, wanted, NEAR_MISSES);
        let mut answer = ExplainResponse {
            policies: explanation.policies,
            unusable: explanation.unusable,
            ..ExplainResponse::default()
        };
        // Roles come before policies, and a lite workload has the cipher and nothing else (wire-api 5.3).
        if let Some(role) = built_in(&self.roots, spiffe_id) {
            answer.allowed = role == Role::PilotSuperuser || is_cipher(path, wanted);
            answer.role = Some(role.to_string());
            return answer;
        }
        match explanation.decision {
            Decision::Allowed { policy } => {
                answer.allowed = true;
                answer.policy = Some(policy.to_string());
            }
            Decision::Denied => {
                answer.near_misses = explanation.near_misses.into_iter().map(near_miss).collect();
            }
        }
        answer
    }

    /// Who may do `wanted` to `path`.
    pub(super) fn who_can(&self, path: &str, wanted: Permission) -> WhoCanResponse {
        let of = |role| self.roots.of(role).ids(role);
        let mut roles: Vec<String> = of(Role::PilotSuperuser).collect();
        if is_cipher(path, wanted) {
            roles.extend(of(Role::LiteWorkload));
        }
        let grantees = self.set.who_can(path, wanted).into_iter().map(|grantee| Grantee {
            policy: grantee.policy.to_string(),
            spiffeid_pattern: grantee.spiffe_id_pattern,
        });
        WhoCanResponse { roles, grantees: grantees.collect() }
    }
}

/// The built-in role of `spiffe_id`, if it has one: then policies do not count.
pub(super) fn built_in(roots: &TrustRootsByRole, spiffe_id: &str) -> Option<Role> {
    let deciding = [Role::PilotSuperuser, Role::LiteWorkload];
    deciding.into_iter().find(|role| roots.hold(*role, spiffe_id))
}

/// A stored policy for the engine. Words that are no permissions allow nothing.
pub(super) fn stored(policy: &wire::Policy) -> Policy {
    Policy {
        name: policy.name.clone(),
        spiffe_id_pattern: policy.spiffeid_pattern.clone(),
        path_pattern: policy.path_pattern.clone(),
        permissions: words(&policy.permissions),
        created_at: policy.created_at,
        updated_at: policy.updated_at,
    }
}

/// A policy that is to be written, for the engine.
pub(super) fn wanted(request: &PolicyPutRequest) -> Policy {
    stored(&wire::Policy {
        name: request.name.clone(),
        spiffeid_pattern: request.spiffeid_pattern.clone(),
        path_pattern: request.path_pattern.clone(),
        permissions: request.permissions.clone(),
        ..wire::Policy::default()
    })
}

/// A finding of lint, as Nexus would send it.
pub(super) fn finding(finding: Finding) -> LintFinding {
    LintFinding {
        policy: finding.policy,
        code: finding.code.as_str().to_owned(),
        severity: finding.severity.as_str().to_owned(),
        field: finding.field.to_string(),
        message: finding.message,
        fix: finding.fix,
        replacement: finding.replacement,
    }
}

fn words(words: &[String]) -> spike_policy::Permissions {
    words.iter().filter_map(|word| Permission::from_word(word)).collect()
}

fn near_miss(miss: spike_policy::NearMiss) -> NearMiss {
    NearMiss {
        name: miss.policy.to_string(),
        spiffeid_pattern: miss.spiffe_id_pattern,
        path_pattern: miss.path_pattern,
        failed: miss.failed.iter().map(ToString::to_string).collect(),
        suggestions: miss.suggestions.into_iter().map(|change| change.text).collect(),
    }
}

fn is_cipher(path: &str, wanted: Permission) -> bool {
    path == CIPHER_PATH && wanted == Permission::Execute
}
