//! Whole runs: arguments in, both streams and the exit status out.

use spike_config::Environment;
use spike_domain::Role;
use spike_wire::{EmptyResponse, ErrorCode};

use crate::Exit;
use crate::testing::{Ca, FakeNexus, error, run_alone, run_in};

mod identity;
mod trouble;

#[test]
fn help_and_version_need_neither_settings_nor_an_agent() {
    for arguments in [
        vec!["--help"],
        vec!["help", "secret", "put"],
        vec!["secret", "put", "--help"],
        vec!["--version"],
        vec!["version"],
        vec!["completion", "fish"],
        vec!["man"],
        // Upstream prints the help of a group, and means no harm by it.
        vec![],
        vec!["secret"],
        vec!["secret", "metadata"],
        vec!["operator"],
    ] {
        let ran = run_alone(&arguments, "");
        assert_eq!(ran.exit, Exit::Success, "{arguments:?}");
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn both_ways_to_ask_for_the_version_agree() {
    let version = format!("spike {}\n", spike_daemon::VERSION);
    assert_eq!(run_alone(&["--version"], "").stdout, version);
    assert_eq!(run_alone(&["version"], "").stdout, version);
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run_alone(&["completion", shell], "");
        assert!(ran.stdout.contains("undelete"), "{shell}");
    }
}

#[test]
fn manual_pages_of_all_commands_go_into_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    assert_eq!(run_alone(&["man", "--dir", path], "").exit, Exit::Success);
    let page = std::fs::read_to_string(directory.path().join("spike-secret-put.1")).unwrap();
    assert!(page.contains("key=@FILE"), "{page}");
    assert_eq!(run_alone(&["man", "--dir", "/does/not/exist"], "").exit, Exit::Failure);
    // A page is written over the one of before, and over nothing that a link names.
    assert_eq!(run_alone(&["man", "--dir", path], "").exit, Exit::Success);
    let link = directory.path().join("spike-policy.1");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("gone", &link).unwrap();
    let ran = run_alone(&["man", "--dir", path], "");
    assert_eq!(ran.exit, Exit::Failure);
    assert!(ran.stderr.contains("a symbolic link to gone"), "{}", ran.stderr);
}

