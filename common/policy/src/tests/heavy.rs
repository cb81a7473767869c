//! Expensive patterns, and questions that take long.

use super::*;

/// As expensive as a new policy may be, without a text for the index.
const LOOSE: &str = "[a-z/]?[b-z/]?[c-z/]?[d-z/]?";

fn new_policy(name: &str, path: &str) -> Result<Policy, PolicyError> {
    Policy::validate_new(name, APP, path, &["read"], NOON)
}

#[test]
fn a_pattern_that_takes_milliseconds_to_search_for_is_refused() {
    for (path, width) in [
        ("^a/(.?.?.?.?.?){26}q", 130),
        ("[a-p]{129}q", 129),
        ("^a/.*[a-c]{150}$", 151),
        ("^a/(.?.?.?.?.?){25}q", 125),
        ("^a/[a-z]{1000}$", 1),
    ] {
        let result = new_policy("p", path);
        if width <= MAX_WIDTH {
            assert!(result.is_ok(), "{path}: {result:?}");
            continue;
        }
        let error = result.unwrap_err();
        let expected = Refusal::TooComplex { width, limit: MAX_WIDTH };
        assert_eq!(error, PolicyError::new(Field::PathPattern, expected), "{path}");
        let mut stays = PolicySet::new();
        stays.insert(&stored("old", APP, path, &[Permission::Read]));
        assert_eq!(stays.unusable().len(), 0, "a stored one stays in force: {path}");
    }
    let id = format!("^spiffe://x/{}$", "[a-z0-9]?".repeat(600));
    let error = Policy::validate_new("p", &id, "^a$", &["read"], NOON).unwrap_err();
    assert_eq!(error.field, Field::SpiffeIdPattern);
    assert!(matches!(error.why, Refusal::TooComplex { .. }), "{error}");
}

#[test]
fn what_ordinary_policies_use_is_accepted() {
    for path in [
        r"^tenants/[a-z0-9-]{36}/db/.*$",
        "tenants/.{36}/secrets",
        r"^.*/.{36}/.*$",
        r"^(prod|staging|dev)/[^/]+/[^/]+/[^/]+$",
        r"^backups/\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{6}$",
        r"^keys/[0-9a-f]{64}/[0-9a-f]{64}/[0-9a-f]{128}$",
        &format!("^({})$", ["secrets/some-name"; 27].join("|")),
        &["secrets/some-name"; 27].join("|"),
        // Compared byte by byte, so any length is cheap.
        &"x".repeat(500),
    ] {
        let accepted = new_policy("p", path);
        assert!(accepted.is_ok(), "{path}: {accepted:?}");
    }
    let long = format!("^spiffe://{}$", "x".repeat(5000));
    assert!(Policy::validate_new("p", &long, "^a$", &["read"], NOON).is_ok());
}

#[test]
fn patterns_that_every_request_is_searched_with_are_bounded_together() {
    let loose = |n: usize| new_policy(&format!("p{n}"), &format!("[b-d]{{{}}}/", 40 + n)).unwrap();
    let mut set = PolicySet::new();
    let mut n = 0;
    let error = loop {
        match set.check_loose_width(&loose(n)) {
            Ok(()) => set.insert(&loose(n)),
            Err(error) => break error,
        }
        n += 1;
    };
    assert_eq!(n, 6, "40 + 41 + 42 + 43 + 44 + 45 places");
    assert_eq!(error.field, Field::PathPattern);
    let expected = Refusal::TooManyLoose { width: 46, in_use: 255, limit: MAX_LOOSE_WIDTH };
    assert_eq!(error.why, expected, "{error}");
    // An existing policy may be put again or made cheaper, and one that begins with a text costs other requests
    // nothing.
    assert_eq!(set.check_loose_width(&loose(3)), Ok(()));
    let lighter = stored("p4", APP, "[c-e]{30}/", &[]);
    assert_eq!(set.check_loose_width(&lighter), Ok(()));
    let anchored = stored("new", APP, "^tenants/acme/[b-d]{45}?/", &[]);
    assert_eq!(set.check_loose_width(&anchored), Ok(()));
    // A removed policy frees its width.
    assert!(set.remove("p0") && set.remove("p1"));
    assert_eq!(set.check_loose_width(&loose(6)), Ok(()));
    // A stored one stays in force whatever it costs.
    set.insert(&stored("old", APP, &"[p-z]".repeat(2_500), &[Permission::Read]));
    assert!(reads(&set, "spiffe://example.org/app", &"q".repeat(2_500)));
}

