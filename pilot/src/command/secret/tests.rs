use std::sync::Mutex;

use spike_wire::{
    EmptyResponse, Operation, SecretGetResponse, SecretListRequest, SecretListResponse,
    SecretMetadata, VersionMetadata,
};
use time::macros::datetime;

use super::*;
use crate::Exit;
use crate::testing::{FakeNexus, Ran};

/// A Nexus that holds one version of one secret.
fn holding(pairs: &[(&str, &str)]) -> FakeNexus {
    let pairs: Vec<_> =
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    FakeNexus::start(move |_, _| {
        let values = pairs.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
        (200, SecretGetResponse { data: Some(values.collect()) }.encode())
    })
}

#[test]
fn a_secret_has_upstreams_layout_in_every_format() {
    // cli-config-deploy 1.8.
    let nexus = holding(&[("user", "app"), ("pass", "s3cr3t")]);
    let get = |format: &str| nexus.run(&["secret", "get", "a/b", "-f", format]).stdout;
    assert_eq!(get("human"), "pass: s3cr3t\nuser: app\n");
    assert_eq!(get("json"), "{\n    \"pass\": \"s3cr3t\",\n    \"user\": \"app\"\n}\n");
    assert_eq!(get("yaml"), "pass: s3cr3t\nuser: app\n\n");
}

#[test]
fn one_value_has_upstreams_layout_in_every_format() {
    let nexus = holding(&[("user", "app"), ("pass", "<s3cr3t>")]);
    let get = |format: &str| nexus.run(&["secret", "get", "a/b", "pass", "-f", format]).stdout;
    assert_eq!(get("human"), "<s3cr3t>\n");
    assert_eq!(get("json"), "\"\\u003cs3cr3t\\u003e\"\n");
    assert_eq!(get("yaml"), "<s3cr3t>\n\n");
}

#[test]
fn a_raw_value_comes_byte_for_byte() {
    for value in
        ["", "no newline", "one\n", "-----BEGIN KEY-----\r\nab\n\n", "größer\t\u{0}\u{1b}[0m"]
    {
        let nexus = holding(&[("key", value)]);
        assert_eq!(nexus.run(&["secret", "get", "a/b", "key", "--raw"]).stdout, value);
    }
}

