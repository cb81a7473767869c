//! Answers to questions about policies: text for people, and trees for JSON and YAML.

use std::io::{self, Write};

use spike_wire::{ExplainResponse, LintFinding, LintResponse, NearMiss, WhoCanResponse};

use super::{Node, one_line};
use crate::cli::{Action, Question};

/// Why it is allowed or not, with the findings about the policy that allows it.
pub(crate) fn explanation(
    out: &mut dyn Write,
    question: &Question,
    answer: &ExplainResponse,
    findings: &[LintFinding],
) -> io::Result<()> {
    let Question { spiffe_id, action: Action { path, permission } } = question;
    let (verdict, may) = if answer.allowed { ("ALLOWED", "may") } else { ("DENIED", "may not") };
    writeln!(out, "{verdict}: {spiffe_id} {may} {permission} {path}")?;
    if let Some(domain) = &answer.no_bundle_of {
        let domain = one_line(domain);
        writeln!(
            out,
            "But SPIKE Nexus holds no trust bundle of {domain}: it refuses this SVID in the handshake, whatever policies allow."
        )?;
    }
    match (&answer.role, &answer.policy) {
        (Some(role), _) => {
            let role = one_line(role);
            writeln!(out, "Because of its role: {role}. Policies are not asked.")?;
        }
        (None, Some(policy)) => {
            writeln!(out, "By the policy: {}", one_line(policy))?;
            each_finding(out, findings)?;
        }
        (None, None) => {
            match answer.policies {
                0 => writeln!(out, "There is no policy.")?,
                1 => writeln!(out, "The only policy does not allow it.")?,
                count => writeln!(out, "None of {count} policies allows it.")?,
            }
            nearest(out, &answer.near_misses)?;
        }
    }
    match answer.unusable {
        0 => Ok(()),
        count => writeln!(
            out,
            "\nPolicies that cannot be read, and allow nothing: {count}. `spike policy lint` says why."
        ),
    }
}

fn nearest(out: &mut dyn Write, misses: &[NearMiss]) -> io::Result<()> {
    if !misses.is_empty() {
        writeln!(out, "\nNearest:")?;
    }
    for miss in misses {
        writeln!(out, "\n  Name: {}", one_line(&miss.name))?;
        writeln!(out, "  SPIFFE ID Pattern: {}", one_line(&miss.spiffeid_pattern))?;
        writeln!(out, "  Path Pattern: {}", one_line(&miss.path_pattern))?;
        for failed in &miss.failed {
            writeln!(out, "  failed: {}", one_line(failed))?;
        }
        for suggestion in &miss.suggestions {
            writeln!(out, "  fix: {}", one_line(suggestion))?;
        }
    }
    Ok(())
}

/// The same as a tree.
pub(crate) fn explanation_node<'a>(
    question: &'a Question,
    answer: &'a ExplainResponse,
    findings: &'a [LintFinding],
) -> Node<'a> {
    let miss = |miss: &'a NearMiss| {
        Node::map([
            ("name", Node::Text(&miss.name)),
            ("spiffeidPattern", Node::Text(&miss.spiffeid_pattern)),
            ("pathPattern", Node::Text(&miss.path_pattern)),
            ("failed", Node::texts(&miss.failed)),
            ("suggestions", Node::texts(&miss.suggestions)),
        ])
    };
    Node::map([
        ("spiffeId", Node::Text(&question.spiffe_id)),
        ("path", Node::Text(&question.action.path)),
        ("permission", Node::Text(question.action.permission.as_str())),
        ("allowed", Node::Boolean(answer.allowed)),
        ("policy", Node::optional(answer.policy.as_deref())),
        ("role", Node::optional(answer.role.as_deref())),
        ("noBundleOf", Node::optional(answer.no_bundle_of.as_deref())),
        ("findings", Node::List(findings.iter().map(finding_node).collect())),
        ("nearMisses", Node::List(answer.near_misses.iter().map(miss).collect())),
        ("policies", Node::count(answer.policies)),
        ("unusable", Node::count(answer.unusable)),
    ])
}

