//! `explain`, `can-i`, `who-can` and `lint`: layouts, exit statuses, and both kinds of Nexus.

use spike_wire::{
    ExplainRequest, ExplainResponse, Grantee, LintResponse, NearMiss, WhoCanResponse,
};

use super::*;
use crate::testing::run_alone;

const APP: &str = "spiffe://example.org/acme/app";

fn question<'a>(command: &'a str, path: &'a str, permission: &'a str) -> Vec<&'a str> {
    vec!["policy", command, "--spiffe-id", APP, "--path", path, "--permission", permission]
}

#[test]
fn our_nexus_answers_and_the_answer_is_printed_in_every_format() {
    let nexus = FakeNexus::start(|operation, body| {
        assert_eq!(operation, Operation::PolicyExplain);
        let request = ExplainRequest::decode(body).unwrap();
        assert_eq!((request.spiffe_id.as_str(), request.permission.as_str()), (APP, "read"));
        let near_misses = vec![NearMiss {
            name: "acme".to_owned(),
            spiffeid_pattern: "^spiffe://x$".to_owned(),
            path_pattern: "^a/".to_owned(),
            failed: vec!["the SPIFFE ID pattern does not match".to_owned()],
            suggestions: vec!["change it \x1b[31m".to_owned()],
        }];
        let answer =
            ExplainResponse { near_misses, policies: 3, unusable: 1, ..Default::default() };
        (200, answer.encode())
    });
    insta::assert_snapshot!(nexus.run(&question("explain", "a/1", "read")), @r"
    [0]
    DENIED: spiffe://example.org/acme/app may not read a/1
    None of 3 policies allows it.

    Nearest:

      Name: acme
      SPIFFE ID Pattern: ^spiffe://x$
      Path Pattern: ^a/
      failed: the SPIFFE ID pattern does not match
      fix: change it \u{1b}[31m

    Policies that cannot be read, and allow nothing: 1. `spike policy lint` says why.
    --
    ");
    let json = [question("explain", "a/1", "read"), vec!["-f", "json"]].concat();
    let json: serde_json::Value = serde_json::from_str(&nexus.run(&json).stdout).unwrap();
    assert_eq!(json["allowed"], false);
    assert_eq!(json["policy"], serde_json::Value::Null);
    assert_eq!(json["nearMisses"][0]["name"], "acme");
    assert_eq!(json["spiffeId"], APP);
    let yaml = [question("explain", "a/1", "read"), vec!["-f", "yaml"]].concat();
    let yaml = nexus.run(&yaml).stdout;
    assert!(yaml.contains("allowed: false\n") && yaml.contains("nearMisses:\n"), "{yaml}");
}

#[test]
fn an_upstream_nexus_is_asked_for_its_policies_and_the_answer_is_the_same() {
    let (nexus, policies) = nexus(Kind::Upstreams);
    assert_eq!(nexus.run(&create("acme-db")).exit, Exit::Success);
    let before = policies.lock().unwrap().clone();
    insta::assert_snapshot!(nexus.run(&question("explain", "tenants/acme/db/1", "write")), @"
    [0]
    ALLOWED: spiffe://example.org/acme/app may write tenants/acme/db/1
    By the policy: acme-db
    --
    note: this SPIKE Nexus does not answer questions about policies; this is worked out here, from its policies (1) and the trust roots of this process
    ");
    let superuser =
        ["policy", "explain", "--spiffe-id", "spiffe://spike.ist/spike/pilot/role/superuser/1"];
    let action = ["--path", "anything", "--permission", "super"];
    let ran = nexus.run(&[&superuser[..], &action].concat());
    insta::assert_snapshot!(ran.stdout, @"
    ALLOWED: spiffe://spike.ist/spike/pilot/role/superuser/1 may super anything
    Because of its role: pilot (superuser). Policies are not asked.
    ");
    assert_eq!(*policies.lock().unwrap(), before);
}

#[test]
fn can_i_says_yes_or_no_and_so_does_its_exit_status() {
    let (nexus, _) = nexus(Kind::Upstreams);
    assert_eq!(nexus.run(&create("acme-db")).exit, Exit::Success);
    for (path, permission, said, exit) in [
        ("tenants/acme/db/1", "read", "yes\n", Exit::Success),
        ("tenants/acme/db/1", "list", "no\n", Exit::Denied),
        ("tenants/other", "read", "no\n", Exit::Denied),
        ("spike/system/cipher/exec", "execute", "no\n", Exit::Denied),
    ] {
        let ran = nexus.run(&question("can-i", path, permission));
        assert_eq!((ran.stdout.as_str(), ran.exit), (said, exit), "{permission} {path}");
    }
}

/// Both said only that the policy allows it.
#[test]
fn a_trust_domain_without_a_bundle_is_told_by_explain_and_by_can_i() {
    let nexus = FakeNexus::start(|_, _| {
        let no_bundle_of = Some("example.org".to_owned());
        let role = Some("pilot (superuser)".to_owned());
        (200, ExplainResponse { allowed: true, role, no_bundle_of, ..Default::default() }.encode())
    });
    insta::assert_snapshot!(nexus.run(&question("explain", "a/1", "read")), @"
    [0]
    ALLOWED: spiffe://example.org/acme/app may read a/1
    But SPIKE Nexus holds no trust bundle of example.org: it refuses this SVID in the handshake, whatever policies allow.
    Because of its role: pilot (superuser). Policies are not asked.
    --
    ");
    let ran = nexus.run(&question("can-i", "a/1", "read"));
    assert_eq!((ran.stdout.as_str(), ran.exit), ("yes\n", Exit::Success));
    assert!(ran.stderr.contains("no trust bundle of example.org"), "{}", ran.stderr);
}

#[test]
fn who_can_names_roles_and_policies() {
    let ours = FakeNexus::start(|_, _| {
        let grantees = vec![Grantee { policy: "p".to_owned(), spiffeid_pattern: "^x$".to_owned() }];
        (200, WhoCanResponse { roles: vec!["spiffe://r".to_owned()], grantees }.encode())
    });
    let action = ["policy", "who-can", "--path", "a", "--permission", "read"];
    insta::assert_snapshot!(ours.run(&action), @"
    [0]
    WHO CAN read a

    By role, with every ID below:
      spiffe://r

    By policy, every ID that matches:
      p: ^x$
    --
    ");
    let (upstreams, _) = nexus(Kind::Upstreams);
    let action =
        ["policy", "who-can", "--path", "spike/system/cipher/exec", "--permission", "execute"];
    insta::assert_snapshot!(upstreams.run(&action).stdout, @"
    WHO CAN execute spike/system/cipher/exec

    By role, with every ID below:
      spiffe://spike.ist/spike/pilot/role/superuser
      spiffe://spike.ist/spike/workload/role/lite

    By policy: nobody.
    ");
    let json = upstreams.run(&[&action[..], &["-f", "json"]].concat()).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["grantees"], serde_json::json!([]));
}

#[test]
fn a_clean_file_needs_neither_nexus_nor_agent_and_a_finding_is_an_exit_status() {
    let ran = run_alone(&["policy", "lint", "--file", "-"], TWO);
    assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Success, "No findings in 2 policies.\n"));
    let notice = TWO.replacen("^spiffe", "spiffe", 1);
    let ran = run_alone(&["policy", "lint", "--file", "-"], &notice);
    assert_eq!(ran.exit, Exit::Success, "a notice: {}", ran.stdout);
    assert!(ran.stdout.ends_with("1 finding in 2 policies: 0 errors, 0 warnings, 1 notice.\n"));
    let ran = run_alone(&["policy", "lint", "--file", "-"], &TWO.replace("[read]", "[reed]"));
    insta::assert_snapshot!(ran, @r#"
    [7]
    a
      error: permissions: "reed" is none of read, write, list, execute, super [invalid]
        fix: use read, write, list, execute or super

    1 finding in 2 policies: 1 error, 0 warnings, 0 notices.
    --
    "#);
}

#[test]
fn what_a_file_may_not_hold_is_found_by_lint_and_not_only_refused() {
    let bad = TWO.replace("pathPattern: ^a$", "pathPattern: '^a($'");
    let ran = run_alone(&["policy", "lint", "-f", "-", "--format", "json"], &bad);
    assert_eq!(ran.exit, Exit::Findings);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["findings"][0]["code"], "invalid");
    assert_eq!(json["policies"], 2);
    insta::assert_snapshot!(run_alone(&["policy", "apply", "--file", "-"], &bad), @"
    [2]
    --
    Error: Error reading policy file: standard input: policy 1: pathPattern: missing closing ): `($` at byte 2
    hint: correct the pattern; it follows the syntax of Go's regexp package
    ");
}

#[test]
fn stored_policies_are_checked_by_nexus_or_here() {
    let ours =
        FakeNexus::start(|_, _| (200, LintResponse { policies: 7, ..Default::default() }.encode()));
    assert_eq!(ours.run(&["policy", "lint"]).stdout, "No findings in 7 policies.\n");
    let (upstreams, _) = nexus(Kind::Upstreams);
    assert_eq!(upstreams.run(&create("p")).exit, Exit::Success);
    let ran = upstreams.run(&["policy", "lint"]);
    assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Success, "No findings in 1 policy.\n"));
    assert!(ran.stderr.starts_with("note: this SPIKE Nexus does not answer"), "{}", ran.stderr);
}

#[test]
fn a_question_that_makes_no_sense_is_found_before_anybody_is_asked() {
    for (id, path, permission) in [
        ("example.org/app", "a", "read"),
        ("spiffe://example.org/", "a", "read"),
        (APP, "a b", "read"),
        (APP, "a", "reed"),
    ] {
        let arguments =
            ["policy", "can-i", "--spiffe-id", id, "--path", path, "--permission", permission];
        assert_eq!(run_alone(&arguments, "").exit, Exit::Usage, "{id} {path} {permission}");
    }
}

#[test]
fn a_nexus_that_fails_is_not_taken_for_upstreams() {
    let failing = FakeNexus::start(|operation, _| error(operation, ErrorCode::ApiInternalError));
    let ran = failing.run(&question("can-i", "a", "read"));
    assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Failure, ""));
    assert_eq!(failing.asked(), [Operation::PolicyExplain]);
}

#[test]
fn a_dry_run_says_what_it_could_not_compare() {
    let nexus = FakeNexus::start(|operation, _| match operation {
        Operation::PolicyList => (200, PolicyListResponse::default().encode()),
        _ => error(operation, ErrorCode::AccessUnauthorized),
    });
    let ran = nexus.run_with(&["policy", "apply", "--dry-run", "--file", "-"], TWO);
    assert_eq!(ran.exit, Exit::Success);
    assert!(ran.stdout.contains("0 secrets and the system paths compared"), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("warning: access to secrets is not compared"), "{}", ran.stderr);
}
