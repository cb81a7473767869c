//! The findings of lint, computed here without Nexus.

use std::collections::HashMap;

use spike_policy::lint;
use spike_policy::{Field, Permission, Policy, Refusal};
use spike_wire as wire;
use spike_wire::{LintFinding, PolicyPutRequest};

use super::local;

/// Whether a finding is worse than a notice.
pub(super) fn is_serious(finding: &LintFinding) -> bool {
    finding.severity != lint::Severity::Notice.as_str()
}

/// The findings about policies that are to be written.
pub(super) fn of_requests(requests: &[PolicyPutRequest]) -> Vec<LintFinding> {
    let unknown = requests.iter().flat_map(unknown_permissions);
    let policies: Vec<Policy> = requests.iter().map(local::wanted).collect();
    let known = lint::lint_all(&policies).into_iter();
    let mut findings: Vec<LintFinding> = unknown
        .chain(known.filter(|finding| !is_about_lost_words(finding, requests)).map(local::finding))
        .collect();
    let order: HashMap<&str, usize> =
        requests.iter().enumerate().map(|(at, request)| (request.name.as_str(), at)).collect();
    findings.sort_by_key(|finding| order.get(finding.policy.as_str()).copied());
    findings
}

/// The findings about stored policies.
pub(super) fn of_policies<'p>(
    policies: impl IntoIterator<Item = &'p wire::Policy>,
) -> Vec<LintFinding> {
    let policies: Vec<Policy> = policies.into_iter().map(local::stored).collect();
    lint::lint_all(&policies).into_iter().map(local::finding).collect()
}

/// Findings about permissions that the engine does not know.
fn unknown_permissions(request: &PolicyPutRequest) -> impl Iterator<Item = LintFinding> {
    let unknown = request.permissions.iter().filter(|word| Permission::from_word(word).is_none());
    unknown.map(|word| LintFinding {
        policy: request.name.clone(),
        code: lint::Code::Invalid.as_str().to_owned(),
        severity: lint::Severity::Error.as_str().to_owned(),
        field: Field::Permissions.as_str().to_owned(),
        message: Refusal::UnknownPermission { word: word.clone() }.to_string(),
        fix: "use read, write, list, execute or super".to_owned(),
        replacement: None,
    })
}

/// Whether a policy only seems to have no permissions, because its words are unknown.
fn is_about_lost_words(finding: &lint::Finding, requests: &[PolicyPutRequest]) -> bool {
    finding.code == lint::Code::Invalid
        && finding.field == Field::Permissions
        && requests.iter().any(|request| {
            request.name == finding.policy && unknown_permissions(request).next().is_some()
        })
}
