//! Ours, unknown upstream: questions about policies.

use std::sync::Arc;

use bytes::Bytes;
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
        questions::{AskWhoCan, Explain, Explained, LintPolicies, Linted, WhoCan},
    },
};

impl Handle for call::PolicyExplain {
    type Asked = Explain;

    fn asked(ExplainRequest { spiffe_id, path, permission }: ExplainRequest) -> Explain {
        Explain { spiffe_id, path, permission }
    }

    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Explain>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&match nexus.explain(grant).await? {
            Explained::ByPolicies(explanation) => explained(explanation),
            Explained::ByRole { role, allowed, policies, unusable } => ExplainResponse {
                allowed,
                role: Some(role.to_string()),
                policies,
                unusable,
                ..ExplainResponse::default()
            },
        }))
    }
}

impl Handle for call::PolicyWhoCan {
    type Asked = AskWhoCan;

    fn asked(WhoCanRequest { path, permission }: WhoCanRequest) -> AskWhoCan {
        AskWhoCan { path, permission }
    }

    async fn handle(nexus: &Arc<Nexus>, grant: Grant<AskWhoCan>) -> Result<Bytes, Error> {
        let WhoCan { roles, grantees } = nexus.who_can(grant).await?;
        let grantees = grantees.into_iter().map(|grantee| Grantee {
            policy: grantee.policy.to_string(),
            spiffeid_pattern: grantee.spiffe_id_pattern,
        });
        Ok(Self::encode_reply(&WhoCanResponse { roles, grantees: grantees.collect() }))
    }
}

impl Handle for call::PolicyLint {
    type Asked = LintPolicies;

    fn asked(EmptyRequest: EmptyRequest) -> LintPolicies {
        LintPolicies
    }

    async fn handle(nexus: &Arc<Nexus>, grant: Grant<LintPolicies>) -> Result<Bytes, Error> {
        let Linted { findings, policies } = nexus.lint_policies(grant).await?;
        let findings = findings.into_iter().map(|finding| LintFinding {
            policy: finding.policy,
            code: finding.code.as_str().to_owned(),
            severity: finding.severity.as_str().to_owned(),
            field: finding.field.to_string(),
            message: finding.message,
            fix: finding.fix,
            replacement: finding.replacement,
        });
        Ok(Self::encode_reply(&LintResponse { findings: findings.collect(), policies }))
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