#[test]
fn a_thousand_policies_of_two_heavy_patterns_stay_compiled() {
    let policies: Vec<Policy> = (0..1_000)
        .map(|n| {
            let id = format!(r"^spiffe://example\.org/sa/app-{n}/[a-z0-9-]{{36}}$");
            let path = format!("^tenants/t-{n}/[a-z]{{3}}/.{{36}}/[^/]+$");
            stored(&format!("p{n}"), &id, &path, &[Permission::Read])
        })
        .collect();
    let set = set(&policies);
    let uuid = "0123456789-0123456789-0123456789-012";
    for n in 0..1_000 {
        let id = format!("spiffe://example.org/sa/app-{n}/{uuid}");
        assert!(reads(&set, &id, &format!("tenants/t-{n}/abc/{uuid}/x")));
        assert!(!reads(&set, &id, &format!("tenants/t-{n}/abc/{uuid}/")));
    }
    assert_eq!(set.compiled_patterns().len(), 2_000);
}

#[test]
fn a_policy_for_somebody_else_does_not_have_its_heavy_path_searched_for() {
    let heavy = format!("^secrets/{}x$", LOOSE.repeat(10));
    let set = set(&[stored("p", r"^spiffe://example\.org/app", &heavy, &[Permission::Read])]);
    assert!(!reads(&set, "spiffe://example.org/other", &"secrets/a".repeat(50)));
    assert_eq!(set.compiled_patterns().len(), 0, "the name decided");
}

#[test]
fn questions_over_many_policies_stop_when_they_are_told_to() {
    let policies: Vec<Policy> = (0..1_000)
        .map(|n| stored(&format!("p{n}"), APP, &format!("^t{n}/[a-z]+$"), &[Permission::Read]))
        .collect();
    let set = set(&policies);
    let counted = || {
        let left = std::cell::Cell::new(100);
        move || match left.get() {
            0 => Err("time is up"),
            some => {
                left.set(some - 1);
                Ok(())
            }
        }
    };
    let (rule, id) = (ReservedRule::Pattern, "spiffe://example.org/app");
    let question = set.question(rule, id, "t1/9", Permission::Read);
    assert_eq!(question.explain(5, counted()), Err("time is up"));
    let question = set.ask_who_can(rule, "t1/a", Permission::Read);
    assert_eq!(question.answer(counted()), Err("time is up"));
}

#[test]
fn a_question_is_answered_by_the_policies_as_they_were_when_it_was_asked() {
    let mut set = set(&[stored("p", APP, "^a/", &[Permission::Read])]);
    let question = set.ask_who_can(ReservedRule::Pattern, "a/b", Permission::Read);
    set.remove("p");
    let Ok(grantees) = question.answer(unlimited);
    assert_eq!(grantees.len(), 1);
    assert_eq!(set.who_can("a/b", Permission::Read), []);
}

#[test]
fn beginnings_of_open_paths_leave_no_open_path_out() {
    let id = "spiffe://example.org/app";
    let beginnings = |paths: &[&str]| {
        let policies: Vec<Policy> = (0..)
            .zip(paths)
            .map(|(n, path)| stored(&format!("p{n}"), APP, path, &[Permission::List]))
            .collect();
        set(&policies).paths_open_to(ReservedRule::Pattern, id, Permission::List).beginnings()
    };
    assert_eq!(beginnings(&[]), [""; 0]);
    assert_eq!(beginnings(&["^b/x$", "^a/[a-z]+$", "^a/b", r"^a\.b"]), ["a.b", "a/", "b/x"]);
    assert_eq!(beginnings(&["^a/", "b"]), [""]);
    assert_eq!(beginnings(&["^a/", "^a|b"]), [""]);
    assert_eq!(beginnings(&["^(?i)a/"]), [""]);
    assert_eq!(beginnings(&["^ab?c"]), ["a"]);
    let many: Vec<String> = (0..50).map(|n| format!("^t{n}/")).collect();
    assert_eq!(beginnings(&many.iter().map(String::as_str).collect::<Vec<_>>()), [""]);
}
