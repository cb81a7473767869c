//! Patterns in Go's syntax, and decisions by them. Four lines: a SPIFFE ID pattern, a path pattern, a SPIFFE ID, and a
//! path, which may have further lines.

use regex::Regex;
use spike_policy::{
    Decision, Matcher, Pattern, Permission, Permissions, Policy, PolicyError, PolicySet,
    RESERVED_PATHS, Refusal, ReservedRule, check_name, check_path_pattern, check_spiffe_id_pattern,
    lint::lint,
};
use time::OffsetDateTime;

/// The text that a pattern for all paths matches, in upstream's rule for reserved paths (wire-api 5.5).
const PROBE: &str = "spike-arbitrary-probe-value";

/// See the module. Accepts a policy with two valid patterns.
pub fn check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let lines: Vec<&str> = text.splitn(4, '\n').collect();
    let [id_pattern, path_pattern, id, path] = lines[..] else { return false };

    points_at_its_fault(id, check_spiffe_id_pattern(id));
    points_at_its_fault(id_pattern, check_spiffe_id_pattern(id_pattern));
    points_at_its_fault(path_pattern, check_path_pattern(path_pattern));
    points_at_its_fault(id, check_name(id));

    let ids = examine(id_pattern, &[id, path, PROBE]);
    let paths = examine(path_pattern, &[path, id, "", RESERVED_PATHS[0]]);
    let policy = Policy {
        name: "p".to_owned(),
        spiffe_id_pattern: id_pattern.to_owned(),
        path_pattern: path_pattern.to_owned(),
        permissions: Permissions::new([Permission::Read]),
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    };
    lint(&policy);
    let stored =
        Policy::validate_new("p", id_pattern, path_pattern, &["read"], policy.created_at).is_ok();

    let mut set = PolicySet::new();
    set.insert(&policy);
    let usable = ids.is_some() && paths.is_some();
    assert_eq!(set.unusable().len(), usize::from(!usable));
    assert!(usable || !stored, "a policy that cannot be used passed for a new one");

    for path in [path].into_iter().chain(RESERVED_PATHS) {
        let found = paths.as_ref().is_some_and(|paths| paths.is_match(path));
        let reaches = usable && found && is_entitled(&policy, path);
        let allows = reaches && ids.as_ref().is_some_and(|ids| ids.is_match(id));
        assert!(
            reaches || !found || !stored,
            "a new policy that finds {path} is not entitled to it"
        );
        ask(&set, id, path, reaches, allows);
    }

    assert!(set.remove("p"));
    assert!(set.is_empty());
    assert_eq!(set.decide(id, path, Permission::Read), Decision::Denied);
    usable
}

/// A refusal for a character names the character at its offset.
fn points_at_its_fault(text: &str, checked: Result<(), PolicyError>) {
    if let Err(PolicyError { why: Refusal::Character { found, offset }, .. }) = checked {
        assert!(text[offset..].starts_with(found), "{text:?} at {offset}");
    }
}

/// Asks a set of one policy with the read permission every kind of question. `reaches`: for any SPIFFE ID.
fn ask(set: &PolicySet, id: &str, path: &str, reaches: bool, allows: bool) {
    assert_eq!(set.decide(id, path, Permission::Read).is_allowed(), allows, "{path}");
    assert_eq!(set.decide(id, path, Permission::Write), Decision::Denied);
    let open = set.paths_open_to(ReservedRule::Pattern, id, Permission::Read);
    assert_eq!(open.includes(path), allows, "{path}");
    let begins = open.beginnings().iter().any(|beginning| path.starts_with(beginning.as_str()));
    assert!(begins || !allows, "no open path is left out: {path}");
    assert_eq!(set.who_can(path, Permission::Read).len(), usize::from(reaches), "{path}");
    let explanation = set.explain(id, path, Permission::Read, 3);
    assert_eq!(explanation.decision.is_allowed(), allows);
    let usable = set.len() - set.unusable().len();
    assert_eq!(explanation.near_misses.len(), usize::from(!allows) * usable);
}

/// The rule for reserved paths (wire-api 5.5); other paths have none.
fn is_entitled(policy: &Policy, path: &str) -> bool {
    let describes = |text: &str, subject: &str| {
        Pattern::new(&format!("^(?:{text})$")).is_ok_and(|whole| whole.is_match(subject))
    };
    let id = policy.spiffe_id_pattern.as_str();
    let anchored = id.starts_with('^') && id.ends_with('$');
    !RESERVED_PATHS.contains(&path)
        || describes(&policy.path_pattern, path) && (anchored || describes(id, PROBE))
}

/// An accepted pattern compiles, and every kind of question gets the same answer. A refused one is refused for a part
/// of its text.
fn examine(text: &str, subjects: &[&str]) -> Option<Matcher> {
    let pattern = match Pattern::new(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            let fault = text.get(error.offset..).expect("the fault is within the pattern");
            assert!(fault.starts_with(&error.fragment), "{error:?}");
            return None;
        }
    };
    assert_eq!(pattern.as_str(), text);
    let matcher = pattern.matcher();
    assert_ne!(format!("{matcher:?}"), "Matcher(Nothing)", "accepted, and then does not compile");
    let same_in_rust = is_common_ground(text).then(|| Regex::new(text));
    // Without a matcher it compiles again, which is slow: one subject is enough.
    assert_eq!(pattern.is_match(subjects[0]), matcher.is_match(subjects[0]));
    for &subject in subjects.iter().chain(&[text]) {
        let found = matcher.is_match(subject);
        if let Some(Ok(regex)) = &same_in_rust {
            assert_eq!(regex.is_match(subject), found, "{subject:?}");
        }
    }
    Some(matcher)
}

/// Whether a pattern surely means the same in Go's dialect and in Rust's: no flags, no counts, only escapes of
/// punctuation, and classes of letters and digits only.
fn is_common_ground(text: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let plain = match c {
            '(' => !rest.as_str().starts_with('?') || rest.as_str().starts_with("?:"),
            '\\' => rest.next().is_some_and(|escaped| r".*+?^$|()[]\".contains(escaped)),
            '[' => {
                let class = rest.as_str();
                let inside = class.strip_prefix('^').unwrap_or(class);
                let Some((members, after)) = inside.split_once(']') else { return false };
                rest = after.chars();
                !members.is_empty() && members.chars().all(|c| c.is_ascii_alphanumeric())
            }
            '.' | '*' | '+' | '?' | '^' | '$' | '|' | ')' | '/' | ':' | '-' | '_' | ' ' => true,
            other => other.is_alphanumeric(),
        };
        if !plain {
            return false;
        }
    }
    true
}
