//! The preview as a tree for JSON and YAML.

use spike_wire::{LintFinding, Policy, PolicyPutRequest};

use super::super::access::{self, Comparison};
use super::super::changes::{self, Difference};
use crate::output::{Node, answers};

/// One policy that would be written.
pub(super) struct Change<'a> {
    name: &'a str,
    /// `create`, `replace` or `unchanged`.
    verdict: &'static str,
    fields: Vec<Difference>,
    findings: Vec<&'a LintFinding>,
}

/// Every policy of the request, compared with the stored one.
pub(super) fn changes<'a>(
    requests: &'a [PolicyPutRequest],
    stored: &[Policy],
    findings: &'a [LintFinding],
) -> Vec<Change<'a>> {
    let change = |request: &'a PolicyPutRequest| {
        let replaced = stored.iter().find(|policy| policy.name == request.name);
        let fields = changes::differences(request, replaced);
        let verdict = match replaced {
            None => "create",
            Some(_) if fields.is_empty() => "unchanged",
            Some(_) => "replace",
        };
        let findings = findings.iter().filter(|finding| finding.policy == request.name).collect();
        Change { name: &request.name, verdict, fields, findings }
    };
    requests.iter().map(change).collect()
}

/// The policies, and who gains or loses access: null if that was not compared.
pub(super) fn node<'a>(
    changes: &'a [Change<'a>],
    access: Option<&'a (usize, Comparison)>,
) -> Node<'a> {
    Node::map([
        ("policies", Node::List(changes.iter().map(policy).collect())),
        ("access", access.map_or(Node::Null, |(secrets, found)| compared(*secrets, found))),
    ])
}

fn policy<'a>(change: &'a Change<'a>) -> Node<'a> {
    let field = |difference: &'a Difference| {
        Node::map([
            ("field", Node::Text(difference.field)),
            ("before", Node::optional(difference.before.as_deref())),
            ("after", Node::Text(&difference.after)),
        ])
    };
    let findings = change.findings.iter().map(|finding| answers::finding_node(finding));
    Node::map([
        ("name", Node::Text(change.name)),
        ("change", Node::Text(change.verdict)),
        ("fields", Node::List(change.fields.iter().map(field).collect())),
        ("findings", Node::List(findings.collect())),
    ])
}

fn compared(secrets: usize, found: &Comparison) -> Node<'_> {
    Node::map([
        ("spiffeIds", Node::count(found.subjects)),
        ("secrets", Node::count(secrets)),
        ("secretsLeftOut", Node::count(found.paths_left_out)),
        ("differences", Node::List(found.differences.iter().map(difference).collect())),
    ])
}

fn difference(difference: &access::Difference) -> Node<'_> {
    let access::Difference { gained, permission, path, subject } = difference;
    Node::map([
        ("gained", Node::Boolean(*gained)),
        ("permission", Node::Text(permission.as_str())),
        ("path", Node::Text(path)),
        ("spiffeId", Node::Text(&subject.id)),
        ("example", Node::Boolean(subject.is_example)),
    ])
}
