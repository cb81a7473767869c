//! Probable mistakes in policies.
//!
//! Lint reports what looks wrong. It changes nothing and decides nothing. It examines each policy by itself, so the
//! time grows with their number. An expensive pattern may take a second, so the caller is asked repeatedly whether to
//! continue.

mod federation;
mod grants;
mod patterns;
mod reach;
mod repair;
mod trust_domain;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

pub use federation::{named_trust_domain, without_bundle};

use super::Policy;
use super::error::Field;
use super::explain::unlimited;
use super::reserved::ReservedRule;
use super::validate::is_acceptable;

/// A probable mistake in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the policy.
    pub policy: String,
    /// The kind of mistake.
    pub code: Code,
    /// Its severity.
    pub severity: Severity,
    /// The field at fault.
    pub field: Field,
    /// The mistake.
    pub message: String,
    /// How to fix it.
    pub fix: String,
    /// A better value for the field, if there is one.
    pub replacement: Option<String>,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Information.
    Notice,
    /// Probably a mistake.
    Warning,
    /// The policy is refused, has no effect, or makes its SPIFFE IDs administrators without saying so.
    Error,
}

impl Severity {
    /// A stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kinds of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The policy breaks a rule and cannot be put.
    Invalid,
    /// `*` as in a glob.
    Glob,
    /// `{name}` as in a template.
    Placeholder,
    /// Two backslashes where one was meant.
    DoubleEscape,
    /// `.` in the trust domain, where it matches any character.
    UnescapedDot,
    /// A pattern without an anchor at its start or end.
    MissingAnchor,
    /// A path pattern that begins with a slash.
    LeadingSlash,
    /// A pattern that matches no SPIFFE ID, or no path.
    NeverMatches,
    /// A pattern that matches everything.
    OverBroad,
    /// `super`, which includes every permission.
    SuperPermission,
    /// A permission without effect on these paths.
    IdlePermission,
    /// `list` on the paths of secrets, without `read`.
    ListAlone,
    /// A permission given twice.
    RepeatedPermission,
    /// A reserved path that the pattern matches without naming it.
    ReservedPath,
    /// The permission to write policies, and so every permission, without naming it.
    Administrator,
    /// Two policies with the same patterns.
    Duplicate,
    /// A trust domain whose bundle Nexus does not hold.
    NoBundle,
    /// A pattern that SPIFFE IDs of foreign trust domains match.
    OpenTrustDomain,
}

impl Code {
    /// A stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Glob => "glob",
            Self::Placeholder => "placeholder",
            Self::DoubleEscape => "double-escape",
            Self::UnescapedDot => "unescaped-dot",
            Self::MissingAnchor => "missing-anchor",
            Self::LeadingSlash => "leading-slash",
            Self::NeverMatches => "never-matches",
            Self::OverBroad => "over-broad",
            Self::SuperPermission => "super-permission",
            Self::IdlePermission => "idle-permission",
            Self::ListAlone => "list-alone",
            Self::RepeatedPermission => "repeated-permission",
            Self::ReservedPath => "reserved-path",
            Self::Administrator => "administrator",
            Self::Duplicate => "duplicate",
            Self::NoBundle => "no-bundle",
            Self::OpenTrustDomain => "open-trust-domain",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The findings about one policy, worst first.
pub fn lint(policy: &Policy) -> Vec<Finding> {
    let Ok(findings) = lint_one(ReservedRule::Pattern, policy, &unlimited);
    findings
}

/// The findings about each policy, in the order given, and about policies that repeat each other.
pub fn lint_all<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> Vec<Finding> {
    let Ok(findings) = lint_all_by(ReservedRule::Pattern, policies, unlimited);
    findings
}

/// As [`lint_all`], with this rule for reserved paths. Calls `go_on` at every step.
///
/// # Errors
/// The error of `go_on`.
pub fn lint_all_by<'p, E>(
    rule: ReservedRule,
    policies: impl IntoIterator<Item = &'p Policy>,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<Vec<Finding>, E> {
    let mut seen: HashMap<(&str, &str), &Policy> = HashMap::new();
    let mut findings = Vec::new();
    for policy in policies {
        findings.extend(lint_one(rule, policy, &go_on)?);
        let key = (policy.spiffe_id_pattern.as_str(), policy.path_pattern.as_str());
        match seen.get(&key) {
            Some(first) => findings.push(grants::duplicate(first, policy)),
            None => {
                seen.insert(key, policy);
            }
        }
    }
    Ok(findings)
}

fn lint_one<E>(
    rule: ReservedRule,
    policy: &Policy,
    go_on: &impl Fn() -> Result<(), E>,
) -> Result<Vec<Finding>, E> {
    let mut report = Report { policy, findings: Vec::new() };
    patterns::check(&mut report, go_on)?;
    grants::check(&mut report, rule, go_on)?;
    trust_domain::check(&mut report);
    let mut findings = report.findings;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(findings)
}

/// The findings so far.
struct Report<'p> {
    policy: &'p Policy,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn add(
        &mut self,
        code: Code,
        severity: Severity,
        field: Field,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.findings.push(Finding {
            policy: self.policy.name.clone(),
            code,
            severity,
            field,
            message: message.into(),
            fix: fix.into(),
            replacement: None,
        });
    }

    /// Adds a finding that is fixed by putting `replacement` into the field. Other mistakes in it are mended too, where that is
    /// possible; if it then still breaks a rule, the finding has no replacement.
    fn add_replacing(
        &mut self,
        code: Code,
        severity: Severity,
        field: Field,
        message: impl Into<String>,
        replacement: String,
    ) {
        let replacement = match field {
            Field::SpiffeIdPattern | Field::PathPattern => repair::mended(field, replacement),
            Field::Name | Field::Permissions => replacement,
        };
        if field != Field::Permissions && !is_acceptable(field, &replacement) {
            let fix = format!("something like `{replacement}`, once the rest is right");
            return self.add(code, severity, field, message, fix);
        }
        self.add(code, severity, field, message, format!("write `{replacement}`"));
        if let Some(finding) = self.findings.last_mut() {
            finding.replacement = Some(replacement);
        }
    }
}
