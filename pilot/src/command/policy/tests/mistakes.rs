//! The six commonest mistakes of operators (cli-config-deploy 7.4): `explain`, `lint` and `apply --dry-run` each name the
//! mistake and the fix.
//!
//! The Nexus here is upstream's kind, so this program computes the answers; our Nexus gives the same from
//! the same crate.

use super::*;

const APP: &str = "spiffe://example.org/acme/app";

/// A policy as its author wrote it, and what was then asked for: in vain, or with more success than was meant.
struct Mistake {
    name: &'static str,
    spiffeid_pattern: &'static str,
    path_pattern: &'static str,
    permission: &'static str,
    asked: (&'static str, &'static str),
}

/// What each of the three commands prints.
fn check(mistake: &Mistake) {
    let Mistake { name, spiffeid_pattern, path_pattern, permission, asked: (path, wanted) } =
        mistake;
    let (nexus, policies) = nexus(Kind::Upstreams);
    let file = format!(
        "name: acme\nspiffeidPattern: '{spiffeid_pattern}'\npathPattern: '{path_pattern}'\npermissions: [{permission}]\n"
    );
    let question = ["--spiffe-id", APP, "--path", path, "--permission", wanted];
    let fields: [&str; 8] = [
        "--name",
        "acme",
        "--path-pattern",
        path_pattern,
        "--spiffeid-pattern",
        spiffeid_pattern,
        "--permissions",
        permission,
    ];
    let lint = nexus.run_with(&["policy", "lint", "--file", "-"], &file);
    let dry = nexus.run_with(&["policy", "apply", "--dry-run", "--file", "-"], &file);
    // A policy that Nexus refuses can have been stored only by an older one.
    let request = PolicyPutRequest {
        name: "acme".to_owned(),
        spiffeid_pattern: (*spiffeid_pattern).to_owned(),
        path_pattern: (*path_pattern).to_owned(),
        permissions: vec![(*permission).to_owned()],
        create_only: false,
    };
    policies.lock().unwrap().insert("acme".to_owned(), stored(request));
    let explain = nexus.run(&[&["policy", "explain"], &question[..]].concat());
    let told = format!(
        "$ spike policy apply {}\n$ spike policy explain {}\n{explain}\n$ spike policy lint --file acme.yaml\n{lint}\n$ spike policy apply --dry-run --file acme.yaml\n{dry}",
        fields.join(" "),
        question.join(" "),
    );
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("mistake-{name}"), told));
}

#[test]
fn a_glob_instead_of_a_regular_expression() {
    check(&Mistake {
        name: "glob",
        spiffeid_pattern: r"^spiffe://example\.org/acme/app$",
        path_pattern: "^tenants/*/db$",
        permission: "read",
        asked: ("tenants/acme/db", "read"),
    });
}

#[test]
fn a_pattern_without_anchors() {
    check(&Mistake {
        name: "unanchored",
        spiffeid_pattern: r"^spiffe://example\.org/acme/app$",
        path_pattern: "acme/db",
        permission: "read",
        asked: ("tenants/acme/db/creds", "read"),
    });
}

#[test]
fn dots_that_stand_for_any_character() {
    check(&Mistake {
        name: "dots",
        spiffeid_pattern: "^spiffe://example.org/acme/app$",
        path_pattern: "^tenants/acme/.*$",
        permission: "read",
        asked: ("tenants/acme/db", "read"),
    });
}

#[test]
fn a_slash_in_front_of_the_path() {
    check(&Mistake {
        name: "slash",
        spiffeid_pattern: r"^spiffe://example\.org/acme/app$",
        path_pattern: "^/tenants/acme/.*$",
        permission: "read",
        asked: ("tenants/acme/db", "read"),
    });
}

#[test]
fn a_reader_that_may_only_list() {
    check(&Mistake {
        name: "permission",
        spiffeid_pattern: r"^spiffe://example\.org/acme/app$",
        path_pattern: "^tenants/acme/.*$",
        permission: "list",
        asked: ("tenants/acme/db", "read"),
    });
}

#[test]
fn a_list_of_all_secrets_on_the_paths_of_some() {
    check(&Mistake {
        name: "list",
        spiffeid_pattern: r"^spiffe://example\.org/acme/app$",
        path_pattern: "^tenants/acme/.*$",
        permission: "list",
        asked: ("spike/system/secret", "list"),
    });
}

#[test]
fn a_reserved_path_that_is_reached_by_accident() {
    check(&Mistake {
        name: "reserved",
        spiffeid_pattern: r"^spiffe://example\.org/acme/app$",
        path_pattern: "secret",
        permission: "list",
        asked: ("spike/system/secret", "list"),
    });
}

#[test]
fn a_policy_with_a_mistake_is_warned_of_when_it_is_written_all_the_same() {
    let (nexus, _) = nexus(Kind::Ours);
    let mut arguments = create("p");
    arguments[5] = "tenants/acme/db";
    insta::assert_snapshot!(nexus.run(&arguments), @"
    [0]
    Policy created successfully.
    --
    warning: p: pathPattern: without `^`, `before/tenants/acme/db` matches too; write `^tenants/acme/db$`
    warning: p: pathPattern: without `$`, `tenants/acme/db-and-more` matches too; write `^tenants/acme/db$`
    ");
}

// Each proposal had another mistake: `^tenants/*`, and `tenants/*$`.
#[test]
fn every_proposal_for_a_glob_is_the_pattern_that_passes() {
    let (nexus, _) = nexus(Kind::Ours);
    let mut arguments = create("p");
    arguments[5] = "tenants/*";
    let ran = nexus.run(&arguments);
    let warnings = ran.stderr.lines().filter(|line| line.starts_with("warning: p: pathPattern"));
    let proposals: Vec<_> =
        warnings.filter_map(|line| line.split_once("; write ").map(|(_, it)| it)).collect();
    assert_eq!(proposals, ["`^tenants/.*$`"; 3], "{ran}");
}

// It was told to federate a trust domain that there cannot be.
#[test]
fn a_trust_domain_with_upper_case_is_told_as_that_and_nobody_is_told_to_federate_it() {
    let (nexus, _) = nexus(Kind::Ours);
    let mut arguments = create("p");
    arguments[7] = r"^spiffe://Partner\.org/App$";
    let ran = nexus.run(&arguments);
    assert!(ran.stderr.contains("trust domains are written in lower case"), "{ran}");
    assert!(ran.stderr.contains(r"write `^spiffe://partner\.org/App$`"), "{ran}");
    assert!(!ran.stderr.contains("federate"), "{ran}");
    let question =
        ["--spiffe-id", "spiffe://Partner.org/App", "--path", "a", "--permission", "read"];
    let asked = nexus.run(&[&["policy", "can-i"], &question[..]].concat());
    assert_eq!(asked.exit, Exit::Usage, "{asked}");
    assert!(asked.stderr.contains("trust domains are written in lower case"), "{asked}");
}
