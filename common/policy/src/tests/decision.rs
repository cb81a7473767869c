//! Decisions of stored policies.

use super::*;

// Matching and permissions (wire-api 5.4).
#[test]
fn both_patterns_are_searched_for_anywhere() {
    let set = set(&[stored("p", "spiffe://example", "web/d", &[Permission::Read])]);
    assert!(reads(&set, "spiffe://example.org/app", "secrets/web/db"));
    assert!(reads(&set, "xspiffe://example2", "web/d"));
    assert!(!reads(&set, "spiffe://exampl", "web/d"));
    assert!(!reads(&set, "spiffe://example.org/app", "web/"));
}

#[test]
fn a_path_is_taken_as_it_is() {
    let set = set(&[stored("p", APP, "^a/b$", &[Permission::Read])]);
    let id = "spiffe://example.org/app";
    assert!(reads(&set, id, "a/b"));
    for path in ["/a/b", "a//b", "a/b/", "a/b\n", "A/b", ""] {
        assert!(!reads(&set, id, path), "{path:?}");
    }
}

#[test]
fn permissions_of_different_policies_are_not_united() {
    let set = set(&[
        stored("reader", APP, "^a/", &[Permission::Read]),
        stored("writer", APP, "^b/", &[Permission::Write]),
    ]);
    let id = "spiffe://example.org/app";
    let allowed = |path, wanted| set.decide(id, path, wanted).is_allowed();
    assert!(allowed("a/x", Permission::Read));
    assert!(allowed("b/x", Permission::Write));
    assert!(!allowed("a/x", Permission::Write));
    assert!(!allowed("b/x", Permission::Read));
    assert!(!allowed("a/x", Permission::Super), "a grant of one is not a grant of all");
}

// Reserved paths (wire-api 5.3, 5.5).
#[test]
fn on_a_reserved_path_only_entitled_policies_count() {
    let super_ = [Permission::Super];
    let id = "spiffe://example.org/app";
    for (id_pattern, path_pattern, allowed) in [
        (APP, "^spike/system/acl$", true),
        (APP, "spike/system/acl", true),
        (APP, ".*", true),
        (APP, "acl", false),
        (APP, "^spike/system/a", false),
        (r"^spiffe://example\.org/app", "^spike/system/acl$", false),
        (r"spiffe://example\.org/app$", ".*", false),
        ("^spiffe://other|app$", ".*", true),
        (".*", ".*", true),
        (".*", "^spike/system/acl$", true),
        ("", ".*", false),
        ("spiffe", ".*", false),
    ] {
        let set = set(&[stored("p", id_pattern, path_pattern, &super_)]);
        let decision = set.decide(id, ACL_PATH, Permission::List);
        assert_eq!(decision.is_allowed(), allowed, "{id_pattern} on {path_pattern}");
        let matches = path_pattern == "acl" || path_pattern == ".*";
        assert_eq!(reads(&set, id, "x/acl"), matches, "ordinary paths need no more than a match");
    }
}

#[test]
fn a_decision_names_the_policy_that_allowed() {
    let set = set(&[
        stored("other", APP, "^b/", &[Permission::Read]),
        stored("mine", APP, "^a/", &[Permission::Read]),
    ]);
    let decision = set.decide("spiffe://example.org/app", "a/x", Permission::Read);
    assert_eq!(decision, Decision::Allowed { policy: "mine".into() });
}

#[test]
fn no_policy_allows_nothing() {
    let empty = PolicySet::new();
    assert!(empty.is_empty());
    assert!(!reads(&empty, "spiffe://example.org/app", "a"));
    assert!(!reads(&empty, "", ""));
}

#[test]
fn a_policy_is_replaced_by_name_and_gone_when_removed() {
    let id = "spiffe://example.org/app";
    let mut set = set(&[stored("p", APP, "^a/", &[Permission::Read])]);
    set.insert(&stored("p", APP, "^b/", &[Permission::Read]));
    assert_eq!(set.len(), 1);
    assert!(!reads(&set, id, "a/x"));
    assert!(reads(&set, id, "b/x"));
    assert!(set.remove("p"));
    assert!(!set.remove("p"));
    assert!(!reads(&set, id, "b/x"));
    assert!(set.is_empty());
}

// Patterns from an older store are translated or never match. Their meaning never changes (Q-45).
#[test]
fn a_stored_policy_that_cannot_be_read_never_matches_and_is_reported() {
    let mut set = set(&[
        stored("nested", ".*", "a**", &[Permission::Super]),
        stored("open", "(", ".*", &[Permission::Super]),
        stored("good", APP, "^a/", &[Permission::Read]),
    ]);
    assert!(!reads(&set, "spiffe://x", "aaa"));
    assert!(reads(&set, "spiffe://example.org/app", "a/x"));
    let reported: Vec<(String, String)> =
        set.unusable().map(|(name, error)| (name.to_owned(), error.to_string())).collect();
    let nested = "pathPattern: invalid nested repetition operator: `**` at byte 1";
    let open = "spiffeidPattern: missing closing ): `(` at byte 0";
    assert_eq!(reported, [("nested".into(), nested.into()), ("open".into(), open.into())]);
    assert_eq!(set.len(), 3);
    set.insert(&stored("open", ".*", "^a$", &[Permission::Read]));
    assert!(reads(&set, "spiffe://x", "a"));
    assert!(set.remove("nested"));
    assert_eq!(set.unusable().len(), 0);
}

#[test]
fn threads_share_a_set_and_agree() {
    let policies: Vec<Policy> = (0..200)
        .map(|n| stored(&format!("p{n}"), APP, &format!("^t{n}/[a-z]+$"), &[Permission::Read]))
        .collect();
    let set = set(&policies);
    std::thread::scope(|scope| {
        for offset in 0..4 {
            let set = &set;
            scope.spawn(move || {
                for n in (0..200).map(|n| (n + offset * 50) % 200) {
                    let id = "spiffe://example.org/app";
                    assert!(reads(set, id, &format!("t{n}/a")));
                    assert!(!reads(set, id, &format!("t{n}/9")));
                }
            });
        }
    });
}

#[test]
fn sub_paths_of_a_reserved_path_are_ordinary() {
    let set = set(&[stored("p", "spiffe://", "spike/system", &[Permission::Read])]);
    assert!(reads(&set, "spiffe://a", "spike/system/other"));
    assert!(reads(&set, "spiffe://a", "spike/system/acl/x"));
    assert!(!reads(&set, "spiffe://a", "spike/system/acl"));
}
