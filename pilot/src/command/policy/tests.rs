use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use spike_wire::{
    EmptyResponse, ErrorCode, Operation, PolicyListResponse, PolicyPutResponse, SecretListResponse,
};
use time::macros::datetime;

use super::*;
use crate::Exit;
use crate::testing::{Answer, FakeNexus, error};

mod administrators;
mod lists;
mod mistakes;
mod questions;

const FIELDS: [&str; 6] = [
    "--path-pattern",
    "^tenants/acme/db/.*$",
    "--spiffeid-pattern",
    r"^spiffe://example\.org/acme/.*$",
    "--permissions",
    "read, write,",
];

/// The secrets that there are.
const SECRETS: [&str; 3] = ["a/1", "tenants/acme/db", "tenants/acme/db/creds"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    /// Passes over `createOnly`, and answers 500 for a policy that is not there (F11).
    Upstreams,
}

type Policies = Arc<Mutex<BTreeMap<String, Policy>>>;

/// A Nexus that keeps policies.
fn nexus(kind: Kind) -> (FakeNexus, Policies) {
    let policies = Policies::default();
    let kept = Arc::clone(&policies);
    let nexus = FakeNexus::start(move |operation, body| {
        answer(kind, &mut kept.lock().unwrap(), operation, body)
    });
    (nexus, policies)
}

fn answer(
    kind: Kind,
    policies: &mut BTreeMap<String, Policy>,
    operation: Operation,
    body: &[u8],
) -> Answer {
    let missing = match kind {
        Kind::Ours => ErrorCode::ApiNotFound,
        Kind::Upstreams => ErrorCode::ApiInternalError,
    };
    match operation {
        Operation::PolicyPut => {
            let request = PolicyPutRequest::decode(body).unwrap();
            if kind == Kind::Ours && request.create_only && policies.contains_key(&request.name) {
                return error(operation, ErrorCode::EntityExists);
            }
            let id = request.name.clone();
            policies.insert(id.clone(), stored(request));
            (200, PolicyPutResponse { id }.encode())
        }
        Operation::PolicyList => {
            let request = PolicyListRequest::decode(body).unwrap();
            let ours = kind == Kind::Ours;
            let meant = |policy: &&Policy| {
                policy.spiffeid_pattern.contains(&request.spiffeid_contains)
                    && policy.path_pattern.contains(&request.path_contains)
            };
            let all = policies.values().filter(|policy| !ours || meant(policy));
            let names = all.map(|policy| policy.name.clone()).collect();
            (200, PolicyListResponse { names, next: None }.encode())
        }
        Operation::OperatorStatus if kind == Kind::Ours => {
            (200, spike_wire::StatusResponse::default().encode())
        }
        Operation::PolicyGet => {
            let name = PolicyNameRequest::decode(body).unwrap().name;
            policies.get(&name).map_or(error(operation, missing), |policy| (200, policy.encode()))
        }
        Operation::PolicyDelete => {
            let name = PolicyNameRequest::decode(body).unwrap().name;
            match policies.remove(&name) {
                Some(_) => (200, EmptyResponse.encode()),
                None => error(operation, missing),
            }
        }
        Operation::SecretList => {
            let keys = SECRETS.map(str::to_owned).to_vec();
            (200, SecretListResponse { keys, next: None }.encode())
        }
        _ => error(operation, ErrorCode::ApiBadRequest),
    }
}

fn stored(request: PolicyPutRequest) -> Policy {
    let PolicyPutRequest { name, spiffeid_pattern, path_pattern, permissions, .. } = request;
    let created_at = datetime!(2026-07-25 20:02:04.5 UTC);
    Policy { name, spiffeid_pattern, path_pattern, permissions, created_at, updated_at: created_at }
}

fn create(name: &str) -> Vec<&str> {
    [&["policy", "create", "--name", name], &FIELDS[..]].concat()
}

