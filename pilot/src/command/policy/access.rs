//! Compares who has access before and after a change of policies.
//!
//! A pattern can match any number of SPIFFE IDs, so the comparison cannot be complete. It covers every ID that a pattern names
//! exactly, one example for each other pattern, every stored secret, and the three reserved paths. The policy engine makes
//! both decisions.

use std::collections::BTreeMap;

use spike_domain::{CIPHER_PATH, RESERVED_PATHS, SECRET_PATH, TrustRootsByRole};
use spike_policy::{Pattern, Permission, Policy, PolicySet};

use super::local::built_in;

/// The most decisions for each of both sets of policies. A decision takes about a microsecond.
const MOST_QUESTIONS: usize = 2_000_000;

/// The text in an example ID for an open part of a pattern.
const ANYTHING: &str = "example";

/// A SPIFFE ID to compare the access of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) id: String,
    /// Whether it is one example of many IDs that the pattern matches.
    pub(super) is_example: bool,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) gained: bool,
    pub(super) permission: Permission,
    pub(super) path: String,
    pub(super) subject: Subject,
}

/// The differences, and how much was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) differences: Vec<Difference>,
    /// How many SPIFFE IDs were compared.
    pub(super) subjects: usize,
    /// How many secrets were not compared, because there are too many.
    pub(super) paths_left_out: usize,
}

/// Compares the policies `before` with the policies after `changes` are written, for the secrets at `paths`.
pub(super) fn compare(
    before: &[Policy],
    changes: &[Policy],
    paths: &[String],
    roots: &TrustRootsByRole,
) -> Comparison {
    let old: PolicySet = before.iter().collect();
    let mut new: PolicySet = before.iter().collect();
    new.extend(changes);
    let subjects = subjects(before, changes, roots);
    let questions = subjects.len().saturating_mul(Permission::ALL.len()).max(1);
    let most_paths = MOST_QUESTIONS / questions;
    let mut comparison = Comparison {
        subjects: subjects.len(),
        paths_left_out: paths.len().saturating_sub(most_paths),
        ..Comparison::default()
    };
    let secrets = paths.iter().take(most_paths).map(String::as_str);
    let secrets = secrets.filter(|path| !RESERVED_PATHS.contains(path));
    for path in RESERVED_PATHS.into_iter().chain(secrets) {
        for &permission in meaningful(path) {
            for subject in &subjects {
                let allowed = old.decide(&subject.id, path, permission).is_allowed();
                let gained = new.decide(&subject.id, path, permission).is_allowed();
                if allowed != gained {
                    let (path, subject) = (path.to_owned(), subject.clone());
                    comparison.differences.push(Difference { gained, permission, path, subject });
                }
            }
        }
    }
    comparison
}

/// The permissions that do something on a path (wire-api 5.3).
fn meaningful(path: &str) -> &'static [Permission] {
    use Permission::{Execute, List, Read, Write};
    match path {
        SECRET_PATH => &[List],
        CIPHER_PATH => &[Execute],
        _ => &[Read, Write, List],
    }
}

/// The SPIFFE IDs that the policies name, in order, and an example for each open pattern. IDs with a built-in role are left
/// out, because policies change nothing for them.
fn subjects(before: &[Policy], changes: &[Policy], roots: &TrustRootsByRole) -> Vec<Subject> {
    let mut subjects = BTreeMap::new();
    for policy in before.iter().chain(changes) {
        if let Some(Subject { id, is_example }) = subject_of(&policy.spiffe_id_pattern)
            && built_in(roots, &id).is_none()
        {
            *subjects.entry(id).or_insert(true) &= is_example;
        }
    }
    subjects.into_iter().map(|(id, is_example)| Subject { id, is_example }).collect()
}

