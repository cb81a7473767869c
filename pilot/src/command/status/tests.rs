use spike_domain::Role;
use spike_wire::{ErrorCode, StatusResponse};

use crate::Exit;
use crate::testing::{FakeNexus, error, run_alone};

fn ready() -> FakeNexus {
    let status = StatusResponse {
        version: "0.1.0".to_owned(),
        backend: "memory".to_owned(),
        ..StatusResponse::default()
    };
    FakeNexus::start(move |_, _| (200, status.encode()))
}

#[test]
fn every_role_of_the_pilot_may_look() {
    let nexus = ready();
    for role in [Role::PilotSuperuser, Role::PilotRecover, Role::PilotRestore] {
        let ran = nexus.run_as(role, &["status"], "");
        assert_eq!(ran.exit, Exit::Success, "{ran}");
        assert!(ran.stdout.contains("\nNexus      ready\n           version 0.1.0,"), "{ran}");
        // The certificates that were seen in real handshakes.
        assert!(ran.stdout.contains("% left, "), "{ran}");
        assert!(ran.stdout.contains(", spiffe://spike.ist/spike/nexus\n"), "{ran}");
    }
    let other = nexus.run_as(Role::Keeper, &["status"], "");
    assert_eq!(other.exit, Exit::Denied, "{other}");
    assert!(other.stdout.contains("\nNexus      not known: access_unauthorized"), "{other}");
    assert!(other.stdout.contains(", spiffe://spike.ist/spike/nexus\n"), "it is there: {other}");
}

#[test]
fn the_exit_status_is_that_of_operator_status() {
    for (code, exit) in [
        (ErrorCode::ApiBadRequest, Exit::Failure),
        (ErrorCode::AccessUnauthorized, Exit::Denied),
        (ErrorCode::StateNotReady, Exit::NotReady),
    ] {
        let nexus = FakeNexus::start(move |operation, _| error(operation, code));
        let (ours, of_operator) = (nexus.run(&["status"]), nexus.run(&["operator", "status"]));
        assert_eq!((ours.exit, of_operator.exit), (exit, exit), "{code:?}");
        assert_eq!(ours.stderr, of_operator.stderr);
        assert!(ours.stdout.contains("\nNexus      not known: "), "{ours}");
        assert_eq!(of_operator.stdout, "");
    }
    let alone = run_alone(&["status"], "");
    assert_eq!(alone.exit, run_alone(&["operator", "status"], "").exit, "{alone}");
}

#[test]
fn json_and_yaml_have_every_field_whether_nexus_answers_or_not() {
    let fields = |text: &str| -> Vec<String> {
        let tree: serde_json::Value = serde_json::from_str(text).unwrap();
        tree.as_object().unwrap().keys().cloned().collect()
    };
    let there = ready().run(&["status", "-f", "json"]);
    let refused = FakeNexus::start(|operation, _| error(operation, ErrorCode::ApiBadRequest));
    let refused = refused.run(&["status", "-f", "json"]);
    let names = ["api", "at", "error", "keepers", "nexus", "nexusSvid", "nexusSvidError", "svid"];
    assert_eq!(
        (fields(&there.stdout), fields(&refused.stdout)),
        (names.map(str::to_owned).into(), names.map(str::to_owned).into())
    );
    let tree: serde_json::Value = serde_json::from_str(&there.stdout).unwrap();
    assert_eq!(tree["nexus"]["version"], "0.1.0");
    assert_eq!(tree["nexusSvid"]["id"], "spiffe://spike.ist/spike/nexus");
    assert!(tree["error"].is_null() && tree["svid"]["notAfter"].is_string(), "{tree}");
    let tree: serde_json::Value = serde_json::from_str(&refused.stdout).unwrap();
    assert!(tree["nexus"].is_null() && tree["error"].is_string(), "{tree}");
    let yaml = ready().run(&["status", "-f", "yaml"]);
    assert!(
        yaml.stdout.contains("\nnexusSvid:\n    id: spiffe://spike.ist/spike/nexus\n"),
        "{yaml}"
    );
}

#[test]
fn colour_is_for_terminals_unless_somebody_says_otherwise() {
    let nexus = ready();
    let escapes = |arguments: &[&str]| nexus.run(arguments).stdout.matches('\x1b').count();
    assert_eq!(escapes(&["status"]), 0);
    assert_eq!(escapes(&["status", "--color", "never"]), 0);
    assert!(escapes(&["status", "--color", "always"]) > 0);
    let on_terminal = nexus.run_on_terminal(&["status", "--color", "never"]).stdout;
    assert_eq!(on_terminal.matches('\x1b').count(), 0);
    assert!(on_terminal.lines().all(|line| line.chars().count() <= 80), "{on_terminal}");
}