#[test]
fn create_says_so_and_refuses_to_replace_on_either_kind_of_nexus() {
    for kind in [Kind::Ours, Kind::Upstreams] {
        let (nexus, policies) = nexus(kind);
        assert_eq!(nexus.run(&create("p")).stdout, "Policy created successfully.\n");
        assert_eq!(policies.lock().unwrap()["p"].permissions, ["read", "write"]);
        let before = policies.lock().unwrap().clone();
        let ran = nexus.run(&create("p"));
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran, @r#"
            [1]
            --
            Error: a policy "p" exists already
            hint: `spike policy apply` replaces it; `spike policy get` shows what it says now
            "#);
        }
        assert_eq!(*policies.lock().unwrap(), before);
    }
}

#[test]
fn of_two_creates_at_once_our_nexus_refuses_one() {
    // Between the list and the put somebody else was faster.
    let nexus = FakeNexus::start(|operation, _| match operation {
        Operation::PolicyList => (200, PolicyListResponse::default().encode()),
        _ => error(operation, ErrorCode::EntityExists),
    });
    let ran = nexus.run(&create("p"));
    assert_eq!(ran.exit, Exit::Failure);
    assert!(ran.stderr.starts_with("Error: a policy \"p\" exists already"), "{}", ran.stderr);
}

#[test]
fn fields_that_break_a_rule_are_refused_before_nexus_is_asked() {
    let (nexus, _) = nexus(Kind::Ours);
    for (at, bad) in [(3, "a.b"), (5, "^größe$"), (7, ".*"), (9, "reed"), (9, " ,")] {
        let mut arguments = create("p");
        arguments[at] = bad;
        assert_eq!(nexus.run(&arguments).exit, Exit::Usage, "{bad}");
    }
    assert_eq!(nexus.asked(), []);
}

const TWO: &str = r"
name: a
spiffeidPattern: ^spiffe://example\.org/a$
pathPattern: ^a$
permissions: [read]
---
name: b
spiffeidPattern: ^spiffe://example\.org/b$
pathPattern: ^b$
permissions: [write]
";

#[test]
fn apply_takes_flags_and_files_of_several_policies() {
    let (nexus, policies) = nexus(Kind::Ours);
    let flags = [&["policy", "apply", "--name", "p"], &FIELDS[..]].concat();
    assert_eq!(nexus.run(&flags).stdout, "Policy 'p' applied successfully\n");
    assert_eq!(nexus.run(&flags).exit, Exit::Success);
    let ran = nexus.run_with(&["policy", "apply", "--file", "-"], TWO);
    assert_eq!(ran.stdout, "Policy 'a' applied successfully\nPolicy 'b' applied successfully\n");
    assert_eq!(policies.lock().unwrap().keys().collect::<Vec<_>>(), ["a", "b", "p"]);
}