#[test]
fn an_unknown_command_under_a_group_is_an_error() {
    // cli-config-deploy 10.1 no. 8: upstream prints help and exits 0.
    insta::assert_snapshot!(run_alone(&["secret", "foo"], ""), @"
    [2]
    --
    Error: unrecognized subcommand 'foo'

    Usage: spike secret <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn a_bad_format_is_found_before_anything_is_asked() {
    insta::assert_snapshot!(run_alone(&["policy", "list", "-f", "xml"], ""), @"
    [2]
    --
    Error: invalid value 'xml' for '--format <FORMAT>'
      [possible values: human, json, yaml]

      tip: a similar value exists: 'yaml'

    For more information, try '--help'.
    ");
}

#[test]
fn each_answer_of_nexus_has_its_exit_status() {
    for (status, exit) in [
        (400, Exit::Failure),
        (401, Exit::Denied),
        (403, Exit::Denied),
        (404, Exit::NotFound),
        (405, Exit::Failure),
        (409, Exit::Failure),
        (413, Exit::Failure),
        (429, Exit::NotReady),
        (500, Exit::Failure),
        (503, Exit::NotReady),
    ] {
        let nexus = FakeNexus::start(move |_, _| (status, bytes::Bytes::new()));
        let ran = nexus.run(&["secret", "get", "a/b"]);
        assert_eq!(ran.exit, exit, "{status}");
        assert_eq!(ran.stdout, "", "{status}");
        assert!(ran.stderr.starts_with("Error: "), "{status}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("({status}, request req-1)")), "{}", ran.stderr);
    }
}

fn refusing(code: ErrorCode) -> FakeNexus {
    FakeNexus::start(move |operation, _| error(operation, code))
}

#[test]
fn a_denial_names_who_what_and_where_to_look() {
    let nexus = refusing(ErrorCode::AccessUnauthorized);
    insta::assert_snapshot!(nexus.run(&["secret", "get", "tenants/acme/db"]), @"
    [4]
    --
    Error: Unauthorized access: spiffe://spike.ist/spike/pilot/role/superuser may not read the secret tenants/acme/db (401 access_unauthorized, request req-1)
    hint: it takes the permission 'read' on the path tenants/acme/db
    hint: operators need no policy, so SPIKE Nexus does not take this ID for an operator: compare SPIKE_TRUST_ROOT_PILOT of SPIKE Nexus with the ID
    hint: the audit log of SPIKE Nexus tells the reason under request req-1
    ");
    insta::assert_snapshot!(nexus.run(&["policy", "list"]), @"
    [4]
    --
    Error: Unauthorized access: spiffe://spike.ist/spike/pilot/role/superuser may not list policies (401 access_unauthorized, request req-1)
    hint: it takes the permission 'list' on the path spike/system/acl
    hint: operators need no policy, so SPIKE Nexus does not take this ID for an operator: compare SPIKE_TRUST_ROOT_PILOT of SPIKE Nexus with the ID
    hint: the audit log of SPIKE Nexus tells the reason under request req-1
    ");
}

#[test]
fn a_sealed_nexus_is_not_ready() {
    let nexus = refusing(ErrorCode::StateNotReady);
    insta::assert_snapshot!(nexus.run(&["secret", "list"]), @"
    [5]
    --
    Error: SPIKE Nexus is not ready (503 state_not_ready, request req-1)
    hint: it waits for the shares of its root key from the Keepers; `spike operator status`, its log and its /readyz say how many are there, and what is wrong
    hint: if SPIKE was in use before: solve the problem that is shown there; if too few Keepers hold a share, `spike operator restore` brings the key back. Bootstrap would make another key, which decrypts nothing that is stored
    hint: if SPIKE was just set up, with neither data nor a share at any Keeper: run Bootstrap once
    ");
}

#[test]
fn what_is_not_there_is_named_with_a_way_to_find_it() {
    let nexus = refusing(ErrorCode::ApiNotFound);
    insta::assert_snapshot!(nexus.run(&["secret", "get", "nope"]), @"
    [3]
    --
    Error: no such secret or version, or it is deleted: nope (404 api_not_found, request req-1)
    hint: `spike secret list` shows all paths, deleted ones too; `spike secret undelete` brings a deleted version back
    ");
    insta::assert_snapshot!(nexus.run(&["secret", "undelete", "nope"]), @"
    [3]
    --
    Error: nothing is deleted there that could be brought back: nope (404 api_not_found, request req-1)
    hint: `spike secret list` shows all paths, deleted ones too; `spike secret metadata get` shows which versions of one are deleted
    ");
}

#[test]
fn a_failure_of_nexus_is_no_failure_to_connect() {
    // Upstream says "Failed to connect" for both (cli-config-deploy 1.6).
    let nexus = refusing(ErrorCode::ApiInternalError);
    insta::assert_snapshot!(nexus.run(&["policy", "list"]), @"
    [1]
    --
    Error: SPIKE Nexus could not list policies (500 api_internal_error, request req-1)
    hint: the log of SPIKE Nexus says more about request req-1
    ");
}

#[test]
fn the_reason_that_nexus_gives_is_shown_made_safe_for_the_terminal() {
    let nexus = FakeNexus::start(|operation, _| {
        let code = ErrorCode::ApiBadRequest;
        (400, operation.error_body_with_reason(code, "unclosed \x1b[31mgroup at 3"))
    });
    let file = ["policy", "apply", "--name", "n", "--permissions", "read"];
    let patterns = ["--spiffeid-pattern", "^spiffe://a/b$", "--path-pattern", "^a/b$"];
    insta::assert_snapshot!(nexus.run(&[&file[..], &patterns[..]].concat()), @r"
    [1]
    --
    Error: SPIKE Nexus refused the request to write the policy n: unclosed \u{1b}[31mgroup at 3 (400 api_bad_request, request req-1)
    ");
}

#[test]
fn an_answer_that_makes_no_sense_is_not_taken_for_success() {
    let nexus = FakeNexus::start(|_, _| (200, bytes::Bytes::from_static(b"<html>")));
    insta::assert_snapshot!(nexus.run(&["secret", "delete", "a"]), @"
    [1]
    --
    Error: the answer of SPIKE Nexus cannot be read: malformed JSON at byte 0: expected an object
    hint: check that SPIKE_NEXUS_API_URL names a SPIKE Nexus, of this release or near it
    ");
}

#[test]
fn nobody_at_the_address_is_unreachable() {
    let environment = Environment::from_pairs([("SPIKE_NEXUS_API_URL", "https://127.0.0.1:1")]);
    let source = Ca::new().source(Role::PilotSuperuser);
    let ran = run_in(&["secret", "list"], "", &environment, Some(source));
    insta::assert_snapshot!(ran, @"
    [6]
    --
    Error: Failed to connect to SPIKE Nexus at https://127.0.0.1:1: cannot connect to 127.0.0.1:1: Connection refused (os error 111)
    hint: check that SPIKE Nexus runs, and that SPIKE_NEXUS_API_URL names its host and port
    ");
}

#[test]
fn a_server_that_is_no_nexus_is_refused() {
    let nexus = FakeNexus::start_as(Role::Keeper, |_, _| (200, EmptyResponse.encode()));
    let ran = nexus.run(&["secret", "put", "a", "b=c"]);
    assert_eq!(ran.exit, Exit::Unreachable);
    assert!(ran.stderr.contains("Failed to connect to SPIKE Nexus"), "{}", ran.stderr);
    assert_eq!(nexus.asked(), []);
}

#[test]
fn settings_that_cannot_be_used_are_listed() {
    let environment = Environment::from_pairs([
        ("SPIKE_NEXUS_API_URL", "http://localhost"),
        ("SPIKE_TRUST_ROOT_PILOT", "a.org,"),
    ]);
    insta::assert_snapshot!(run_in(&["secret", "list"], "", &environment, None), @r#"
    [2]
    --
    Error: the configuration is not valid:
      SPIKE_TRUST_ROOT_PILOT="a.org,": expected a comma-separated list of trust domains, such as example.org, each perhaps with a path: element 2 of the list is empty (a stray comma?)
      SPIKE_NEXUS_API_URL="http://localhost": expected an https URL such as https://localhost:8553: the scheme is not https
    hint: these are environment variables of this process
    "#);
}

#[test]
fn a_setting_that_is_replaced_by_its_default_is_told_and_does_no_harm() {
    let environment = Environment::from_pairs([
        ("SPIKE_NEXUS_API_URL", "https://127.0.0.1:1"),
        ("SPIKE_HTTP_CLIENT_TIMEOUT", "soon"),
    ]);
    let source = Ca::new().source(Role::PilotSuperuser);
    let ran = run_in(&["secret", "list"], "", &environment, Some(source));
    assert!(
        ran.stderr.starts_with("warning: SPIKE_HTTP_CLIENT_TIMEOUT=\"soon\": "),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.exit, Exit::Unreachable);
}

#[test]
fn an_absent_agent_is_unreachable_with_the_reason() {
    let environment = Environment::from_pairs([
        ("SPIFFE_ENDPOINT_SOCKET", "unix:///nonexistent/agent.sock"),
        ("SPIKE_SPIFFE_SOURCE_TIMEOUT", "10ms"),
    ]);
    let ran = run_in(&["secret", "list"], "", &environment, None);
    assert_eq!(ran.exit, Exit::Unreachable);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("unix:///nonexistent/agent.sock"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: check that the SPIFFE agent runs"), "{}", ran.stderr);
}

/// The reader has gone, as in `spike secret list | head -1`.
struct Gone;

impl std::io::Write for Gone {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_gone_is_no_reason_for_noise() {
    let ran = |arguments: &[&str]| {
        let stderr = crate::testing::Captured::default();
        let streams = crate::Streams::new(std::io::empty(), Gone, stderr.clone());
        let arguments = arguments.iter().map(Into::into);
        (crate::run(arguments, &Environment::default(), streams), stderr.text())
    };
    // It was status 1, unlike that of every other program.
    for arguments in [
        ["spike", "version"].as_slice(),
        &["spike", "--version"],
        &["spike", "secret", "--help"],
        &["spike", "man"],
        &["spike", "completion", "bash"],
    ] {
        assert_eq!(ran(arguments), (Exit::Success, String::new()), "{arguments:?}");
    }
    let error = crate::error::Error::Output(std::io::ErrorKind::BrokenPipe.into());
    let stderr = crate::testing::Captured::default();
    let mut streams = crate::Streams::new(std::io::empty(), Gone, stderr.clone());
    assert_eq!(crate::report(&error, &mut streams), Exit::Failure, "data was not written");
    assert_eq!(stderr.text(), "");
}

#[test]
fn no_failure_shows_a_value() {
    const PLANTED: &str = "hunter2-correct-horse";
    let pair = format!("pass={PLANTED}");
    let bad_key = format!("pa.ss={PLANTED}");
    let base64 = format!("{PLANTED}!");
    let share = format!("spike:1:{PLANTED}");
    for code in [
        ErrorCode::ApiBadRequest,
        ErrorCode::AccessUnauthorized,
        ErrorCode::StateNotReady,
        ErrorCode::ApiInternalError,
    ] {
        let nexus = refusing(code);
        for arguments in [
            vec!["secret", "put", "a/b", &pair],
            vec!["secret", "put", "a/b", PLANTED],
            vec!["secret", "put", "a/b", &bad_key],
            vec!["secret", "put", "a b", &pair],
            vec!["secret", "put", "a/b", &pair, "--nope"],
            vec!["secret", "put", "a/b", "x=-", "y=-", &pair],
            vec!["cipher", "encrypt", "--plaintext", &base64],
            vec!["cipher", "encrypt", "--plaintext", "aGk=", "--nope"],
            vec!["cipher", "encrypt"],
            vec!["cipher", "decrypt", "--json"],
            vec!["policy", "apply", "--file", "-"],
            vec!["operator", "restore"],
        ] {
            for stdin in [PLANTED, &share, &format!("\"{PLANTED}\\.\""), &format!("[{PLANTED}")] {
                let role = if arguments[0] == "operator" {
                    Role::PilotRestore
                } else {
                    Role::PilotSuperuser
                };
                let ran = nexus.run_as(role, &arguments, stdin);
                assert_ne!(ran.exit, Exit::Success, "{arguments:?}");
                assert!(!ran.stderr.contains(PLANTED), "{arguments:?}: {}", ran.stderr);
                assert_eq!(ran.stdout, "", "{arguments:?}");
            }
        }
    }
}
