//! The decision without an index, without byte comparison and without sharing: every policy, one by one, each half by
//! its regular expression (wire-api 5.4). Property tests compare [`PolicySet`] with it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use regex::Regex;
use time::OffsetDateTime;

use super::*;

/// Compiled patterns by their texts; `None` for an invalid one. Compiling takes most of the time here.
#[derive(Default)]
struct Compiler(RefCell<BTreeMap<String, Option<Rc<Regex>>>>);

impl Compiler {
    fn finds(&self, text: &str, subject: &str) -> bool {
        let compile = || {
            let node = go_syntax::parse(text).ok()?;
            pattern::compile(text, &node, go_syntax::Alphabet::Unicode).ok().map(Rc::new)
        };
        let mut known = self.0.borrow_mut();
        let regex = known.entry(text.to_owned()).or_insert_with(compile);
        regex.as_ref().is_some_and(|regex| regex.is_match(subject))
    }

    fn allows(&self, policy: &Policy, spiffe_id: &str, path: &str, wanted: Permission) -> bool {
        let (id_pattern, path_pattern) = (&policy.spiffe_id_pattern, &policy.path_pattern);
        let describes = |pattern: &str, text: &str| self.finds(&format!("^(?:{pattern})$"), text);
        let is_reserved =
            ["spike/system/acl", "spike/system/secret", "spike/system/cipher/exec"].contains(&path);
        let is_entitled = || {
            let anchored = id_pattern.starts_with('^') && id_pattern.ends_with('$');
            describes(path_pattern, path)
                && (anchored || describes(id_pattern, "spike-arbitrary-probe-value"))
        };
        self.finds(id_pattern, spiffe_id)
            && self.finds(path_pattern, path)
            && (!is_reserved || is_entitled())
            && policy.permissions.iter().any(|p| p == wanted || p == Permission::Super)
    }
}

fn policy(name: String, id: &str, path: &str, permissions: Vec<Permission>) -> Policy {
    Policy {
        name,
        spiffe_id_pattern: id.into(),
        path_pattern: path.into(),
        permissions: Permissions::new(permissions),
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    }
}

/// Patterns built from the same parts as the subjects, so that many nearly match.
fn patterns(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let open = select(vec!["", "^", "^", "^", "(?i)^", ".*", "(?m)^"]);
    let close = select(vec!["", "$", "$", ".*", ".*$", ".+", r"\z", "(?m)$"]);
    let one = (open, prop::collection::vec(select(pieces), 1..6), close)
        .prop_map(|(open, body, close)| format!("{open}{}{close}", body.concat()));
    prop_oneof![
        8 => one.clone(),
        1 => (one.clone(), one.clone()).prop_map(|(a, b)| format!("{a}|{b}")),
        1 => (one.clone(), one.clone()).prop_map(|(a, b)| format!("^(?:{a}|{b})$")),
        1 => one.prop_map(|a| format!("({a})")),
        1 => select(vec![".*", "^.*$", "", "^", "$", "x*", "^$", "[^/]+", r"\Qspike", "a**"])
            .prop_map(Into::into),
    ]
}

const ID_PIECES: &[&str] = &[
    "spiffe://",
    "spiffe://",
    "spiffe://",
    "spiffe://",
    "example",
    "example",
    r"\.",
    ".",
    "[.]",
    "org",
    "org",
    "/app",
    "/app",
    "/ns/prod",
    "/ns/",
    "(prod|dev)",
    "(?:/[^/]+)",
    "[a-z]+",
    "[a-z]{3}",
    "/",
    "é",
    "a?",
    r"\w+",
    r"\b",
    "(?:x|y|zz)?",
    "{2}",
    "(|/app)",
    "[^/]*",
    "(?i:ORG)",
    "[[:alpha:]]",
];

const PATH_PIECES: &[&str] = &[
    "secrets/",
    "secrets/",
    "tenants/",
    "acme",
    "acme",
    "/db",
    "db",
    "[^/]+",
    "[a-z]+",
    ".",
    ".*",
    "spike/system/acl",
    "spike/system/",
    "spike/",
    "(acl|secret)",
    "cipher/exec",
    "system",
    "/",
    r"\.",
    "(?:a|b|acme)/",
    "{id}",
    "?",
    "*",
    "[0-9]{1,3}",
    "x{2}",
    r"\d",
    "é",
    "\n",
    "(?s:.)",
    "(secrets|tenants)/",
    r"\Qa.b\E",
    r"\B",
    "(/db)?",
];

fn ids() -> impl Strategy<Value = String> {
    let pieces = vec![
        "example", ".", "org", "/app", "/app", "/ns/prod", "/ns/dev", "/", "x", "zz", "é", "org2",
        "APP", "\n",
    ];
    prop_oneof![
        4 => prop::collection::vec(select(pieces), 0..6).prop_map(|p| format!("spiffe://{}", p.concat())),
        3 => select(vec!["/app", "/ns/prod", "/ns/dev/app", "", "/app/x", "/appx"])
            .prop_map(|tail| format!("spiffe://example.org{tail}")),
        1 => select(vec!["", "x", "spike-arbitrary-probe-value", "spiffe://exampleXorg", "xspiffe://example.org"])
            .prop_map(Into::into),
    ]
}

