//! The smallest change that makes a policy allow a request. Every suggested pattern was tried: it passes the rules for
//! new policies, and it matches.

use spike_domain::RESERVED_PATHS;

use super::Permission;
use super::decide::Entry;
use super::error::{Field, ReservedCause};
use super::miss::Miss;
use super::pattern::Pattern;
use super::rewrite::{self, Rewrite};
use super::validate::is_acceptable;

/// A change to one field of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The field to change.
    pub field: Field,
    /// The new value; for permissions, the words joined by commas. The present value, if it is the request that must change.
    pub replacement: String,
    /// The change in words, with its reason.
    pub text: String,
}

/// How the text of a change begins that concerns the request, and not the policy.
pub const ASK_FOR: &str = "ask for the path";

/// The changes that `entry` needs for the request, one for each failed part. It may try many patterns, and calls
/// `go_on` before each.
///
/// # Errors
/// The error of `go_on`.
pub(super) fn changes<E>(
    entry: &Entry,
    failed: &[Miss],
    (spiffe_id, path): (&str, &str),
    wanted: Permission,
    go_on: &impl Fn() -> Result<(), E>,
) -> Result<Vec<Suggestion>, E> {
    let id_pattern = entry.id.pattern.as_str();
    let path_pattern = entry.path.pattern.as_str();
    let mut found = Vec::new();
    for miss in failed {
        go_on()?;
        found.extend(match miss {
            Miss::SpiffeId => pattern_change(Field::SpiffeIdPattern, id_pattern, spiffe_id, go_on)?,
            Miss::Path if RESERVED_PATHS.contains(&path) => Some(describe(path)),
            Miss::Path => match slash_before(path, entry) {
                Some(without) => Some(ask_without_slash(path_pattern, without)),
                None => pattern_change(Field::PathPattern, path_pattern, path, go_on)?,
            },
            Miss::Permission => Some(add_permission(entry, wanted)),
            Miss::Reserved(ReservedCause::PathNotDescribed | ReservedCause::PathNotNamed) => {
                Some(describe(path))
            }
            Miss::Reserved(ReservedCause::IdentityNotPrecise) => {
                anchor_identity(id_pattern, spiffe_id)
            }
        });
    }
    Ok(found)
}

/// `path` without the slash before it, if `entry` matches only that.
fn slash_before<'a>(path: &'a str, entry: &Entry) -> Option<&'a str> {
    let without = path.strip_prefix('/')?.trim_start_matches('/');
    let is_match = Pattern::new(entry.path.pattern.as_str()).is_ok_and(|p| p.is_match(without));
    (is_match && !without.is_empty()).then_some(without)
}

/// The policy is well, and the request is not: a pattern that admits the slash would be a mistake for a mistake.
fn ask_without_slash(path_pattern: &str, without: &str) -> Suggestion {
    let text = format!(
        "{ASK_FOR} `{without}`: the request has a slash before the path, which is another path, and the policy matches it without"
    );
    Suggestion { field: Field::PathPattern, replacement: path_pattern.to_owned(), text }
}

/// The first small change to `pattern` that makes it match `subject`, or else the exact subject.
fn pattern_change<E>(
    field: Field,
    pattern: &str,
    subject: &str,
    go_on: &impl Fn() -> Result<(), E>,
) -> Result<Option<Suggestion>, E> {
    let matches = |candidate: &Rewrite| {
        is_acceptable(field, &candidate.pattern)
            && Pattern::new(&candidate.pattern).is_ok_and(|p| p.is_match(subject))
    };
    let singles = rewrite::rewrites(field, pattern);
    let pairs = singles.iter().flat_map(|first| rewrite::rewrites(field, &first.pattern));
    for candidate in singles.iter().cloned().chain(pairs) {
        go_on()?;
        if matches(&candidate) {
            return Ok(Some(replace(field, candidate.pattern, candidate.why)));
        }
    }
    Ok(exact_change(field, pattern, subject))
}

/// The exact subject in place of `pattern`. `None` if the subject is not a valid path or SPIFFE ID, so that no pattern
/// helps.
fn exact_change(field: Field, pattern: &str, subject: &str) -> Option<Suggestion> {
    let whole = rewrite::exactly(subject);
    if !is_acceptable(field, &whole) {
        return None;
    }
    let text = pattern.strip_prefix('^').unwrap_or(pattern);
    let text = text.strip_suffix('$').unwrap_or(text);
    let why = if text == subject {
        "characters with a meaning of their own need a backslash"
    } else if unescaped(text).eq_ignore_ascii_case(subject) {
        "upper and lower case are told apart"
    } else {
        "it asks for something else; this is what was requested, and what the pattern matched before loses access. To keep both, \
         give this path a policy of its own"
    };
    Some(replace(field, whole, why))
}

fn replace(field: Field, replacement: String, why: &str) -> Suggestion {
    let text = format!("change {field} to `{replacement}`: {why}");
    Suggestion { field, replacement, text }
}

fn describe(path: &str) -> Suggestion {
    let replacement = rewrite::exactly(path);
    let text = format!(
        "`{path}` is reserved, and the operation asks for it, not for the paths of secrets: give it a policy of its \
         own with pathPattern `{replacement}` and an anchored spiffeidPattern"
    );
    Suggestion { field: Field::PathPattern, replacement, text }
}

fn anchor_identity(id_pattern: &str, spiffe_id: &str) -> Option<Suggestion> {
    // An anchor at the end may exclude what the open pattern admitted.
    let candidates = [rewrite::anchored(id_pattern), rewrite::anchored(&format!("{id_pattern}.*"))];
    let fits = |candidate: &String| {
        is_acceptable(Field::SpiffeIdPattern, candidate)
            && Pattern::new(candidate).is_ok_and(|pattern| pattern.is_match(spiffe_id))
    };
    let replacement = candidates.into_iter().find(fits)?;
    let why = "on reserved paths, it must begin with ^ and end with $";
    Some(replace(Field::SpiffeIdPattern, replacement, why))
}

fn add_permission(entry: &Entry, wanted: Permission) -> Suggestion {
    let held = || Permission::ALL.into_iter().filter(|&p| entry.permissions.allow(p));
    let words: Vec<&str> = held().chain([wanted]).map(Permission::as_str).collect();
    let replacement = words.join(",");
    let text = format!("add `{wanted}` to the permissions: none implies another but super");
    Suggestion { field: Field::Permissions, replacement, text }
}

fn unescaped(pattern: &str) -> String {
    pattern.replace('\\', "")
}
