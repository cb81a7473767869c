//! What the author of a policy may not have meant.
//!
//! Lint reads policies and says what looks wrong: it changes nothing and decides nothing. It takes each policy by
//! itself, so many take as long as their number says. A heavy pattern may take a second, so whoever asks is asked in
//! turn, again and again, whether to go on.

mod grants;
mod patterns;
mod reach;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use super::Policy;
use super::error::Field;
use super::explain::unhurried;
use super::reserved::ReservedRule;
use super::validate::is_acceptable;

/// Something about a policy that its author may not have meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the policy.
    pub policy: String,
    /// The kind of mistake.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub field: Field,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
    /// What to put into the field instead, where that can be said.
    pub replacement: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Probably not meant.
    Warning,
    /// The policy is refused, does nothing, or makes whoever it matches an administrator without saying so.
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
    /// `.` in the trust domain, where it stands for any character.
    UnescapedDot,
    /// A pattern that goes on where its author sees an end, or begins before.
    MissingAnchor,
    /// A path pattern that begins with a slash.
    LeadingSlash,
    /// A pattern that no SPIFFE ID, or no path, can match.
    NeverMatches,
    /// A pattern that everything matches.
    OverBroad,
    /// `super`, which includes every permission.
    SuperPermission,
    /// A permission that does nothing on these paths.
    IdlePermission,
    /// `list` on the paths of secrets, without `read`.
    ListAlone,
    /// A permission given twice.
    RepeatedPermission,
    /// A reserved path within reach that was not named.
    ReservedPath,
    /// The right to write policies, and with it every other, that was not asked for by name.
    Administrator,
    /// Two policies with the same patterns.
    Duplicate,
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
    let Ok(findings) = lint_one(ReservedRule::Pattern, policy, &unhurried);
    findings
}

/// The findings about each policy, in the order given, and about policies that repeat each other.
pub fn lint_all<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> Vec<Finding> {
    let Ok(findings) = lint_all_by(ReservedRule::Pattern, policies, unhurried);
    findings
}

/// As [`lint_all`], where this rule holds for reserved paths. `go_on` is asked at every step.
///
/// # Errors
/// What `go_on` ends in.
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
    let mut findings = report.findings;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(findings)
}

/// Findings under construction.
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

    /// A finding whose remedy is to put `replacement` into the field. A pattern that is wrong in other ways as well
    /// gets the finding alone.
    fn add_replacing(
        &mut self,
        code: Code,
        severity: Severity,
        field: Field,
        message: impl Into<String>,
        replacement: String,
    ) {
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
