//! Ours, unknown upstream: questions about policies.

use std::sync::Arc;

use spike_daemon::http::{AnswerBytes, AnswerMemory};
use spike_wire::{
    Call, EmptyRequest, ExplainRequest, ExplainResponse, Grantee, LintFinding, LintResponse,
    NearMiss, WhoCanRequest, WhoCanResponse, call,
};

use super::Handle;
use crate::{
    access::Grant,
    error::Error,
    policy::{Decision, Explanation},
    service::{
        Nexus,
        questions::{AskWhoCan, Explain, Explained, Explanatory, LintPolicies, Linted, WhoCan},
    },
};

impl Handle for call::PolicyExplain {
    type Asked = Explain;

    fn asked(ExplainRequest { spiffe_id, path, permission }: ExplainRequest) -> Explain {
        Explain { spiffe_id, path, permission }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<Explain>,
        memory: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let answer = move |Explanatory { explained: by, no_bundle_of }| {
            let response = match by {
                Explained::ByPolicies(explanation) => explained(explanation),
                Explained::ByRole { role, allowed, policies, unusable } => ExplainResponse {
                    allowed,
                    role: Some(role.to_string()),
                    policies,
                    unusable,
                    ..ExplainResponse::default()
                },
            };
            let response = ExplainResponse { no_bundle_of, ..response };
            Ok(memory.keep(Self::encode_reply(&response))?)
        };
        nexus.explain(grant, answer).await
    }
}

impl Handle for call::PolicyWhoCan {
    type Asked = AskWhoCan;

    fn asked(WhoCanRequest { path, permission }: WhoCanRequest) -> AskWhoCan {
        AskWhoCan { path, permission }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<AskWhoCan>,
        memory: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let answer = move |WhoCan { roles, grantees }| {
            let grantees = grantees.into_iter().map(|grantee| Grantee {
                policy: grantee.policy.to_string(),
                spiffeid_pattern: grantee.spiffe_id_pattern,
            });
            let response = WhoCanResponse { roles, grantees: grantees.collect() };
            Ok(memory.keep(Self::encode_reply(&response))?)
        };
        nexus.who_can(grant, answer).await
    }
}

impl Handle for call::PolicyLint {
    type Asked = LintPolicies;

    fn asked(EmptyRequest: EmptyRequest) -> LintPolicies {
        LintPolicies
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<LintPolicies>,
        memory: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let answer = move |Linted { findings, policies }| {
            let findings = findings.into_iter().map(|finding| LintFinding {
                policy: finding.policy,
                code: finding.code.as_str().to_owned(),
                severity: finding.severity.as_str().to_owned(),
                field: finding.field.to_string(),
                message: finding.message,
                fix: finding.fix,
                replacement: finding.replacement,
            });
            let response = LintResponse { findings: findings.collect(), policies };
            Ok(memory.keep(Self::encode_reply(&response))?)
        };
        nexus.lint_policies(grant, answer).await
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
        no_bundle_of: None,
    }
}
