use time::OffsetDateTime;

use super::super::{Permission, Permissions};
use super::*;

const APP: &str = r"^spiffe://example\.org/app$";

fn policy(id: &str, path: &str, permissions: &[Permission]) -> Policy {
    Policy {
        name: "p".into(),
        spiffe_id_pattern: id.into(),
        path_pattern: path.into(),
        permissions: Permissions::new(permissions.iter().copied()),
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    }
}

pub(super) fn read(id: &str, path: &str) -> Vec<Finding> {
    lint(&policy(id, path, &[Permission::Read]))
}

fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

/// The finding with this code, and its replacement.
fn replacement(findings: &[Finding], code: Code) -> String {
    let finding = findings.iter().find(|finding| finding.code == code);
    finding.unwrap_or_else(|| panic!("no {code} in {findings:#?}")).replacement.clone().unwrap()
}

#[test]
fn a_careful_policy_has_no_findings() {
    for (id, path) in [
        (APP, "^secrets/web/db$"),
        (APP, "^secrets/web/"),
        (APP, "^tenants/[^/]+/db$"),
        (r"^spiffe://example\.org/ns/prod/.*$", r"^secrets/web\.d/.*$"),
        (r"^spiffe://[a-z]+\.example\.org/(app)?$", "^(secrets|tenants)/web/.*$"),
    ] {
        assert_eq!(read(id, path), [], "{id} on {path}");
    }
    assert_eq!(lint(&policy(APP, "^spike/system/cipher/exec$", &[Permission::Execute])), []);
    assert_eq!(lint(&policy(APP, "^spike/system/acl$", &[Permission::List])), []);
}

#[test]
fn globs_are_found_and_spelled_out() {
    for (path, better) in [
        ("tenants/acme/*", "^tenants/acme/.*$"),
        ("^tenants/*/db$", "^tenants/.*/db$"),
        ("^tenants/acme*$", "^tenants/acme.*$"),
        ("tenants/**", "^tenants/.*$"),
        (r"^a\.*$", r"^a\..*$"),
    ] {
        let findings = read(APP, path);
        assert_eq!(replacement(&findings, Code::Glob), better, "{path}");
    }
    let id = read("^spiffe://example\\.org/*$", "^a/");
    assert_eq!(replacement(&id, Code::Glob), r"^spiffe://example\.org/.*$");
    for path in ["^a/.*$", "^a/[a-z]*$", "^(a)*$", r"^\w*$", "^a/[*]$", r"^a\*$"] {
        assert!(!codes(&read(APP, path)).contains(&Code::Glob), "{path}");
    }
}

// Each proposal mended one mistake and left the others: `^tenants/*`, and `tenants/*$`.
#[test]
fn every_proposal_has_no_mistake_of_its_own() {
    for (id, path) in [
        (APP, "tenants/*"),
        (APP, "/tenants/*"),
        (APP, "/tenants/{id}/db"),
        (APP, r"tenants\\.acme/*"),
        (APP, "secret"),
        ("spiffe://example.org/*", "^a/"),
        (r"spiffe://example\\.org/app", "^a/"),
        ("spiffe://www.example.org", "^a/"),
    ] {
        let findings = read(id, path);
        let proposals: Vec<_> = findings
            .iter()
            .filter_map(|finding| Some((finding.field, finding.replacement.as_ref()?)))
            .collect();
        assert!(!proposals.is_empty(), "{id} {path}: {findings:#?}");
        for (field, better) in proposals {
            let after = match field {
                Field::SpiffeIdPattern => read(better, "^a/"),
                _ => read(APP, better),
            };
            assert_eq!(after, [], "{id} {path}: {better}");
        }
    }
    assert_eq!(replacement(&read(APP, "tenants/*"), Code::MissingAnchor), "^tenants/.*$");
}

