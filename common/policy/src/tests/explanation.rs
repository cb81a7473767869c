//! Explanations for operators.

use super::*;

#[test]
fn an_explanation_puts_the_nearest_miss_first_and_is_bounded() {
    let list = [Permission::List];
    let set = set(&[
        stored("elsewhere", r"^spiffe://other\.org/x$", "^zzz/", &list),
        stored("list-only", APP, "^secrets/web/", &list),
        stored("other-path", APP, "^tenants/", &list),
    ]);
    let id = "spiffe://example.org/app";
    let explanation = set.explain(id, "secrets/web/db", Permission::Read, 2);
    assert_eq!(explanation.decision, Decision::Denied);
    assert_eq!((explanation.policies, explanation.unusable), (3, 0));
    let misses = &explanation.near_misses;
    let names: Vec<&str> = misses.iter().map(|miss| miss.policy.as_ref()).collect();
    assert_eq!(names, ["list-only", "other-path"]);
    assert_eq!(misses[0].failed, [Miss::Permission]);
    assert_eq!(misses[1].failed, [Miss::Path, Miss::Permission]);
}

#[test]
fn an_explanation_of_an_allowed_request_names_the_policy() {
    let set = set(&[stored("p", APP, "^a/", &[Permission::Read])]);
    let explanation = set.explain("spiffe://example.org/app", "a/b", Permission::Read, 5);
    assert_eq!(explanation.decision, Decision::Allowed { policy: "p".into() });
    assert_eq!(explanation.near_misses, []);
}

/// The only suggestion for a policy of `app` on `path_pattern`.
fn suggestion(id_pattern: &str, path_pattern: &str, path: &str, wanted: Permission) -> Suggestion {
    let set = set(&[stored("p", id_pattern, path_pattern, &[Permission::Read, Permission::List])]);
    let explanation = set.explain("spiffe://example.org/app", path, wanted, 1);
    assert_eq!(explanation.decision, Decision::Denied);
    let [suggestion] = explanation.near_misses[0].suggestions.as_slice() else {
        panic!("{explanation:?}")
    };
    suggestion.clone()
}

// The most common mistakes of operators (cli-config-deploy 7.4), each with the smallest fix.
#[test]
fn the_smallest_change_is_suggested_for_the_commonest_mistakes() {
    use Permission::{Execute, List, Read, Write};
    for (id, path_pattern, path, wanted, field, replacement) in [
        (APP, "tenants/*/db", "tenants/acme/db", Read, Field::PathPattern, "^tenants/.*/db$"),
        (APP, "^/secrets/web$", "secrets/web", Read, Field::PathPattern, "^secrets/web$"),
        (APP, "^secrets/web$", "secrets/web/db", Read, Field::PathPattern, "^secrets/web/.*$"),
        (APP, "^secrets/web/$", "secrets/web", Read, Field::PathPattern, "^secrets/web$"),
        (APP, r"^secrets/a\\.b$", "secrets/a.b", Read, Field::PathPattern, r"^secrets/a\.b$"),
        (
            APP,
            "^tenants/{id}/db$",
            "tenants/acme/db",
            Read,
            Field::PathPattern,
            "^tenants/[^/]+/db$",
        ),
        (APP, "^secrets/a(1)$", "secrets/a(1)", Read, Field::PathPattern, r"^secrets/a\(1\)$"),
        (APP, "^Secrets/Web$", "secrets/web", Read, Field::PathPattern, "^secrets/web$"),
        (APP, "^secrets/", "secrets/x", Write, Field::Permissions, "read,list,write"),
        (APP, "^secrets/", SECRET_PATH, List, Field::PathPattern, "^spike/system/secret$"),
        (
            r"^spiffe://example\\.org/app$",
            "^a/",
            "a/b",
            Read,
            Field::SpiffeIdPattern,
            r"^spiffe://example\.org/app$",
        ),
        (
            "^spiffe://example.org/*$",
            "^a/",
            "a/b",
            Read,
            Field::SpiffeIdPattern,
            "^spiffe://example.org/.*$",
        ),
        (
            r"^spiffe://example\.org$",
            "^a/",
            "a/b",
            Read,
            Field::SpiffeIdPattern,
            r"^spiffe://example\.org/.*$",
        ),
        (r"^spiffe://other\.org/app$", "^a/", "a/b", Read, Field::SpiffeIdPattern, APP),
        (
            r"^spiffe://example\.org/",
            "^spike/system/secret$",
            SECRET_PATH,
            List,
            Field::SpiffeIdPattern,
            r"^spiffe://example\.org/.*$",
        ),
    ] {
        let found = suggestion(id, path_pattern, path, wanted);
        assert_eq!(
            (found.field, found.replacement.as_str()),
            (field, replacement),
            "{path_pattern}"
        );
        assert!(!found.text.is_empty());
    }
    let set = set(&[stored("p", APP, "^secrets/", &[Read])]);
    let explanation = set.explain("spiffe://example.org/app", CIPHER_PATH, Execute, 1);
    let texts: Vec<&str> =
        explanation.near_misses[0].suggestions.iter().map(|s| s.replacement.as_str()).collect();
    assert_eq!(texts, ["^spike/system/cipher/exec$", "read,execute"]);
}

/// The advice was to take the anchor away, which opens the policy for every path with that text in it.
#[test]
fn a_slash_before_the_path_of_a_request_is_no_reason_to_remove_an_anchor() {
    use Permission::Read;
    let found = suggestion(APP, "^tenants/acme/", "/tenants/acme/db", Read);
    assert_eq!(found.replacement, "^tenants/acme/");
    assert!(found.text.starts_with("ask for the path `tenants/acme/db`"), "{}", found.text);
    for path in ["other/tenants/acme/db", "x/secrets/web"] {
        let found = suggestion(APP, "^secrets/web$", path, Read);
        assert!(found.replacement.starts_with('^'), "{}", found.text);
    }
}

#[test]
fn who_can_names_the_policies_in_order() {
    let set = set(&[
        stored("b", "^spiffe://b$", "^secrets/", &[Permission::Read]),
        stored("a", "^spiffe://a$", "secrets/db", &[Permission::Super]),
        stored("c", "^spiffe://c$", "^secrets/", &[Permission::Write]),
        stored("d", "^spiffe://d", ".*", &[Permission::Read]),
    ]);
    let names = |path| -> Vec<String> {
        set.who_can(path, Permission::Read).iter().map(|g| g.policy.to_string()).collect()
    };
    assert_eq!(names("secrets/db"), ["a", "b", "d"]);
    assert_eq!(names(ACL_PATH), [""; 0], "d is not anchored, so it is not entitled");
}

#[test]
fn open_paths_are_those_that_the_decision_opens_however_many_policies_match() {
    for count in [0, 1, 40] {
        let policies: Vec<Policy> = (0..count)
            .map(|n| stored(&format!("p{n}"), APP, &format!("^t{n}/"), &[Permission::List]))
            .collect();
        let set = set(&policies);
        let open =
            set.paths_open_to(ReservedRule::Pattern, "spiffe://example.org/app", Permission::List);
        assert_eq!(open.is_empty(), count == 0);
        for n in 0..50 {
            assert_eq!(open.includes(&format!("t{n}/x")), n < count);
        }
    }
}