fn paths() -> impl Strategy<Value = String> {
    let pieces = vec![
        "secrets/", "secrets/", "tenants/", "acme", "/db", "db", "a", "b", "/", "12", "x", "xx",
        "{id}", "a.b", "é", "\n",
    ];
    prop_oneof![
        5 => prop::collection::vec(select(pieces), 0..5).prop_map(|p| p.concat()),
        2 => select(RESERVED_PATHS.to_vec()).prop_map(Into::into),
        1 => select(vec!["spike/system/", "xspike/system/acl", "spike/system/acl/", "spike/system/cipher"])
            .prop_map(Into::into),
    ]
}

fn permissions() -> impl Strategy<Value = Vec<Permission>> {
    prop::collection::vec(select(Permission::ALL.to_vec()), 1..3)
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    // Few names, so that later policies replace earlier ones.
    let one = (0..20_u8, patterns(ID_PIECES), patterns(PATH_PIECES), permissions())
        .prop_map(|(name, id, path, given)| policy(format!("p{name}"), &id, &path, given));
    prop::collection::vec(one, 1..24)
}

/// Cases, IDs and paths: together over 100,000 decisions.
const CASES: u32 = 330;
const IDS: usize = 16;
const PATHS: usize = 20;

#[test]
fn the_index_changes_no_answer() {
    let compiler = Compiler::default();
    let decisions = RefCell::new([0_usize; 2]);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..Default::default() };
    proptest!(config, |(
        policies in policies(),
        removed in prop::collection::vec(any::<Index>(), 0..4),
        ids in prop::collection::vec(ids(), IDS),
        paths in prop::collection::vec(paths(), PATHS),
        wanted in select(Permission::ALL.to_vec()),
    )| {
        let mut set: PolicySet = policies.iter().collect();
        let mut known: BTreeMap<&str, &Policy> =
            policies.iter().map(|policy| (policy.name.as_str(), policy)).collect();
        for index in removed {
            let name = &policies[index.index(policies.len())].name;
            prop_assert_eq!(set.remove(name), known.remove(name.as_str()).is_some());
        }
        prop_assert_eq!(set.len(), known.len());
        for id in &ids {
            let open = set.paths_open_to(ReservedRule::Pattern, id, wanted);
            for path in &paths {
                let expected =
                    known.values().any(|policy| compiler.allows(policy, id, path, wanted));
                let decision = set.decide(id, path, wanted);
                prop_assert_eq!(decision.is_allowed(), expected, "{:?} {:?} {}", id, path, wanted);
                prop_assert_eq!(open.includes(path), expected, "open: {:?} {:?}", id, path);
                if let Decision::Allowed { policy } = decision {
                    let named = known.get(policy.as_ref());
                    prop_assert!(named.is_some_and(|p| compiler.allows(p, id, path, wanted)));
                }
                decisions.borrow_mut()[usize::from(expected)] += 1;
            }
        }
    });
    let [denied, allowed] = decisions.into_inner();
    assert!(denied + allowed >= 100_000, "{denied} denied, {allowed} allowed");
    assert!(allowed >= 2_000, "the generators must hit: {allowed} of {}", denied + allowed);
}

#[test]
fn explanations_agree_with_decisions_and_suggestions_hold_what_they_promise() {
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() };
    proptest!(config, |(
        policies in policies(),
        id in ids(),
        path in paths(),
        wanted in select(Permission::ALL.to_vec()),
    )| {
        let set: PolicySet = policies.iter().collect();
        let explanation = set.explain(&id, &path, wanted, usize::MAX);
        prop_assert_eq!(&explanation.decision, &set.decide(&id, &path, wanted));
        let compiler = Compiler::default();
        let known: BTreeMap<&str, &Policy> =
            policies.iter().map(|policy| (policy.name.as_str(), policy)).collect();
        for miss in &explanation.near_misses {
            let policy = known[miss.policy.as_ref()];
            prop_assert!(!compiler.allows(policy, &id, &path, wanted));
            let is_about_the_request = |text: &str| text.starts_with(ASK_FOR);
            if miss.suggestions.len() < miss.failed.len()
                || miss.suggestions.iter().any(|suggestion| is_about_the_request(&suggestion.text))
            {
                continue;
            }
            let mut changed = policy.clone();
            for suggestion in &miss.suggestions {
                let text = suggestion.replacement.clone();
                match suggestion.field {
                    Field::SpiffeIdPattern => changed.spiffe_id_pattern = text,
                    Field::PathPattern => changed.path_pattern = text,
                    Field::Permissions => {
                        changed.permissions = text.split(',').filter_map(Permission::from_word).collect();
                    }
                    Field::Name => prop_assert!(false, "a name decides nothing"),
                }
            }
            // A policy changed for a reserved path still needs an anchored identity.
            if !RESERVED_PATHS.contains(&path.as_str()) {
                prop_assert!(compiler.allows(&changed, &id, &path, wanted), "{:?} -> {:?}", policy, changed);
            }
        }
        let unusable = set.unusable().len();
        let allowing = known.values().filter(|p| compiler.allows(p, &id, &path, wanted)).count();
        prop_assert_eq!(explanation.near_misses.len() + allowing + unusable, known.len());
    });
}