/// The SPIFFE ID that `pattern` names, or an example; none if the pattern is more than a text with open parts.
fn subject_of(pattern: &str) -> Option<Subject> {
    let text = pattern.strip_prefix('^').unwrap_or(pattern);
    let anchored = text.strip_suffix('$').filter(|text| !text.ends_with('\\'));
    let mut is_example = anchored.is_none();
    let mut id = String::new();
    let mut rest = anchored.unwrap_or(text);
    while let Some(c) = rest.chars().next() {
        let open = [".*", ".+", "[^/]*", "[^/]+"].iter().find_map(|open| rest.strip_prefix(open));
        rest = if let Some(after) = open {
            id.push_str(ANYTHING);
            is_example = true;
            after
        } else if let Some(escaped) = rest.strip_prefix('\\') {
            let literal = escaped.chars().next().filter(char::is_ascii_punctuation)?;
            id.push(literal);
            escaped.get(1..)?
        } else if c.is_ascii_alphanumeric() || matches!(c, '/' | ':' | '-' | '_' | '.') {
            // An unescaped dot matches other characters too. A dot is what the author meant.
            id.push(c);
            rest.get(1..)?
        } else {
            return None;
        };
    }
    if id.ends_with('/') && is_example {
        id.push_str(ANYTHING);
    }
    let is_id = id.starts_with("spiffe://") && Pattern::new(pattern).ok()?.is_match(&id);
    is_id.then_some(Subject { id, is_example })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, id: &str, path: &str, permissions: &[Permission]) -> Policy {
        Policy {
            name: name.to_owned(),
            spiffe_id_pattern: id.to_owned(),
            path_pattern: path.to_owned(),
            permissions: permissions.iter().copied().collect(),
            created_at: time::OffsetDateTime::UNIX_EPOCH,
            updated_at: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn shown(before: &[Policy], changes: &[Policy], paths: &[&str]) -> Vec<String> {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        let found = compare(before, changes, &paths, &TrustRootsByRole::default());
        let line = |difference: Difference| {
            let Difference { gained, permission, path, subject: Subject { id, is_example } } =
                difference;
            let (sign, id) = (if gained { '+' } else { '-' }, id.trim_start_matches("spiffe://"));
            format!("{sign} {permission} {path} {id}{}", if is_example { " e.g." } else { "" })
        };
        found.differences.into_iter().map(line).collect()
    }

    #[test]
    fn a_pattern_names_the_id_that_it_spells_out_or_an_example() {
        for (pattern, id, is_example) in [
            (r"^spiffe://example\.org/app$", "spiffe://example.org/app", false),
            ("^spiffe://example.org/app$", "spiffe://example.org/app", false),
            (r"spiffe://example\.org/app", "spiffe://example.org/app", true),
            (r"^spiffe://example\.org/acme/.*$", "spiffe://example.org/acme/example", true),
            ("^spiffe://example/", "spiffe://example/example", true),
            ("^spiffe://[^/]+/app$", "spiffe://example/app", true),
        ] {
            let expected = Subject { id: id.to_owned(), is_example };
            assert_eq!(subject_of(pattern), Some(expected), "{pattern}");
        }
        for pattern in ["^spiffe://(a|b)$", "^spiffe://a[0-9]$", r"^spiffe://\w$", "a", "("] {
            assert_eq!(subject_of(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn what_another_policy_still_allows_is_not_lost() {
        let read = [Permission::Read];
        let before = [
            policy("a", "^spiffe://x/a$", "^t/", &read),
            policy("b", "^spiffe://x/a$", "^t/1$", &read),
        ];
        let narrower = [policy("a", "^spiffe://x/a$", "^u/", &read)];
        let lines = shown(&before, &narrower, &["t/1", "t/2", "u/1"]);
        assert_eq!(lines, ["- read t/2 x/a", "+ read u/1 x/a"]);
    }

    #[test]
    fn super_is_told_in_what_it_opens_and_system_paths_in_what_they_gate() {
        let all = [policy("p", "^spiffe://x/a$", "^.*$", &[Permission::Super])];
        let lines = shown(&[], &all, &["t"]);
        assert_eq!(
            lines,
            [
                "+ read spike/system/acl x/a",
                "+ write spike/system/acl x/a",
                "+ list spike/system/acl x/a",
                "+ list spike/system/secret x/a",
                "+ execute spike/system/cipher/exec x/a",
                "+ read t x/a",
                "+ write t x/a",
                "+ list t x/a",
            ]
        );
    }

    #[test]
    fn the_access_of_built_in_roles_never_changes() {
        let everybody = [policy("p", "^spiffe://spike.ist/spike/.*$", "^t", &[Permission::Read])];
        let lines = shown(&[], &everybody, &["t"]);
        assert_eq!(lines, ["+ read t spike.ist/spike/example e.g."]);
        let superuser = policy(
            "p",
            "^spiffe://spike.ist/spike/pilot/role/superuser$",
            "^t",
            &[Permission::Read],
        );
        assert_eq!(shown(&[], &[superuser], &["t"]), [""; 0]);
    }
}