#[test]
fn a_value_can_neither_command_a_terminal_nor_pose_as_another() {
    let nexus = holding(&[("note", "a\nuser: root\r"), ("pass", "\x1b[2J\u{9b}1mx")]);
    insta::assert_snapshot!(nexus.run_on_terminal(&["secret", "get", "a/b"]), @r#"
    [0]
    note: "a\nuser: root\r"
    pass: "\u001b[2J\u009b1mx"
    --
    note: a value in double quotes is shown with the escapes of JSON, such as \n where a line ends; a pipe, and `spike secret get PATH KEY --raw`, get it as it is
    "#);
    insta::assert_snapshot!(nexus.run_on_terminal(&["secret", "get", "a/b", "note"]), @r#"
    [0]
    "a\nuser: root\r"
    --
    note: a value in double quotes is shown with the escapes of JSON, such as \n where a line ends; a pipe, and `spike secret get PATH KEY --raw`, get it as it is
    "#);
    for format in ["json", "yaml"] {
        let shown = nexus.run_on_terminal(&["secret", "get", "a/b", "-f", format]).stdout;
        let commands = |c: char| c.is_control() && c != '\n';
        assert!(!shown.contains(commands), "{format}: {shown:?}");
    }
}

#[test]
fn pipes_and_raw_values_stay_byte_for_byte() {
    let value = "a\nuser: root\r\x1b[2J";
    let nexus = holding(&[("note", value)]);
    assert_eq!(nexus.run(&["secret", "get", "a/b"]).stdout, format!("note: {value}\n"));
    assert_eq!(nexus.run(&["secret", "get", "a/b", "note"]).stdout, format!("{value}\n"));
    let raw = nexus.run_on_terminal(&["secret", "get", "a/b", "note", "--raw"]);
    assert_eq!((raw.stdout.as_str(), raw.stderr.as_str()), (value, ""));
}

#[test]
fn metadata_asks_for_deleted_versions_too_unless_one_must_be_there() {
    let asked = std::sync::Arc::new(Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&asked);
    let nexus = FakeNexus::start(move |_, body| {
        seen.lock().unwrap().push(SecretMetadataRequest::decode(body).unwrap());
        (200, SecretMetadataResponse::default().encode())
    });
    nexus.run(&["secret", "metadata", "get", "a/b"]);
    nexus.run(&["secret", "metadata", "get", "a/b", "--version", "3"]);
    let request = |version, include_deleted| SecretMetadataRequest {
        path: "a/b".to_owned(),
        version,
        include_deleted,
    };
    assert_eq!(*asked.lock().unwrap(), [request(0, true), request(3, false)]);
}

#[test]
fn a_secret_without_values_is_empty_in_every_format() {
    // F28: upstream stores and sends null for it.
    let nexus = FakeNexus::start(|_, _| (200, SecretGetResponse { data: None }.encode()));
    let get = |format: &str| nexus.run(&["secret", "get", "a/b", "-f", format]).stdout;
    assert_eq!(
        (get("human"), get("json"), get("yaml")),
        (String::new(), "{}\n".into(), "{}\n\n".into())
    );
}

#[test]
fn a_missing_key_is_not_found_and_the_others_are_named() {
    let nexus = holding(&[("user", "app"), ("pass", "s3cr3t")]);
    insta::assert_snapshot!(nexus.run(&["secret", "get", "a/b", "passwd"]), @r#"
    [3]
    --
    Error: the secret a/b has no key "passwd"
    hint: it has pass, user
    "#);
}

#[test]
fn a_path_that_cannot_be_is_refused_before_nexus_is_asked() {
    let nexus = holding(&[]);
    for arguments in [
        vec!["secret", "get", "a b"],
        vec!["secret", "put", "", "k=v"],
        vec!["secret", "delete", "größe"],
        vec!["secret", "undelete", "a\nb"],
        vec!["secret", "metadata", "get", "a:b"],
    ] {
        assert_eq!(nexus.run(&arguments).exit, Exit::Usage, "{arguments:?}");
    }
    insta::assert_snapshot!(nexus.run(&["secret", "get", "a b"]), @r#"
    [2]
    --
    Error: invalid secret path "a b"
    hint: a path is 1 to 500 letters, digits and ._-/()?+*|[]{}\, such as tenants/acme/db
    "#);
    assert_eq!(nexus.asked(), []);
}

/// All of it was repeated, and the number 500 was all that hinted at its length.
#[test]
fn a_path_that_is_too_long_is_told_as_that_and_not_repeated() {
    let nexus = holding(&[]);
    let ran = nexus.run(&["secret", "get", &"a".repeat(3000)]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.stderr.contains("too long: it has 3000 bytes"), "{ran}");
    assert!(ran.stderr.contains("aaa…") && ran.stderr.len() < 400, "{ran}");
    assert_eq!(nexus.asked(), []);
}

/// Runs a command against a Nexus that accepts everything, and returns the bodies that it got.
fn body_of(arguments: &[&str], stdin: &str) -> (String, Ran) {
    let bodies = std::sync::Arc::new(Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&bodies);
    let nexus = FakeNexus::start(move |_, body| {
        seen.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
        (200, EmptyResponse.encode())
    });
    let ran = nexus.run_with(arguments, stdin);
    (bodies.lock().unwrap().join("|"), ran)
}

#[test]
fn put_sends_values_from_the_argument_a_file_and_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key.pem");
    std::fs::write(&file, "-----BEGIN-----\nä\n").unwrap();
    let from_file = format!("pem=@{}", file.display());
    let (body, ran) =
        body_of(&["secret", "put", "a/b", "user=a=b", &from_file, "pipe=-", "at=@@x"], " in\n");
    let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
    let expected = serde_json::json!({"path": "a/b", "values": {
        "user": "a=b", "pem": "-----BEGIN-----\nä\n", "pipe": " in\n", "at": "@x",
    }});
    assert_eq!(sent, expected);
    assert_eq!((ran.exit, ran.stdout.as_str(), ran.stderr.as_str()), (Exit::Success, "OK\n", ""));
}

/// The body of the command itself. The question which versions there are comes after it.
fn first_body(arguments: &[&str]) -> String {
    body_of(arguments, "").0.split('|').next().map(str::to_owned).unwrap()
}

#[test]
fn delete_sends_just_the_versions_that_were_named() {
    assert_eq!(first_body(&["secret", "delete", "a"]), r#"{"path":"a","versions":[0]}"#);
    assert_eq!(
        first_body(&["secret", "delete", "a", "-v", " 1, 2"]),
        r#"{"path":"a","versions":[1,2]}"#
    );
}

// It was "OK", and nothing more; and later a warning and "OK", also where nothing at all was changed.
#[test]
fn a_version_that_is_not_there_is_told_and_no_success_where_it_is_the_only_one() {
    let created_time = datetime!(2026-07-25 20:02:04 UTC);
    let known = move |number| {
        (number, VersionMetadata { created_time, version: number, deleted_time: None })
    };
    let nexus = FakeNexus::start(move |operation, _| match operation {
        Operation::SecretMetadata => {
            let metadata = SecretMetadata {
                current_version: 3,
                oldest_version: 2,
                created_time,
                updated_time: created_time,
                max_versions: 2,
            };
            let versions = [2, 3].map(known).into();
            (200, SecretMetadataResponse { versions, metadata }.encode())
        }
        _ => (200, EmptyResponse.encode()),
    });
    for command in ["delete", "undelete"] {
        let ran = nexus.run(&["secret", command, "a", "-v", "0,1,2,99"]);
        assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Success, "OK\n"));
        assert_eq!(ran.stderr, "warning: a has no version 1, 99: nothing was changed there\n");
        let ran = nexus.run(&["secret", command, "a", "-v", "0,2,3"]);
        assert_eq!((ran.exit, ran.stderr.as_str()), (Exit::Success, ""));
        let ran = nexus.run(&["secret", command, "a", "-v", "99,98"]);
        assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::NotFound, ""));
        assert_eq!(
            ran.stderr,
            "Error: the secret a has no version 99, 98: nothing was changed\n\
             hint: `spike secret metadata get a` shows its versions\n"
        );
    }
}

