//! Under which SPIFFE IDs the commands run.

use spike_config::Environment;
use spike_domain::Role;
use spike_wire::{EmptyResponse, ErrorCode, Operation};

use crate::Exit;
use crate::testing::{Answer, Ca, FakeNexus, error, run_in};

// Whoever had a policy and no role was refused before SPIKE Nexus was asked.
#[test]
fn a_workload_reads_under_its_own_id_what_a_policy_grants_and_else_learns_what_it_lacks() {
    let app = "spiffe://spike.ist/workload/app";
    let reading = FakeNexus::start(|operation, _| match operation {
        Operation::SecretGet => (200, br#"{"data":{"user":"acme"}}"#.as_slice().into()),
        _ => error(operation, ErrorCode::AccessUnauthorized),
    });
    let read =
        reading.run_with_svid(&["secret", "get", "tenants/acme/db"], reading.ca().source_of(app));
    assert_eq!((read.exit, read.stdout.as_str()), (Exit::Success, "user: acme\n"), "{read}");
    let list = reading.run_with_svid(&["secret", "list"], reading.ca().source_of(app));
    insta::assert_snapshot!(list, @"
    [4]
    --
    Error: Unauthorized access: spiffe://spike.ist/workload/app may not list secrets (401 access_unauthorized, request req-1)
    hint: it takes the permission 'list' on the paths that are to be seen, or on spike/system/secret for all names
    hint: spiffe://spike.ist/workload/app is no operator, so a policy must allow it; an operator asks `spike policy explain` which one would
    hint: the audit log of SPIKE Nexus tells the reason under request req-1
    ");
    let policies = reading.run_with_svid(&["policy", "list"], reading.ca().source_of(app));
    assert!(policies.stderr.contains("needs a 'pilot' SPIFFE ID"), "{policies}");
    assert_eq!(reading.asked(), [Operation::SecretGet, Operation::SecretList]);
}

#[test]
fn each_group_of_commands_needs_its_role_and_nexus_is_not_asked_without_it() {
    let ok = |_: Operation, _: &[u8]| -> Answer { (200, EmptyResponse.encode()) };
    let nexus = FakeNexus::start(ok);
    for (role, arguments) in [
        (Role::PilotRecover, vec!["secret", "list"]),
        (Role::PilotRestore, vec!["policy", "list"]),
        (Role::PilotRecover, vec!["cipher", "encrypt", "--plaintext", "aGk="]),
        (Role::PilotSuperuser, vec!["operator", "recover", "--stdout"]),
        (Role::Nexus, vec!["operator", "status"]),
    ] {
        let ran = nexus.run_as(role, &arguments, "");
        assert_eq!(ran.exit, Exit::Denied, "{arguments:?}");
        assert!(ran.stderr.contains("access_unauthorized"), "{}", ran.stderr);
    }
    let share = format!("spike:1:{}", "11".repeat(32));
    let ran = nexus.run_as(Role::PilotSuperuser, &["operator", "restore"], &share);
    insta::assert_snapshot!(ran, @"
    [4]
    --
    Error: access_unauthorized: this command needs a 'pilot' SPIFFE ID of the role 'restore', and this process is spiffe://spike.ist/spike/pilot/role/superuser
    hint: `spike` itself refused, and did not ask SPIKE Nexus: accepted is spiffe://spike.ist/spike/pilot/role/restore, or an ID below it
    hint: an ID of another role is taken for a mistake: register this program under that ID; a change takes some seconds to arrive
    ");
    assert_eq!(nexus.asked(), []);
}

#[test]
fn an_identity_of_another_trust_domain_is_told_which_setting_is_missing() {
    // cli-config-deploy 7.1: "works on bare metal, everything denied in a cluster with another trust domain".
    let source = Ca::new().source_of("spiffe://example.org/spike/pilot/role/superuser");
    let ran = run_in(&["secret", "list"], "", &Environment::default(), Some(source));
    insta::assert_snapshot!(ran, @"
    [4]
    --
    Error: access_unauthorized: this command needs a 'pilot' SPIFFE ID of the role 'superuser', and this process is spiffe://example.org/spike/pilot/role/superuser
    hint: `spike` itself refused, and did not ask SPIKE Nexus: accepted is spiffe://spike.ist/spike/pilot/role/superuser, or an ID below it
    hint: this process is in the trust domain example.org: is SPIKE_TRUST_ROOT_PILOT=example.org missing?
    ");
}

// Nothing said that it was this program that refused, nor why, although a policy let the ID read.
#[test]
fn an_id_of_another_role_is_told_that_spike_itself_refused_and_why() {
    let nexus = FakeNexus::start(|_, _| (200, br#"{"data":{"user":"acme"}}"#.as_slice().into()));
    for arguments in [&["secret", "get", "tenants/acme/db"][..], &["policy", "list"]] {
        let ran = nexus.run_as(Role::PilotRecover, arguments, "");
        assert_eq!(ran.exit, Exit::Denied, "{ran}");
        assert!(
            ran.stderr.contains("`spike` itself refused, and did not ask SPIKE Nexus"),
            "{ran}"
        );
        assert!(ran.stderr.contains("is taken for a mistake, whatever policies say"), "{ran}");
    }
    assert_eq!(nexus.asked(), []);
}

// It was told to register itself under the ID of an operator.
#[test]
fn a_workload_is_told_whom_to_ask_and_not_how_to_become_an_operator() {
    let nexus = FakeNexus::start(|_, _| (200, "{}".into()));
    let svid = nexus.ca().source_of("spiffe://spike.ist/workload/app");
    let ran = nexus.run_with_svid(&["operator", "status"], svid);
    assert_eq!(ran.exit, Exit::Denied, "{ran}");
    assert!(ran.stderr.contains("ask an operator"), "{ran}");
    assert!(!ran.stderr.contains("register this program"), "{ran}");
    assert_eq!(nexus.asked(), []);
}