#[test]
fn a_failure_in_the_middle_of_a_file_tells_what_was_applied() {
    let nexus = FakeNexus::start(|operation, body| {
        match PolicyPutRequest::decode(body).unwrap().name.as_str() {
            "a" => (200, PolicyPutResponse::default().encode()),
            _ => error(operation, ErrorCode::ApiInternalError),
        }
    });
    insta::assert_snapshot!(nexus.run_with(&["policy", "apply", "--file", "-"], TWO), @"
    [1]
    --
    Error: SPIKE Nexus could not write the policy b (500 api_internal_error, request req-1)
    hint: the log of SPIKE Nexus says more about request req-1
    hint: applied before that: a; the rest was not. The same command may be repeated
    ");
}

// "not the YAML of a policy" was all that it said of a list.
#[test]
fn a_file_without_a_policy_is_refused_with_what_is_in_it() {
    for (file, told) in [
        ("", "there is no policy in it: it is empty"),
        ("# nothing yet\n---\n", "there is no policy in it: it is empty"),
        ("[]", "there is no policy in it: it is an empty list"),
        ("[]\n", "there is no policy in it: it is an empty list"),
        ("[{\"name\": \"a\"}, {\"name\": \"b\"}]", "it is a list of 2, and not a policy"),
    ] {
        let (nexus, policies) = nexus(Kind::Ours);
        let ran = nexus.run_with(&["policy", "apply", "--file", "-"], file);
        assert_eq!(ran.exit, Exit::Usage, "{file:?}: {ran}");
        let expected = format!("Error reading policy file: standard input: {told}");
        assert!(ran.stderr.contains(&expected), "{file:?}: {ran}");
        assert!(policies.lock().unwrap().is_empty());
        assert_eq!(nexus.asked(), [], "{file:?}");
    }
}

/// It said only that this is not the YAML of a policy.
#[test]
fn permissions_as_the_option_takes_them_are_told_to_be_a_list() {
    let (nexus, _) = nexus(Kind::Ours);
    let file = TWO.replace("[write]", "read,write");
    let ran = nexus.run_with(&["policy", "apply", "--file", "-"], &file);
    assert_eq!(ran.exit, Exit::Usage, "{ran}");
    assert!(ran.stderr.contains(": permissions is a list"), "{ran}");
    assert!(ran.stderr.contains("write `permissions: [read, write]`"), "{ran}");
}

/// It was listed as any other, and `policy get` of the name without the blank found nothing.
#[test]
fn a_new_name_with_a_blank_at_an_end_is_refused_and_one_that_is_stored_can_be_removed() {
    for name in [" lead", "trail "] {
        let (nexus, policies) = nexus(Kind::Upstreams);
        let file = TWO.replace("name: b", &format!("name: {name:?}"));
        let ran = nexus.run_with(&["policy", "apply", "--file", "-"], &file);
        assert_eq!(ran.exit, Exit::Usage, "{name:?}: {ran}");
        assert!(ran.stderr.contains("has a space at an end"), "{name:?}: {ran}");
        assert!(policies.lock().unwrap().is_empty());
        let ran = nexus.run(&["policy", "delete", name, "--yes"]);
        assert_eq!(ran.exit, Exit::NotFound, "its name is one that Nexus may hold: {ran}");
    }
}

#[test]
fn one_bad_policy_in_a_file_keeps_all_of_it_from_being_applied() {
    let (nexus, policies) = nexus(Kind::Ours);
    let bad = TWO.replace("[write]", "[wright]");
    assert_eq!(nexus.run_with(&["policy", "apply", "--file", "-"], &bad).exit, Exit::Usage);
    assert!(policies.lock().unwrap().is_empty());
    assert_eq!(nexus.asked(), []);
}

#[test]
fn a_dry_run_changes_nothing_and_shows_what_would_change() {
    for kind in [Kind::Ours, Kind::Upstreams] {
        let (nexus, policies) = nexus(kind);
        assert_eq!(nexus.run_with(&["policy", "apply", "--file", "-"], TWO).exit, Exit::Success);
        let before = policies.lock().unwrap().clone();
        let wanted = TWO.replace("name: b", "name: c").replace("^a$", "^a/.*$");
        let ran = nexus.run_with(&["policy", "apply", "--dry-run", "--file", "-"], &wanted);
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran, @r"
            [0]
            replace    a
              pathPattern:
                - ^a$
                + ^a/.*$
            create     c
              spiffeidPattern:
                + ^spiffe://example\.org/b$
              pathPattern:
                + ^b$
              permissions:
                + write

            access: 2 SPIFFE IDs that patterns name, 3 secrets and the system paths compared
              1 gained, 0 lost
                + read    a/1  spiffe://example.org/a
            --
            ");
        }
        assert_eq!(*policies.lock().unwrap(), before);
    }
}

#[test]
fn what_get_prints_apply_reads_back() {
    let (nexus, policies) = nexus(Kind::Ours);
    assert_eq!(nexus.run(&create("p")).exit, Exit::Success);
    let before = policies.lock().unwrap().clone();
    for format in ["json", "yaml"] {
        let printed = nexus.run(&["policy", "get", "p", "-f", format]).stdout;
        policies.lock().unwrap().clear();
        let ran = nexus.run_with(&["policy", "apply", "--file", "-"], &printed);
        assert_eq!(ran.exit, Exit::Success, "{format}: {}", ran.stderr);
        assert_eq!(*policies.lock().unwrap(), before, "{format}");
    }
}

