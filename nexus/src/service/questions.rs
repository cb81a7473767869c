//! Questions over policies: why may somebody do something, who may, and what do policies say that nobody meant. They are
//! answered off the threads that serve, and hold no lock on the policies meanwhile.

use spike_domain::{Role, SecretPath, TrustRootsByRole};
use spike_wire::{
    ExplainResponse, Grantee, LintFinding, LintResponse, NearMiss, WhoCanResponse, call,
};

use crate::{
    access::Grant,
    error::Error,
    policies::policy_of,
    policy::{Decision, Explanation, Permission, lint},
    service::{
        Nexus,
        long_work::{Deadline, Lane},
    },
};

/// The longest SPIFFE ID, in bytes: its standard's limit.
const MAX_SPIFFE_ID: usize = 2048;

/// How many near misses an answer has.
const NEAR_MISSES: usize = 5;

impl Nexus {
    /// Why `request.spiffe_id` may, or may not, do what is asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a word that is no permission, and for what is too long to be a SPIFFE ID or a path;
    /// [`Error::Busy`], [`Error::TookTooLong`].
    pub async fn explain(
        &self,
        grant: Grant<call::PolicyExplain>,
    ) -> Result<ExplainResponse, Error> {
        let unsealed = self.seal().granted(&grant);
        let (request, caller) = grant.into_parts();
        let wanted = permission(&request.permission)?;
        bounded("spiffeId", &request.spiffe_id, MAX_SPIFFE_ID)?;
        bounded("path", &request.path, SecretPath::MAX_LEN)?;
        let unsealed = unsealed?;
        let rule = self.access().reserved();
        let by_role = by_role(self.access().roots(), &request.spiffe_id, &request.path, wanted);
        let work = move |deadline: Deadline| {
            let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
            if let Some((allowed, role)) = by_role {
                let set = policies.set();
                return Ok(ExplainResponse {
                    allowed,
                    role: Some(role.to_string()),
                    policies: set.len(),
                    unusable: set.unusable().len(),
                    ..Default::default()
                });
            }
            let (id, path) = (request.spiffe_id.as_str(), request.path.as_str());
            // The lock on the policies ends with this statement.
            let question = policies.set().question(rule, id, path, wanted);
            question.explain(NEAR_MISSES, || deadline.check()).map(explained)
        };
        self.long_work()
            .run(Lane::Questions, &caller, "ask `can-i` for a decision alone", work)
            .await
    }

    /// Who may do what is asked.
    ///
    /// # Errors
    /// As [`Self::explain`].
    pub async fn who_can(&self, grant: Grant<call::PolicyWhoCan>) -> Result<WhoCanResponse, Error> {
        let unsealed = self.seal().granted(&grant);
        let (request, caller) = grant.into_parts();
        let wanted = permission(&request.permission)?;
        bounded("path", &request.path, SecretPath::MAX_LEN)?;
        let unsealed = unsealed?;
        let rule = self.access().reserved();
        let roots = self.access().roots();
        let mut roles: Vec<String> =
            roots.of(Role::PilotSuperuser).ids(Role::PilotSuperuser).collect();
        if is_cipher(&request.path, wanted) {
            roles.extend(roots.of(Role::LiteWorkload).ids(Role::LiteWorkload));
        }
        let work = move |deadline: Deadline| {
            let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
            let question = policies.set().ask_who_can(rule, &request.path, wanted);
            question.answer(|| deadline.check())
        };
        let narrower = "list the policies whose patterns hold a part of the path";
        let grantees = self.long_work().run(Lane::Questions, &caller, narrower, work).await?;
        let grantees = grantees.into_iter().map(|grantee| Grantee {
            policy: grantee.policy.to_string(),
            spiffeid_pattern: grantee.spiffe_id_pattern,
        });
        Ok(WhoCanResponse { roles, grantees: grantees.collect() })
    }

    /// What the stored policies may not mean to say.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::TookTooLong`], [`Error::Store`].
    pub async fn lint_policies(
        &self,
        grant: Grant<call::PolicyLint>,
    ) -> Result<LintResponse, Error> {
        let unsealed = self.seal().granted(&grant)?;
        let rule = self.access().reserved();
        let work = move |deadline: Deadline| {
            let stored = unsealed.store()?.policies()?.policies;
            deadline.check()?;
            let policies: Vec<_> = stored.iter().map(policy_of).collect();
            let findings = lint::lint_all_by(rule, &policies, || deadline.check())?;
            let findings = findings.into_iter().map(|finding| LintFinding {
                policy: finding.policy,
                code: finding.code.as_str().to_owned(),
                severity: finding.severity.as_str().to_owned(),
                field: finding.field.to_string(),
                message: finding.message,
                fix: finding.fix,
                replacement: finding.replacement,
            });
            Ok(LintResponse { findings: findings.collect(), policies: policies.len() })
        };
        let narrower = "check them in files, with `spike policy lint --file`";
        self.long_work().run(Lane::Questions, grant.peer(), narrower, work).await
    }
}

fn explained(explanation: Explanation) -> ExplainResponse {
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
    ExplainResponse {
        allowed,
        policy,
        role: None,
        near_misses: if allowed { Vec::new() } else { near_misses.collect() },
        policies: explanation.policies,
        unusable: explanation.unusable,
    }
}

/// Refuses what is too long to be what it is asked for.
fn bounded(field: &'static str, text: &str, limit: usize) -> Result<(), Error> {
    if text.len() <= limit {
        return Ok(());
    }
    let reason = format!("has {} bytes, at most {limit} are allowed", text.len());
    Err(Error::Invalid { field, reason })
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