/// A Nexus where version 4 is live, 1 to 3 are deleted, and every other request is answered with 404.
fn mostly_deleted() -> FakeNexus {
    let created_time = datetime!(2026-07-25 20:02:04 UTC);
    let known = move |number| {
        let deleted_time = (number < 4).then_some(created_time);
        (number, VersionMetadata { created_time, version: number, deleted_time })
    };
    FakeNexus::start(move |operation, body| match operation {
        Operation::SecretMetadata if !String::from_utf8_lossy(body).contains("99") => {
            let metadata = SecretMetadata {
                current_version: 4,
                oldest_version: 4,
                created_time,
                updated_time: created_time,
                max_versions: 10,
            };
            let versions = [1, 2, 3, 4].map(known).into();
            (200, SecretMetadataResponse { versions, metadata }.encode())
        }
        operation => crate::testing::error(operation, spike_wire::ErrorCode::ApiNotFound),
    })
}

/// "Nothing is deleted there" stood beside three deleted versions.
#[test]
fn who_undeletes_the_current_version_that_is_not_deleted_is_told_which_are() {
    let nexus = mostly_deleted();
    insta::assert_snapshot!(nexus.run(&["secret", "undelete", "p"]), @"
    [3]
    --
    Error: the current version of the secret p is not deleted; versions 1, 2, 3 are
    hint: `spike secret undelete p --versions 1,2,3` brings them back
    ");
    insta::assert_snapshot!(nexus.run(&["secret", "undelete", "p", "-v", "4,99"]), @"
    [3]
    --
    Error: what was named of the secret p is not deleted: 4, 99; versions 1, 2, 3 are
    hint: `spike secret undelete p --versions 1,2,3` brings them back
    ");
    insta::assert_snapshot!(nexus.run(&["secret", "undelete", "p", "-v", "99"]), @"
    [3]
    --
    Error: the secret p has no version 99: nothing was changed
    hint: `spike secret metadata get p` shows its versions
    ");
}

/// The number was not named, and the hint led to the list of secrets.
#[test]
fn a_version_that_cannot_be_read_is_named_with_what_is_true_of_it() {
    let nexus = mostly_deleted();
    for command in [&["secret", "get"][..], &["secret", "metadata", "get"]] {
        let get = |version| nexus.run(&[command, &["p", "--version", version]].concat());
        let gone = get("99");
        assert_eq!(gone.exit, Exit::NotFound, "{gone}");
        assert!(gone.stderr.starts_with("Error: the secret p has no version 99\n"), "{gone}");
    }
    let deleted = nexus.run(&["secret", "get", "p", "--version", "2"]);
    assert_eq!(deleted.exit, Exit::NotFound, "{deleted}");
    assert!(deleted.stderr.contains("version 2 of the secret p is deleted"), "{deleted}");
    assert!(deleted.stderr.contains("undelete p --versions 2`"), "{deleted}");
}

#[test]
fn undelete_without_versions_sends_none_and_so_does_version_0() {
    // cli-config-deploy 10.2 no. 1: [0] would mean the current version, which is not deleted.
    assert_eq!(first_body(&["secret", "undelete", "a"]), r#"{"path":"a","versions":[]}"#);
    assert_eq!(
        first_body(&["secret", "undelete", "a", "-v", "0"]),
        r#"{"path":"a","versions":[]}"#
    );
    assert_eq!(
        first_body(&["secret", "undelete", "a", "-v", "0,3"]),
        r#"{"path":"a","versions":[0,3]}"#
    );
}

#[test]
fn a_list_has_upstreams_layout_in_every_format() {
    let nexus = FakeNexus::start(|_, body| {
        let request = SecretListRequest::decode(body).unwrap();
        let keys = ["a/b", "a/c: d", "b"].map(str::to_owned);
        let keys = keys.into_iter().filter(|key| key.starts_with(&request.prefix)).collect();
        (200, SecretListResponse { keys, next: None }.encode())
    });
    let list = |arguments: &[&str]| nexus.run(&[&["secret", "list"], arguments].concat()).stdout;
    assert_eq!(list(&[]), "- a/b\n- a/c: d\n- b\n");
    assert_eq!(list(&["a/", "--limit", "1"]), "- a/b\n");
    assert_eq!(list(&["-f", "json"]), "[\n  \"a/b\",\n  \"a/c: d\",\n  \"b\"\n]\n");
    assert_eq!(list(&["-f", "yaml"]), "- a/b\n- \"a/c: d\"\n- b\n");
    assert_eq!(list(&["none"]), "No secrets found.\n");
    assert_eq!(list(&["none", "-f", "j"]), "[]\n");
    assert_eq!(list(&["none", "-f", "y"]), "[]\n");
}

#[test]
fn metadata_as_data_has_the_field_names_of_upstreams_formats() {
    let first = datetime!(2026-07-25 20:02:04.5 UTC);
    let version =
        |version, deleted_time| VersionMetadata { created_time: first, version, deleted_time };
    let answer = SecretMetadataResponse {
        versions: [(1, version(1, Some(first))), (2, version(2, None))].into(),
        metadata: SecretMetadata {
            current_version: 2,
            oldest_version: 2,
            created_time: first,
            updated_time: first,
            max_versions: 10,
        },
    };
    let nexus = FakeNexus::start(move |_, _| (200, answer.encode()));
    insta::assert_snapshot!(nexus.run(&["secret", "metadata", "get", "a", "-f", "json"]), @r#"
    [0]
    {
      "versions": {
        "1": {
          "createdTime": "2026-07-25T20:02:04.5Z",
          "version": 1,
          "deletedTime": "2026-07-25T20:02:04.5Z"
        },
        "2": {
          "createdTime": "2026-07-25T20:02:04.5Z",
          "version": 2,
          "deletedTime": null
        }
      },
      "metadata": {
        "currentVersion": 2,
        "oldestVersion": 2,
        "createdTime": "2026-07-25T20:02:04.5Z",
        "updatedTime": "2026-07-25T20:02:04.5Z",
        "maxVersions": 10
      }
    }
    --
    "#);
    insta::assert_snapshot!(nexus.run(&["secret", "metadata", "get", "a", "-f", "yaml"]), @r#"
    [0]
    versions:
        1:
            createdtime: "2026-07-25T20:02:04.5Z"
            version: 1
            deletedtime: "2026-07-25T20:02:04.5Z"
        2:
            createdtime: "2026-07-25T20:02:04.5Z"
            version: 2
            deletedtime: null
    metadata:
        currentversion: 2
        oldestversion: 2
        createdtime: "2026-07-25T20:02:04.5Z"
        updatedtime: "2026-07-25T20:02:04.5Z"
        maxversions: 10
    --
    "#);
}