#[test]
fn unescaped_dots_are_found_in_the_trust_domain_only() {
    let findings = read("^spiffe://www.example.org/a.b/.*$", "^a/");
    assert_eq!(codes(&findings), [Code::UnescapedDot]);
    assert_eq!(replacement(&findings, Code::UnescapedDot), r"^spiffe://www\.example\.org/a.b/.*$");
    assert!(findings[0].message.contains("`spiffe://wwwxexample"), "{}", findings[0].message);
    for id in [APP, "^spiffe://.*/app$", "^spiffe://[a.]+/app$", "^spiffe://x/a.b$"] {
        assert!(!codes(&read(id, "^a/")).contains(&Code::UnescapedDot), "{id}");
    }
}

#[test]
fn missing_anchors_are_found_where_they_widen_the_match() {
    let path = read(APP, "secrets/web");
    assert_eq!(codes(&path), [Code::MissingAnchor, Code::MissingAnchor]);
    assert!(path[0].message.contains("before/secrets/web"), "{}", path[0].message);
    assert!(path[1].message.contains("secrets/web-and-more"), "{}", path[1].message);
    let id = read(r"^spiffe://example\.org/app", "^a/");
    assert_eq!(replacement(&id, Code::MissingAnchor), APP);
    for open in ["^secrets/", "^secrets/.*", "^secrets/.+", ".*/db$", "^.*/web$"] {
        let findings = read(APP, open);
        assert!(!codes(&findings).contains(&Code::MissingAnchor), "{open}: {findings:?}");
    }
    let start = read(r"spiffe://example\.org/app$", "^a/");
    assert_eq!(start[0].severity, Severity::Notice, "a SPIFFE ID has one beginning");
}

#[test]
fn a_leading_slash_is_found() {
    for (path, better) in [("/secrets/", "^secrets/"), ("^/secrets/db$", "^secrets/db$")] {
        assert_eq!(replacement(&read(APP, path), Code::LeadingSlash), better);
    }
    assert!(!codes(&read(APP, "^[/]secrets/")).contains(&Code::LeadingSlash));
}

#[test]
fn templates_and_doubled_backslashes_are_found() {
    let template = read(APP, "^tenants/{id}/db$");
    assert_eq!(replacement(&template, Code::Placeholder), "^tenants/[^/]+/db$");
    assert!(!codes(&read(APP, r"^[a-z]{3}/x$")).contains(&Code::Placeholder));
    let doubled = read(r"^spiffe://example\\.org/app$", "^a/");
    assert_eq!(replacement(&doubled, Code::DoubleEscape), APP);
    assert_eq!(replacement(&doubled, Code::NeverMatches), APP);
}

// A trust domain with upper case was told to be federated.
#[test]
fn a_trust_domain_with_upper_case_is_an_error_that_says_so_and_has_a_pattern_in_lower_case() {
    let findings = read(r"^spiffe://Example.ORG/App\S$", "^a/");
    let never = findings.iter().find(|finding| finding.code == Code::NeverMatches).unwrap();
    assert!(never.message.contains("trust domains are written in lower case"), "{never:?}");
    assert_eq!(never.replacement.as_deref(), Some(r"^spiffe://example\.org/App\S$"));
    let bundle = without_bundle(&policy(r"^spiffe://Example\.org/app$", "^a/", &[]), |_| false);
    assert_eq!(bundle, None);
    assert!(!codes(&read("^spiffe://example\\.org/App$", "^a/")).contains(&Code::NeverMatches));
}

#[test]
fn patterns_that_nothing_can_match_are_errors() {
    let never = |id: &str, path: &str| {
        let findings = read(id, path);
        let found = findings.iter().find(|finding| finding.code == Code::NeverMatches);
        found.map(|finding| (finding.field, finding.severity))
    };
    for id in [
        "^spiffe://example$/app",
        "^spiffe://example/app/$",
        "^spiffe://a//b$",
        r"spiffe://a\$",
        "x^spiffe://a",
        "^spiffe://a b$",
        "^spiffe://a[^!-~]$",
        "^SPIFFE://a$",
        "^spiffe://example:8443/app$",
        r"^spiffe://a\Bb[b]{0}$x",
    ] {
        assert_eq!(never(id, "^a/"), Some((Field::SpiffeIdPattern, Severity::Error)), "{id}");
    }
    for path in ["a$b", "b^a", "^a,b$", "^é$", "^a b$", "^$", r"^\$x$", "a[^ -~]"] {
        assert_eq!(never(APP, path), Some((Field::PathPattern, Severity::Error)), "{path}");
    }
    for (id, path) in [
        ("spiffe://", "a$|b^|c"),
        ("/$|app", "(^a)*b$"),
        ("", ""),
        ("^spiffe://under_score/x$", r"^\\x$"),
        ("(?m)^spiffe", "(?m)x$"),
        ("f+e://[a-z]{3}$", "^(?:[a-c]/){3}$"),
        (r"\bapp\b", r"\Bx"),
    ] {
        assert_eq!(never(id, path), None, "{id} on {path}");
    }
}

