//! Reserved paths that only literal patterns open.

use super::*;

const ADMIN: &str = "spiffe://example.org/app";

fn decides(rule: ReservedRule, path_pattern: &str, path: &str) -> bool {
    let set = set(&[stored("p", APP, path_pattern, &[Permission::Super])]);
    set.decide_by(rule, ADMIN, path, Permission::Write).is_allowed()
}

#[test]
fn a_pattern_for_everything_opens_reserved_paths_by_upstreams_rule_only() {
    for path in RESERVED_PATHS {
        for pattern in ["^.*$", ".*", "^spike/.*$", "^spike/system/(acl|secret|[c]ipher/.*)$"] {
            assert!(decides(ReservedRule::Pattern, pattern, path), "{pattern} {path}");
            let literal = decides(ReservedRule::Literal, pattern, path);
            assert!(!literal, "{pattern} {path}");
        }
    }
}

#[test]
fn a_pattern_that_names_a_reserved_path_opens_it_by_either_rule() {
    for pattern in [
        "^spike/system/acl$",
        "spike/system/acl",
        r"^spike\/system\/acl$",
        r"\Aspike/system/[a]cl\z",
        "^spike/system/acl$|^secrets/a$",
        "^(spike/system/acl|spike/system/secret)$",
    ] {
        for rule in [ReservedRule::Pattern, ReservedRule::Literal] {
            assert!(decides(rule, pattern, ACL_PATH), "{pattern} {rule:?}");
        }
        assert!(!decides(ReservedRule::Literal, pattern, CIPHER_PATH), "{pattern}");
    }
}

#[test]
fn ordinary_paths_are_open_alike_by_either_rule() {
    for path in ["secrets/a", "spike/system/acl/x", "spike/system", "spike/system/cipher"] {
        assert!(decides(ReservedRule::Literal, "^.*$", path), "{path}");
    }
}

#[test]
fn explanations_and_who_can_go_by_the_rule_that_holds() {
    let set = set(&[
        stored("everything", APP, "^.*$", &[Permission::Super]),
        stored(
            "named",
            r"^spiffe://example\.org/admin$",
            "^spike/system/acl$",
            &[Permission::Write],
        ),
    ]);
    let literal = ReservedRule::Literal;
    let Ok(explanation) =
        set.question(literal, ADMIN, ACL_PATH, Permission::Write).explain(2, unlimited);
    assert_eq!(explanation.decision, Decision::Denied);
    let of = |name: &str| {
        explanation.near_misses.iter().find(|miss| miss.policy.as_ref() == name).unwrap()
    };
    let miss = of("everything");
    assert_eq!(miss.failed, [Miss::Reserved(ReservedCause::PathNotNamed)]);
    assert_eq!(miss.suggestions[0].replacement, "^spike/system/acl$");
    let names = |rule| -> Vec<String> {
        let Ok(grantees) = set.ask_who_can(rule, ACL_PATH, Permission::Write).answer(unlimited);
        grantees.iter().map(|grantee| grantee.policy.to_string()).collect()
    };
    assert_eq!(names(literal), ["named"]);
    assert_eq!(names(ReservedRule::Pattern), ["everything", "named"]);
}
