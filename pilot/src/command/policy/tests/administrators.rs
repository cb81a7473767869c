//! Policies that make an administrator are written only after a person agrees.

use spike_config::Environment;

use super::*;
use crate::Streams;
use crate::command::policy::administrators;
use crate::testing::Captured;

const EVERYTHING: &str = r"
name: all
spiffeidPattern: ^spiffe://example\.org/app$
pathPattern: ^.*$
permissions: [super]
";

fn create_everything() -> Vec<&'static str> {
    let mut arguments = create("all");
    arguments[5] = "^.*$";
    arguments[9] = "super";
    arguments
}

#[test]
fn a_pattern_for_everything_with_super_is_not_created_where_nobody_can_be_asked() {
    let (nexus, policies) = nexus(Kind::Ours);
    insta::assert_snapshot!(nexus.run(&create_everything()), @r#"
    [2]
    --
    Error: the policy "all" makes an administrator of every workload that matches, which may then write policies and read every secret
    hint: nothing was written. If that is meant, repeat the command with --yes; if not, name the paths that are meant, as in '^tenants/acme/.*$'
    "#);
    assert_eq!(nexus.asked(), []);
    assert!(policies.lock().unwrap().is_empty());
}

#[test]
fn nothing_of_a_file_is_applied_where_one_of_its_policies_makes_an_administrator() {
    let (nexus, policies) = nexus(Kind::Ours);
    let file = format!("{TWO}---{EVERYTHING}");
    let ran = nexus.run_with(&["policy", "apply", "--file", "-"], &file);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.stderr.contains("the policy \"all\" makes an administrator"), "{}", ran.stderr);
    assert_eq!(nexus.asked(), []);
    assert!(policies.lock().unwrap().is_empty());
}

#[test]
fn with_yes_a_policy_that_makes_an_administrator_is_written_with_a_warning() {
    let (nexus, policies) = nexus(Kind::Ours);
    let ran = nexus.run(&[&create_everything()[..], &["--yes"]].concat());
    assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Success, "Policy created successfully.\n"));
    assert!(
        ran.stderr.contains("warning: all: pathPattern: makes an administrator"),
        "{}",
        ran.stderr
    );
    policies.lock().unwrap().clear();
    let ran = nexus.run_with(&["policy", "apply", "--yes", "--file", "-"], EVERYTHING);
    assert_eq!(ran.exit, Exit::Success, "{}", ran.stderr);
    assert_eq!(policies.lock().unwrap().len(), 1);
}

#[test]
fn at_a_terminal_a_person_is_asked_and_only_y_or_yes_goes_on() {
    let everything = PolicyPutRequest {
        name: "all".to_owned(),
        spiffeid_pattern: r"^spiffe://example\.org/app$".to_owned(),
        path_pattern: "^.*$".to_owned(),
        permissions: vec!["super".to_owned()],
        create_only: false,
    };
    for (answer, expected) in [
        ("y\n", Some(true)),
        ("Y\n", Some(true)),
        ("Yes\n", Some(true)),
        ("\n", Some(false)),
        ("", None),
    ] {
        let environment = Environment::from_pairs::<String, String>([]);
        let (out, told) = (Captured::default(), Captured::default());
        let streams = Streams::new(answer.as_bytes(), out, told.clone()).answered();
        let mut context = Context::new(&environment, streams);
        let requests = std::slice::from_ref(&everything);
        let goes_on = administrators::confirm(requests, false, false, &mut context);
        match expected {
            Some(expected) => assert_eq!(goes_on.unwrap(), expected, "{answer:?}"),
            None => assert!(matches!(goes_on, Err(Error::Usage { .. })), "{goes_on:?}"),
        }
        assert!(told.text().contains("makes an administrator"), "{}", told.text());
        let asked = told.text();
        assert!(asked.trim_end_matches('\n').ends_with("you want? (y/N): "), "{asked}");
        // The file came from standard input, so nobody can answer there.
        let refused = administrators::confirm(requests, false, true, &mut context);
        assert!(matches!(refused, Err(Error::Usage { .. })), "{refused:?}");
    }
}

#[test]
fn a_dry_run_shows_who_would_become_an_administrator_without_asking() {
    let (nexus, policies) = nexus(Kind::Ours);
    let ran = nexus.run_with(&["policy", "apply", "--dry-run", "--file", "-"], EVERYTHING);
    assert_eq!(ran.exit, Exit::Success);
    assert!(ran.stdout.contains("makes an administrator"), "{}", ran.stdout);
    assert!(policies.lock().unwrap().is_empty());
}

#[test]
fn policies_that_name_the_path_or_do_not_reach_it_need_no_yes() {
    let (nexus, _) = nexus(Kind::Ours);
    for (path, permissions) in [
        ("^spike/system/acl$", "super"),
        ("^spike/system/acl$", "read,write,list"),
        ("^.*$", "read"),
        ("^tenants/.*$", "super"),
    ] {
        let mut arguments = create("p");
        arguments[1] = "apply";
        arguments[5] = path;
        arguments[9] = permissions;
        let ran = nexus.run(&arguments);
        assert_eq!(ran.exit, Exit::Success, "{path} {permissions}: {}", ran.stderr);
    }
}

#[test]
fn lint_calls_it_an_error() {
    let ran = crate::testing::run_alone(&["policy", "lint", "--file", "-"], EVERYTHING);
    assert_eq!(ran.exit, Exit::Findings);
    assert!(ran.stdout.contains("administrator"), "{}", ran.stdout);
}