#[test]
fn patterns_for_everybody_and_everything_are_found() {
    let all = read("^spiffe://.*$", "^.*$");
    let broad: Vec<Field> =
        all.iter().filter(|f| f.code == Code::OverBroad).map(|f| f.field).collect();
    assert_eq!(broad, [Field::SpiffeIdPattern, Field::PathPattern]);
    assert!(!codes(&read(r"^spiffe://example\.org/.*$", "^a/.*$")).contains(&Code::OverBroad));
    let super_ = lint(&policy(APP, "^a/", &[Permission::Super]));
    assert_eq!(codes(&super_), [Code::SuperPermission]);
}

#[test]
fn reserved_paths_reached_by_accident_are_found() {
    let reserved = |id: &str, path: &str, permission| -> Vec<(Severity, Field)> {
        let findings = lint(&policy(id, path, &[permission]));
        let of_code = findings.iter().filter(|finding| finding.code == Code::ReservedPath);
        of_code.map(|finding| (finding.severity, finding.field)).collect()
    };
    // Refused: matched in part only.
    let refused = [(Severity::Error, Field::PathPattern)];
    assert_eq!(reserved(APP, "secret", Permission::Read), refused);
    assert_eq!(replacement(&read(APP, "secret"), Code::ReservedPath), "^secret$");
    // Refused: matched whole, but the SPIFFE ID pattern is not anchored.
    let open = r"^spiffe://example\.org/";
    let refused = [(Severity::Error, Field::SpiffeIdPattern)];
    assert_eq!(reserved(open, "^spike/system/acl$", Permission::Read), refused);
    // Accepted, but it allows more than it seems to.
    let warned = [(Severity::Warning, Field::PathPattern)];
    assert_eq!(reserved(APP, "^spike/.*$", Permission::Read), warned);
    assert_eq!(reserved(APP, ".*", Permission::Super).len(), 2);
    assert_eq!(reserved(APP, "^spike/system/acl$", Permission::Super), []);
    assert_eq!(reserved(APP, "^secrets/", Permission::Super), []);
}

#[test]
fn a_pattern_for_everything_with_super_is_said_to_make_an_administrator() {
    let administrators = |path: &str, permission| -> Vec<Severity> {
        let findings = lint(&policy(APP, path, &[permission]));
        let of_code = findings.iter().filter(|finding| finding.code == Code::Administrator);
        of_code.map(|finding| finding.severity).collect()
    };
    for path in ["^.*$", ".*", "^spike/.*$", "^spike/system/(acl|other)$"] {
        assert_eq!(administrators(path, Permission::Super), [Severity::Error], "{path}");
        assert_eq!(administrators(path, Permission::Write), [Severity::Error], "{path}");
        assert_eq!(administrators(path, Permission::Read), [], "{path}");
    }
    // Named, so intended.
    for path in ["^spike/system/acl$", "spike/system/acl", "^(secrets/a|spike/system/acl)$"] {
        assert_eq!(administrators(path, Permission::Super), [], "{path}");
    }
    assert_eq!(administrators("^secrets/.*$", Permission::Super), []);
    // Refused, so it makes nobody an administrator.
    let open = policy(r"^spiffe://example\.org/", "^.*$", &[Permission::Super]);
    assert!(!codes(&lint(&open)).contains(&Code::Administrator));
}