/// Who may do it.
pub(crate) fn who_can(
    out: &mut dyn Write,
    action: &Action,
    answer: &WhoCanResponse,
) -> io::Result<()> {
    writeln!(out, "WHO CAN {} {}\n", action.permission, action.path)?;
    writeln!(out, "By role, with every ID below:")?;
    for role in &answer.roles {
        writeln!(out, "  {}", one_line(role))?;
    }
    if answer.grantees.is_empty() {
        return writeln!(out, "\nBy policy: nobody.");
    }
    writeln!(out, "\nBy policy, every ID that matches:")?;
    for grantee in &answer.grantees {
        let pattern = one_line(&grantee.spiffeid_pattern);
        writeln!(out, "  {}: {pattern}", one_line(&grantee.policy))?;
    }
    Ok(())
}

/// The same as a tree.
pub(crate) fn who_can_node<'a>(action: &'a Action, answer: &'a WhoCanResponse) -> Node<'a> {
    let grantees = answer.grantees.iter().map(|grantee| {
        Node::map([
            ("policy", Node::Text(&grantee.policy)),
            ("spiffeidPattern", Node::Text(&grantee.spiffeid_pattern)),
        ])
    });
    Node::map([
        ("path", Node::Text(&action.path)),
        ("permission", Node::Text(action.permission.as_str())),
        ("roles", Node::texts(&answer.roles)),
        ("grantees", Node::List(grantees.collect())),
    ])
}

/// The findings of each policy, and their number.
pub(crate) fn findings(out: &mut dyn Write, answer: &LintResponse) -> io::Result<()> {
    let LintResponse { findings, policies: count } = answer;
    if findings.is_empty() {
        return writeln!(out, "No findings in {}.", policies(*count));
    }
    for group in findings.chunk_by(|a, b| a.policy == b.policy) {
        if let Some(first) = group.first() {
            writeln!(out, "{}", one_line(&first.policy))?;
        }
        each_finding(out, group)?;
        writeln!(out)?;
    }
    let (total, of) = (findings.len(), policies(*count));
    let s = if total == 1 { "" } else { "s" };
    let counts = ["error", "warning", "notice"].map(|severity| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        let s = if count == 1 { "" } else { "s" };
        format!("{count} {severity}{s}")
    });
    writeln!(out, "{total} finding{s} in {of}: {}.", counts.join(", "))
}

/// Findings of one policy.
pub(crate) fn each_finding(out: &mut dyn Write, findings: &[LintFinding]) -> io::Result<()> {
    for LintFinding { severity, field, code, message, fix, .. } in findings {
        let (severity, code) = (one_line(severity), one_line(code));
        writeln!(out, "  {severity}: {}: {} [{code}]", one_line(field), one_line(message))?;
        writeln!(out, "    fix: {}", one_line(fix))?;
    }
    Ok(())
}

/// The same as a tree.
pub(crate) fn findings_node(answer: &LintResponse) -> Node<'_> {
    let findings = answer.findings.iter().map(finding_node);
    Node::map([
        ("policies", Node::count(answer.policies)),
        ("findings", Node::List(findings.collect())),
    ])
}

/// One finding as a tree.
pub(crate) fn finding_node(finding: &LintFinding) -> Node<'_> {
    Node::map([
        ("policy", Node::Text(&finding.policy)),
        ("severity", Node::Text(&finding.severity)),
        ("code", Node::Text(&finding.code)),
        ("field", Node::Text(&finding.field)),
        ("message", Node::Text(&finding.message)),
        ("fix", Node::Text(&finding.fix)),
        ("replacement", Node::optional(finding.replacement.as_deref())),
    ])
}

fn policies(count: usize) -> String {
    if count == 1 { "1 policy".to_owned() } else { format!("{count} policies") }
}
