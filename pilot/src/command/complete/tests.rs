use bytes::Bytes;
use spike_config::Environment;
use spike_wire::{ErrorCode, Operation};

use crate::Exit;
use crate::testing::{FakeNexus, error, run_alone, run_in};

fn nexus() -> FakeNexus {
    FakeNexus::start(|operation, _| {
        let body = match operation {
            Operation::SecretList => r#"{"keys":["tenants/acme/db","tenants/acme/web","other"]}"#,
            Operation::PolicyList => {
                r#"{"policies":[{"id":"app1","name":"app1"},{"id":"web","name":"web"}]}"#
            }
            _ => "{}",
        };
        (200, Bytes::from_static(body.as_bytes()))
    })
}

fn completed(nexus: &FakeNexus, words: &[&str]) -> String {
    let ran = nexus.run_with(&["complete"], &format!("{}\n", words.join("\n")));
    assert_eq!((ran.exit, ran.stderr.as_str()), (Exit::Success, ""), "{words:?}");
    ran.stdout
}

#[test]
fn paths_and_names_of_policies_are_those_of_nexus() {
    let nexus = nexus();
    assert_eq!(completed(&nexus, &["secret", "get", "ten"]), "tenants/acme/db\ntenants/acme/web\n");
    assert_eq!(completed(&nexus, &["policy", "get", "a"]), "app1\n");
    assert_eq!(completed(&nexus, &["policy", "explain", "--path=o"]), "--path=other\n");
    assert_eq!(
        nexus.asked(),
        [Operation::SecretList, Operation::PolicyList, Operation::SecretList]
    );
}

#[test]
fn permissions_are_completed_without_nexus() {
    let nexus = nexus();
    let words = ["policy", "create", "--permissions", "read,w"];
    assert_eq!(completed(&nexus, &words), "read,write\n");
    assert_eq!(nexus.asked(), []);
}

#[test]
fn nobody_is_asked_where_no_name_stands() {
    let nexus = nexus();
    assert_eq!(completed(&nexus, &["secret", "put", "a/b", "pass=hun"]), "");
    assert_eq!(completed(&nexus, &["secret", "get", "a/b", "pa"]), "");
    assert_eq!(completed(&nexus, &[]), "");
    assert_eq!(nexus.asked(), []);
}

#[test]
fn a_name_with_a_control_character_or_one_that_nobody_sees_is_not_typed() {
    let keys = br#"{"keys":["a\rb","a\u202eb","a\u200bb","a"]}"#;
    let nexus = FakeNexus::start(|_, _| (200, Bytes::from_static(keys)));
    assert_eq!(completed(&nexus, &["secret", "get", ""]), "a\n");
}

#[test]
fn a_failure_is_silent() {
    for code in [ErrorCode::AccessUnauthorized, ErrorCode::StateNotReady] {
        let nexus = FakeNexus::start(move |operation, _| error(operation, code));
        assert_eq!(completed(&nexus, &["secret", "get", ""]), "");
    }
    // Neither agent nor a valid setting.
    let line = "secret\nget\n\n";
    for pairs in [
        vec![],
        vec![("SPIFFE_ENDPOINT_SOCKET", "unix:///nowhere/agent.sock")],
        vec![("SPIFFE_ENDPOINT_SOCKET", "unix:///"), ("SPIKE_NEXUS_API_URL", "not a URL")],
    ] {
        let environment = Environment::from_pairs(pairs.clone());
        let ran = run_in(&["complete"], line, &environment, None);
        assert_eq!(ran.to_string(), "[0]\n--\n", "{pairs:?}");
    }
}

#[test]
fn an_agent_that_does_not_answer_holds_a_keyboard_for_less_than_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let address = format!("unix://{}", socket.display());
    let environment = Environment::from_pairs([("SPIFFE_ENDPOINT_SOCKET", address.as_str())]);
    let (send, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let ran = run_in(&["complete"], "secret\nget\n\n", &environment, None);
        send.send(ran.to_string()).ok();
    });
    // The bound is 0.4 s; a busy machine may need longer. Without the bound it would be 5 s and more.
    let ran = ended.recv_timeout(std::time::Duration::from_secs(4)).unwrap();
    assert_eq!(ran, "[0]\n--\n");
}

#[test]
fn it_is_no_command_for_people() {
    let help = run_alone(&["--help"], "").stdout;
    assert!(help.contains("completion") && !help.contains("  complete "), "{help}");
}