#[test]
fn where_reserved_paths_must_be_named_a_pattern_for_everything_opens_none() {
    let everything = policy(APP, "^.*$", &[Permission::Super]);
    let Ok(findings) = lint_all_by(ReservedRule::Literal, [&everything], unlimited);
    let found = codes(&findings);
    assert!(!found.contains(&Code::Administrator), "{found:?}");
    assert!(!found.contains(&Code::ReservedPath), "{found:?}");
}

#[test]
fn lint_of_heavy_patterns_stops_when_it_is_told_to() {
    let heavy = policy("^spiffe://x$", &"[a-z]?[b-z]?".repeat(40), &[Permission::Read]);
    let asked = std::cell::Cell::new(0);
    let go_on = || {
        asked.set(asked.get() + 1);
        if asked.get() < 10 { Ok(()) } else { Err("time is up") }
    };
    let policies = vec![heavy; 1_000];
    assert_eq!(lint_all_by(ReservedRule::Pattern, &policies, go_on), Err("time is up"));
    assert_eq!(asked.get(), 10, "it is asked within one policy, and not again");
}

#[test]
fn execute_off_the_cipher_path_does_nothing() {
    let findings = lint(&policy(APP, "^secrets/", &[Permission::Execute]));
    assert_eq!(codes(&findings), [Code::IdlePermission]);
}

// Common reports (cli-config-deploy 7.4): "reader cannot get" and "`secret list` denied though `list` is on the paths".
#[test]
fn list_without_read_on_the_paths_of_secrets_is_worth_a_notice() {
    let list =
        |path: &str, permissions: &[Permission]| codes(&lint(&policy(APP, path, permissions)));
    assert_eq!(list("^secrets/", &[Permission::List]), [Code::ListAlone]);
    for permission in [Permission::Read, Permission::Write] {
        assert_eq!(list("^secrets/", &[Permission::List, permission]), []);
    }
    assert_eq!(list("^spike/system/secret$", &[Permission::List]), []);
}

#[test]
fn what_cannot_be_put_is_an_error_with_its_reason() {
    let findings = read(".*", "a(");
    assert_eq!(findings[0].code, Code::Invalid);
    assert_eq!(findings[0].severity, Severity::Error);
    assert_eq!(findings[0].field, Field::SpiffeIdPattern);
    let twice = lint(&policy(APP, "^a/", &[Permission::Read, Permission::Write, Permission::Read]));
    assert_eq!(replacement(&twice, Code::RepeatedPermission), "read,write");
}

#[test]
fn policies_that_repeat_each_other_are_found_among_many() {
    let named = |name: &str, permissions: &[Permission]| Policy {
        name: name.into(),
        ..policy(APP, "^a/", permissions)
    };
    let findings = lint_all(&[
        named("first", &[Permission::Read, Permission::List]),
        named("same", &[Permission::List, Permission::Read]),
        named("more", &[Permission::Write]),
    ]);
    let duplicates: Vec<(&str, Severity)> = findings
        .iter()
        .filter(|finding| finding.code == Code::Duplicate)
        .map(|finding| (finding.policy.as_str(), finding.severity))
        .collect();
    assert_eq!(duplicates, [("same", Severity::Warning), ("more", Severity::Notice)]);
}

#[test]
fn every_replacement_is_a_pattern_that_may_be_put() {
    for (id, path) in [
        ("spiffe://example.org/*", "/tenants/*/db"),
        (r"spiffe://a\\.b", "tenants/{id}"),
        ("^spiffe://www.example.org", "secret"),
        (r"^spiffe://example\.org/app$/x", "a$b"),
    ] {
        for finding in read(id, path) {
            let Some(better) = finding.replacement else { continue };
            let checked = match finding.field {
                Field::SpiffeIdPattern => super::super::check_spiffe_id_pattern(&better),
                _ => super::super::check_path_pattern(&better),
            };
            assert_eq!(checked, Ok(()), "{}: {better}", finding.code);
            assert!(super::super::Pattern::new(&better).is_ok(), "{better}");
        }
    }
}