#[test]
fn what_get_prints_has_one_pattern_to_edit() {
    let (nexus, policies) = nexus(Kind::Ours);
    assert_eq!(nexus.run(&create("p")).exit, Exit::Success);
    for (format, other) in [("json", "beta"), ("yaml", "gamma")] {
        let printed = nexus.run(&["policy", "get", "p", "-f", format]).stdout;
        assert_eq!(
            printed.to_lowercase().matches("spiff").count(),
            2,
            "a name and a value: {printed}"
        );
        let edited = printed.replacen(if format == "json" { "acme" } else { "beta" }, other, 1);
        let ran = nexus.run_with(&["policy", "apply", "--file", "-"], &edited);
        assert_eq!(ran.exit, Exit::Success, "{format}: {}", ran.stderr);
        let pattern = policies.lock().unwrap()["p"].spiffeid_pattern.clone();
        assert!(pattern.contains(other), "{format}: {pattern}");
    }
}

#[test]
fn a_policy_that_is_not_there_is_not_found_on_either_kind_of_nexus() {
    for kind in [Kind::Ours, Kind::Upstreams] {
        let (nexus, _) = nexus(kind);
        for command in ["get", "delete"] {
            let ran = nexus.run_with(&["policy", command, "nope"], "y\n");
            insta::allow_duplicates! {
                insta::assert_snapshot!(ran, @r#"
                [3]
                --
                Error: Entity not found. There is no policy "nope"
                hint: `spike policy list` shows all names
                "#);
            }
        }
    }
}

#[test]
fn a_failing_nexus_is_not_mistaken_for_a_missing_policy() {
    // Upstream's 500 means both; the list tells them apart.
    let nexus = FakeNexus::start(|operation, _| match operation {
        Operation::PolicyList => {
            (200, PolicyListResponse { names: vec!["p".to_owned()], next: None }.encode())
        }
        _ => error(operation, ErrorCode::ApiInternalError),
    });
    assert_eq!(nexus.run(&["policy", "get", "p"]).exit, Exit::Failure);
}

// `yes` was a no.
#[test]
fn y_and_yes_in_any_case_delete_and_every_other_line_cancels() {
    for (answer, deleted) in [
        ("y\n", true),
        ("Y\n", true),
        ("y", true),
        ("y\r\n", true),
        ("yes\n", true),
        ("YES\n", true),
        ("Yes", true),
        (" y \n", true),
        ("n\n", false),
        ("no\n", false),
        ("yess\n", false),
        ("\n", false),
    ] {
        let (nexus, policies) = nexus(Kind::Ours);
        assert_eq!(nexus.run(&create("p")).exit, Exit::Success);
        let ran = nexus.run_with(&["policy", "delete", "p"], answer);
        let said = if deleted { "Policy deleted successfully.\n" } else { "Operation canceled.\n" };
        assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Success, said), "{answer:?}");
        assert!(ran.stderr.ends_with("(y/N): "), "{}", ran.stderr);
        assert_eq!(policies.lock().unwrap().is_empty(), deleted, "{answer:?}");
    }
}

// It ended with 0, so a script believed that the policy was gone.
#[test]
fn without_an_answer_a_policy_stays_and_the_command_fails() {
    let (nexus, policies) = nexus(Kind::Ours);
    assert_eq!(nexus.run(&create("p")).exit, Exit::Success);
    insta::assert_snapshot!(nexus.run(&["policy", "delete", "p"]), @r"
    [2]
    --
    Are you sure you want to delete policy 'p'? (y/N): 
    Error: nobody answered, because standard input has ended: policy 'p' is still there
    hint: where nobody can be asked, repeat the command with --yes
    ");
    assert_eq!(policies.lock().unwrap().len(), 1);
}

#[test]
fn with_yes_nobody_is_asked() {
    let (nexus, policies) = nexus(Kind::Ours);
    assert_eq!(nexus.run(&create("p")).exit, Exit::Success);
    let ran = nexus.run(&["policy", "delete", "--name", "p", "--yes"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("Policy deleted successfully.\n", ""));
    assert!(policies.lock().unwrap().is_empty());
}
